/** A record as a sink's consumer read it: where it was, and its bytes. */
import type { BatchRecord } from '../../../protocol/records/record.ts'
import type { TopicPartition } from '../plugin.ts'

export interface ConsumedRecord extends BatchRecord, TopicPartition {}

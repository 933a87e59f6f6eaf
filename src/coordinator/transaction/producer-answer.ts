/** What a producer is told of itself, and the producer ids that a decision may need for it. */
import type { ErrorRow } from '../../../protocol/errors.ts'
import type { Decision } from '../shard.ts'
import type { TransactionRecord } from './records.ts'
import { noProducerEpoch, noProducerId } from './transaction.ts'

/** Who a producer is from now on, or why that is not to be. */
export interface ProducerAnswer {
  readonly error: ErrorRow
  /** -1 beside an error. */
  readonly producerId: number
  readonly producerEpoch: number
}

/** To be asked again with a producer id that nobody has had. */
export const needsProducerId = Symbol('needs a producer id')
export type NeedsProducerId = typeof needsProducerId

export const askAgain: Decision<TransactionRecord, NeedsProducerId> = {
  records: [],
  reply: needsProducerId,
}

export function producerFailed(error: ErrorRow): ProducerAnswer {
  return { error, producerId: noProducerId, producerEpoch: noProducerEpoch }
}

/** As things stand; with NONE, all was done already. */
export function unchanged(error: ErrorRow): Decision<TransactionRecord, ProducerAnswer> {
  return { records: [], reply: producerFailed(error) }
}

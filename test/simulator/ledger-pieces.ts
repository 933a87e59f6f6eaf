/**
 * A fetch from one partition of the ledger, and what an answer tells of a partition: the records behind an
 * offset by their ids, and the partition's ends.
 */
import { apis } from '../../protocol/apis.ts'
import { errorByCode, errors, KafkaError } from '../../protocol/errors.ts'
import { zeroUuid } from '../../protocol/types.ts'
import type { Answered } from '../../src/client/connection.ts'
import { FetchedRecords } from '../../src/client/fetched-records.ts'
import { type IsolationLevel, isolationCode } from '../../src/client/offsets.ts'
import type { Ledger } from './ledger.ts'
import type { Client } from './stage.ts'
import { Violation } from './violation.ts'

/** The header that tells which record it is; a tombstone has no value to tell it. */
export const idHeader = 'id'

export interface Piece {
  readonly records: readonly {
    readonly id: string
    readonly key: string
    readonly offset: number
  }[]
  readonly next: number
  readonly highWatermark: number
  readonly stableEnd: number
}

interface Place {
  readonly partition: number
  readonly offset: number
  readonly isolation: IsolationLevel
}

type Row = Answered<typeof apis.fetch>['responses'][number]['partitions'][number]

export async function fetchLedger(
  { cluster }: Client,
  ledger: Ledger,
  asked: Place & { readonly maxWaitMs: number; readonly maxBytes: number },
): Promise<Piece> {
  const { topic } = ledger
  const { partition, offset: fetchOffset, isolation, maxWaitMs, maxBytes } = asked
  const leader = await cluster.leader(topic, partition)
  const topicId = cluster.metadata.topics.get(topic)?.topicId ?? zeroUuid
  const partitions = [{ partition, fetchOffset, partitionMaxBytes: maxBytes }]
  const request = {
    maxWaitMs,
    minBytes: 1,
    maxBytes,
    isolationLevel: isolationCode(isolation),
    topics: [{ topic, topicId, partitions }],
  }
  const versionMax = topicId === zeroUuid ? 12 : undefined
  const connection = await cluster.connectionTo(leader, 'fetch')
  const options = { timeoutMs: cluster.requestTimeoutMs + maxWaitMs, versionMin: 4, versionMax }
  const answer = await connection.call(apis.fetch, request, options)
  const row = answer.responses[0]?.partitions[0]
  if (row !== undefined) return pieceOf(ledger, asked, row, cluster.metadata)
  cluster.metadata.forget(topic)
  const error = errorByCode(answer.errorCode)
  throw new KafkaError(error === errors.NONE ? errors.UNKNOWN_SERVER_ERROR : error)
}

/** Throws KafkaError where the row has none, and Violation for what may not be. */
export function pieceOf(
  ledger: Ledger,
  { partition, offset, isolation }: Place,
  row: Row,
  metadata: { forget(topic: string): void },
): Piece {
  const where = `${ledger.topic}-${partition}`
  const error = errorByCode(row.errorCode)
  // Nobody asks for more than there is, or was, and nothing of it is ever deleted.
  if (error === errors.OFFSET_OUT_OF_RANGE && !ledger.isVoid) {
    throw new Violation(`${where} has no offset ${offset} any more`)
  }
  if (error !== errors.NONE) {
    metadata.forget(ledger.topic)
    throw new KafkaError(error)
  }
  const aborted = isolation === 'read_committed' ? row.abortedTransactions : null
  const fetched = new FetchedRecords(Buffer.concat(row.records ?? []), offset, aborted)
  const { highWatermark, lastStableOffset: stableEnd } = row
  if (stableEnd > highWatermark) {
    throw new Violation(`${where} is stable up to ${stableEnd} and ends at ${highWatermark}`)
  }
  const records = []
  for (let batch = fetched.next(); batch !== null; batch = fetched.next()) {
    for (const { offset: at, key, headers } of batch) {
      const id = `${headers.find((header) => `${header.key}` === idHeader)?.value}`
      records.push({ offset: at, id, key: `${key}` })
    }
  }
  return { records, next: fetched.position, highWatermark, stableEnd }
}

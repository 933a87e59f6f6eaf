/**
 * Fetches the ledger as most clients do, in an incremental session (KIP-227): the partitions are named
 * once, and from then on a request says only where the reader has gone on, an answer only what is new.
 * Whoever loses an answer cannot know how far its session has come, and begins another one; who loses none
 * is never told that it is at the wrong place in it.
 */
import { apis } from '../../protocol/apis.ts'
import { errorByCode, errors, KafkaError } from '../../protocol/errors.ts'
import { zeroUuid } from '../../protocol/types.ts'
import { type IsolationLevel, isolationCode } from '../../src/client/offsets.ts'
import type { Ledger } from './ledger.ts'
import { type Piece, pieceOf } from './ledger-pieces.ts'
import type { Client, Stage } from './stage.ts'
import { Violation } from './violation.ts'

/** The broker offers none. */
const noSession = 0

export class LedgerSession {
  readonly #stage: Stage
  readonly #client: Client
  readonly #ledger: Ledger
  readonly #isolation: IsolationLevel
  readonly #maxBytes: number
  #id = noSession
  /** Of the next request; 0 opens another session. */
  #epoch = 0
  /** Where the broker knows the reader to be, by partition. */
  #known: readonly number[] = []
  /** How often the broker had been started when the session was opened. */
  #starts = 0

  constructor(
    stage: Stage,
    client: Client,
    { ledger, isolation }: { ledger: Ledger; isolation: IsolationLevel },
  ) {
    this.#stage = stage
    this.#client = client
    this.#ledger = ledger
    this.#isolation = isolation
    this.#maxBytes = client.random.pick([100, 1_000, 100_000])
  }

  /** What is new behind these offsets, by partition. Rejects with KafkaError, ConnectionError, Violation. */
  async fetch(offsets: readonly number[]): Promise<Map<number, Piece>> {
    const { cluster } = this.#client
    const { topic } = this.#ledger
    const leader = await cluster.leader(topic, 0)
    const topicId = cluster.metadata.topics.get(topic)?.topicId ?? zeroUuid
    const connection = await cluster.connectionTo(leader, 'fetch')
    const request = this.#request(offsets, topicId)
    if (request.sessionEpoch === 0) this.#starts = this.#stage.starts
    // Until there is an answer nobody knows.
    this.#end()
    const timeoutMs = cluster.requestTimeoutMs + request.maxWaitMs
    const versionMax = topicId === zeroUuid ? 12 : undefined
    const options = { timeoutMs, versionMin: 7, versionMax }
    const answer = await connection.call(apis.fetch, request, options)
    this.#judge(request, answer)
    const pieces = new Map<number, Piece>()
    for (const row of answer.responses.flatMap(({ partitions }) => partitions)) {
      const { partitionIndex: partition } = row
      const place = { partition, offset: offsets[partition] ?? -1, isolation: this.#isolation }
      pieces.set(partition, pieceOf(this.#ledger, place, row, cluster.metadata))
    }
    this.#id = answer.sessionId
    this.#epoch = this.#id === noSession ? 0 : request.sessionEpoch + 1
    this.#known = offsets
    return pieces
  }

  #request(offsets: readonly number[], topicId: string) {
    const { topic } = this.#ledger
    const maxBytes = this.#maxBytes
    const partitions = offsets.flatMap((fetchOffset, partition) => {
      const isKnown = this.#epoch > 0 && this.#known[partition] === fetchOffset
      return isKnown ? [] : [{ partition, fetchOffset, partitionMaxBytes: maxBytes }]
    })
    return {
      maxWaitMs: this.#client.random.pick([0, 50, 500]),
      minBytes: 1,
      maxBytes,
      isolationLevel: isolationCode(this.#isolation),
      sessionId: this.#id,
      sessionEpoch: this.#epoch,
      topics: partitions.length === 0 ? [] : [{ topic, topicId, partitions }],
    }
  }

  #judge(
    asked: { readonly sessionId: number; readonly sessionEpoch: number },
    { errorCode, sessionId }: { readonly errorCode: number; readonly sessionId: number },
  ): void {
    const error = errorByCode(errorCode)
    const name = `session ${asked.sessionId} of ${this.#client.name}`
    // The broker may have begun anew, and have given the id to another.
    const isSame = this.#starts === this.#stage.starts
    if (isSame && error === errors.INVALID_FETCH_SESSION_EPOCH) {
      throw new Violation(`${name} is not at ${asked.sessionEpoch}, says the broker`)
    }
    if (error !== errors.NONE) throw new KafkaError(error)
    if (asked.sessionEpoch > 0 && sessionId !== asked.sessionId) {
      throw new Violation(`${name} was answered as session ${sessionId}`)
    }
  }

  #end(): void {
    this.#id = noSession
    this.#epoch = 0
    this.#known = []
  }
}

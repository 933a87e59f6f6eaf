/**
 * ShareFetch (KIP-932): gives a member of a share group records of its session's partitions, for a
 * while, and takes on the way what it says about earlier ones.
 *
 * First everything is read, then, if there is enough or no more time, acquired: who waits has nothing
 * that others could have. It waits for appends, for records that come back, and for partitions whose
 * delivery state is being loaded.
 */
import { apis } from '../../protocol/apis.ts'
import { type ErrorRow, errors, KafkaError } from '../../protocol/errors.ts'
import type { ShareFetchRequest, ShareFetchResponse } from '../../protocol/messages/share-fetch.ts'
import { DiskError } from '../environment/disk.ts'
import type { Clock } from '../environment/environment.ts'
import type { ParkedFetches, Watched } from '../replication/parked-fetches.ts'
import type { FetchedRecords } from '../replication/share/fetched-records.ts'
import { SharePartition } from '../replication/share/share-partition.ts'
import {
  finalEpoch,
  initialEpoch,
  type SharedPartition,
} from '../replication/share/share-sessions.ts'
import { handler } from '../server/handler.ts'
import type { RequestContext } from '../server/request-context.ts'
import { CurrentLeaders } from './current-leader.ts'
import {
  type AcknowledgedPartition,
  acknowledge,
  firstVersionWithRenew,
  partitionError,
  readGroup,
  readTopic,
  type ShareMember,
  type ShareParts,
  shareMember,
} from './share-acknowledgements.ts'

type AnsweredTopic = ShareFetchResponse['responses'][number]
type AnsweredPartition = AnsweredTopic['partitions'][number]
type Mutable<T> = { -readonly [K in keyof T]: T[K] }
type Row = Mutable<AnsweredPartition>

/** Records are counted, not batches (KIP-1206). */
const recordLimitMode = 1

export interface ShareFetchParts extends ShareParts {
  readonly parked: ParkedFetches
  readonly clock: Clock
  /** fetch.max.bytes. */
  readonly bytesMax: () => number
}

export const shareFetch = (parts: ShareFetchParts) =>
  handler(apis.shareFetch, (request, context) => new ShareFetch(parts, request, context).run(), {
    access: [readGroup, readTopic],
    onError: (_request, error, _version, message) => ({
      errorCode: error.code,
      errorMessage: message ?? error.message,
      acquisitionLockTimeoutMs: 0,
      responses: [],
      nodeEndpoints: [],
    }),
  })

/** A partition of the session, as the group reads it. */
interface Opened {
  readonly named: SharedPartition
  readonly share: SharePartition
}

/** What it brought. */
interface Read extends Opened {
  readonly fetched: FetchedRecords
}

class ShareFetch {
  readonly #parts: ShareFetchParts
  readonly #request: ShareFetchRequest
  readonly #context: RequestContext
  readonly #member: ShareMember
  readonly #deadlineMs: number
  readonly #leaders: CurrentLeaders
  readonly #rows = new Map<string, { readonly topicId: string; readonly row: Row }>()
  readonly #opened = new Map<string, SharePartition>()
  /** Why partitions could not be read. */
  readonly #failures = new Map<string, ErrorRow>()
  #watched: Watched[] = []
  #bytesMax = 0

  /** Throws KafkaError, as `shareMember`. */
  constructor(parts: ShareFetchParts, request: ShareFetchRequest, context: RequestContext) {
    this.#parts = parts
    this.#request = request
    this.#context = context
    this.#member = shareMember(parts, request, context)
    this.#deadlineMs = parts.clock.monotonic() + request.maxWaitMs
    this.#leaders = new CurrentLeaders(parts.image(), context.listener)
  }

  async run(): Promise<ShareFetchResponse | null> {
    this.#checkRenewal()
    const epoch = this.#request.shareSessionEpoch
    let partitions: readonly SharedPartition[]
    try {
      partitions = this.#session()
    } catch (error) {
      await this.#pauseIfFull(error)
      throw error
    }
    const said = this.#acknowledge()
    // Whoever renews has records to work on, and no time to wait for more (KIP-1222).
    const isFetching = epoch !== finalEpoch && !this.#isRenewing
    if (isFetching && !(await this.#fetch(partitions))) return null
    for (const partition of await said) this.#answerAcknowledged(partition)
    if (epoch === finalEpoch) {
      this.#parts.sessions.end(this.#member.groupId, this.#member.memberId)
    }
    return this.#answer()
  }

  get #isRenewing(): boolean {
    return this.#context.apiVersion >= firstVersionWithRenew && this.#request.isRenewAck
  }

  #checkRenewal(): void {
    if (!this.#isRenewing) return
    const named = ['maxBytes', 'minBytes', 'maxRecords', 'maxWaitMs'] as const
    const set = named.filter((name) => this.#request[name] !== 0)
    if (set.length === 0) return
    const message = `${set.map((name) => `${name} must be set to 0, `).join('')}if isRenewAck is true.`
    throw new KafkaError(errors.INVALID_REQUEST, message)
  }

  /** The partitions to read, those first that were last the time before. */
  #session(): readonly SharedPartition[] {
    const { shareSessionEpoch: epoch, topics, forgottenTopicsData } = this.#request
    const { groupId, memberId } = this.#member
    const { sessions } = this.#parts
    const added = topics.flatMap(({ topicId, partitions }) =>
      partitions.map(({ partitionIndex: index }) => ({ topicId, index })),
    )
    if (epoch !== initialEpoch) {
      const forgotten = forgottenTopicsData.flatMap(({ topicId, partitions }) =>
        partitions.map((index) => ({ topicId, index })),
      )
      const all = [...sessions.next(groupId, memberId, epoch, { added, forgotten })]
      const start = all.length === 0 ? 0 : Math.max(0, epoch) % all.length
      return [...all.slice(start), ...all.slice(0, start)]
    }
    const saysSomething = topics.some(({ partitions }) =>
      partitions.some(({ acknowledgementBatches }) => acknowledgementBatches.length > 0),
    )
    if (saysSomething) throw new KafkaError(errors.INVALID_REQUEST)
    return [...sessions.open(groupId, memberId, added, this.#context.connection)]
  }

  /** Who finds no place for a session would else come again at once. */
  async #pauseIfFull(error: unknown): Promise<void> {
    if (!(error instanceof KafkaError)) return
    if (error.error !== errors.SHARE_SESSION_LIMIT_REACHED) return
    this.#context.holdNext()
    this.#context.setAside()
    await this.#park([], this.#request.maxWaitMs)
  }

  #acknowledge(): Promise<AcknowledgedPartition[]> {
    const said = this.#request.topics
      .map(({ topicId, partitions }) => ({
        topicId,
        partitions: partitions.filter((each) => each.acknowledgementBatches.length > 0),
      }))
      .filter(({ partitions }) => partitions.length > 0)
    if (said.length === 0) return Promise.resolve([])
    const { isRenewAck } = this.#request
    return acknowledge(this.#parts, this.#member, said, isRenewAck, this.#context)
  }

  /** Fills the rows; false if nobody is there any more to be answered. */
  async #fetch(partitions: readonly SharedPartition[]): Promise<boolean> {
    if (partitions.length === 0 || this.#request.maxRecords <= 0) return true
    let isLate = false
    for (let isFirst = true; ; isFirst = false) {
      const room = this.#context.replyRoom()
      if (room !== null) {
        this.#context.holdNext()
        await room
      }
      const reading = this.#readAll(partitions)
      if (reading instanceof Promise) this.#context.holdNext()
      const reads = reading instanceof Promise ? await reading : reading
      if (!this.#context.connection.isOpen) return false
      const waitMs = this.#waitMs()
      const mustAnswer = waitMs <= 0 || this.#failures.size === partitions.length
      if (this.#acquireAll(reads, mustAnswer) || mustAnswer) return true
      this.#releaseAll(reads)
      // What came up while the disk was read told nobody.
      const looksAgain: boolean = reading instanceof Promise && !isLate
      isLate = looksAgain
      if (looksAgain) continue
      if (isFirst) {
        this.#context.expectReply(0)
        this.#context.holdNext()
        this.#context.setAside()
      }
      if (!(await this.#park(this.#watched, waitMs))) return false
    }
  }

  /** How long it may still wait. */
  #waitMs(): number {
    if (this.#parts.parked.isClosed) return 0
    return Math.ceil(this.#deadlineMs - this.#parts.clock.monotonic())
  }

  /** A fetch that waits holds no records. */
  #releaseAll(reads: readonly Read[]): void {
    this.#releaseLater(reads)
    this.#context.releaseUnsent()
  }

  #releaseLater(reads: readonly Read[]): void {
    for (const { fetched } of reads) {
      for (const chunk of fetched.chunks) this.#context.releaseWhenSent(chunk)
    }
  }

  /** False if the client has gone. */
  async #park(partitions: Watched[], maxWaitMs: number): Promise<boolean> {
    const { connection } = this.#context
    const { isReadCommitted } = this.#parts.shares.settingsFor(this.#member.groupId)
    const waiting = { partitions, missingBytes: 1, isReadCommitted, maxWaitMs, connection }
    return (await this.#parts.parked.park(waiting)) === 'read'
  }

  /** What there is; at once where all of it is in memory. */
  #readAll(partitions: readonly SharedPartition[]): Read[] | Promise<Read[]> {
    const { bytesMax } = this.#parts
    this.#bytesMax = Math.min(this.#request.maxBytes, bytesMax(), this.#context.replyBytesLeft)
    this.#watched = []
    const readable: Opened[] = []
    for (const named of partitions) {
      const share = this.#open(named)
      if (share === null) continue
      this.#watched.push(share)
      if (share.canAcquire()) readable.push({ named, share })
      if (share.isActive && !share.isFull) this.#watched.push(share.partition)
    }
    const maxBytes = Math.floor(this.#bytesMax / Math.max(1, readable.length))
    const reads: (Read | Promise<Read | null>)[] = []
    for (const opened of readable) {
      const read = this.#read(opened, maxBytes, reads.length === 0)
      if (read !== null) reads.push(read)
    }
    if (!reads.some((read) => read instanceof Promise)) return reads as Read[]
    return Promise.all(reads).then((found) => found.filter((read) => read !== null))
  }

  /** Null where the partition cannot be read, as is noted. */
  #open(named: SharedPartition): SharePartition | null {
    const key = partitionKey(named)
    if (this.#failures.has(key)) return null
    const before = this.#opened.get(key)
    const { topicId, index } = named
    const image = this.#parts.image()
    const failure = before?.failure ?? partitionError(image, topicId, index, this.#context)
    const { groupId } = this.#member
    const share = failure ?? this.#parts.shares.open(groupId, topicId, index)
    if (share instanceof SharePartition) {
      this.#opened.set(key, share)
      return share
    }
    this.#failures.set(key, share)
    return null
  }

  /** Null where there is nothing; what it fails with is noted. */
  #read(
    { named, share }: Opened,
    maxBytes: number,
    minOneBatch: boolean,
  ): Read | Promise<Read | null> | null {
    const failed = (error: unknown): null => {
      this.#failures.set(partitionKey(named), errorOf(error))
      return null
    }
    share.partition.traffic.countFetch()
    try {
      const fetched = share.read(maxBytes, minOneBatch)
      if (fetched instanceof Promise) {
        return fetched.then((records) => ({ named, share, fetched: records }), failed)
      }
      return fetched.bytes === 0 ? null : { named, share, fetched }
    } catch (error) {
      return failed(error)
    }
  }

  /** True if the member was given anything; too little is given only if it must be. */
  #acquireAll(reads: readonly Read[], mustAnswer: boolean): boolean {
    const found = reads.reduce((sum, { fetched }) => sum + fetched.bytes, 0)
    const wanted = Math.min(this.#request.minBytes, Math.max(1, this.#bytesMax))
    if (found < wanted && !mustAnswer) return false
    if (found > 0 && this.#context.isOverQuota()) {
      this.#releaseAll(reads)
      this.#context.expectReply(0)
      return true
    }
    const { maxRecords, batchSize, shareAcquireMode } = this.#request
    let left = maxRecords
    let bytes = 0
    for (const { named, share, fetched } of reads) {
      const acquired = share.acquire(fetched, {
        memberId: this.#member.memberId,
        maxRecords: left,
        batchSize: Math.max(1, batchSize),
        isRecordLimit: shareAcquireMode === recordLimitMode,
      })
      if (acquired.records.length === 0) continue
      for (const { firstOffset, lastOffset } of acquired.records) {
        left -= lastOffset - firstOffset + 1
      }
      const row = this.#row(named.topicId, named.index)
      row.acquiredRecords = [...acquired.records]
      row.records = [...acquired.chunks]
      let acquiredBytes = 0
      for (const chunk of acquired.chunks) acquiredBytes += chunk.length
      share.partition.traffic.countSent(acquiredBytes)
      bytes += acquiredBytes
    }
    if (bytes === 0) return false
    this.#releaseLater(reads)
    this.#context.expectReply(bytes)
    this.#context.countRecords(bytes)
    return true
  }

  #row(topicId: string, partitionIndex: number): Row {
    const key = partitionKey({ topicId, index: partitionIndex })
    const known = this.#rows.get(key)
    if (known !== undefined) return known.row
    const row: Row = {
      partitionIndex,
      errorCode: errors.NONE.code,
      errorMessage: null,
      acknowledgeErrorCode: errors.NONE.code,
      acknowledgeErrorMessage: null,
      currentLeader: { leaderId: 0, leaderEpoch: 0 },
      records: [],
      acquiredRecords: [],
    }
    this.#rows.set(key, { topicId, row })
    return row
  }

  #answerAcknowledged({ topicId, partitionIndex, error, message }: AcknowledgedPartition): void {
    const row = this.#row(topicId, partitionIndex)
    row.acknowledgeErrorCode = error.code
    row.acknowledgeErrorMessage = message
  }

  #answer(): ShareFetchResponse {
    for (const [key, error] of this.#failures) {
      const slash = key.lastIndexOf('/')
      const topicId = key.slice(0, slash)
      const row = this.#row(topicId, Number(key.slice(slash + 1)))
      row.errorCode = error.code
      row.errorMessage = error.message
      if (error === errors.NOT_LEADER_OR_FOLLOWER || error === errors.FENCED_LEADER_EPOCH) {
        row.currentLeader = this.#leaders.of(topicId, row.partitionIndex)
      }
    }
    const responses = new Map<string, AnsweredPartition[]>()
    for (const { topicId, row } of this.#rows.values()) {
      const partitions = responses.get(topicId)
      if (partitions === undefined) responses.set(topicId, [row])
      else partitions.push(row)
    }
    const { recordLockDurationMs } = this.#parts.shares.settingsFor(this.#member.groupId)
    return {
      throttleTimeMs: 0,
      errorCode: errors.NONE.code,
      errorMessage: null,
      acquisitionLockTimeoutMs: recordLockDurationMs,
      responses: [...responses].map(([topicId, partitions]) => ({ topicId, partitions })),
      nodeEndpoints: [...this.#leaders.nodes],
    }
  }
}

const partitionKey = ({ topicId, index }: SharedPartition): string => `${topicId}/${index}`

/** What a client is told about what a read failed with. */
function errorOf(error: unknown): ErrorRow {
  if (error instanceof KafkaError) return error.error
  if (error instanceof DiskError) return errors.KAFKA_STORAGE_ERROR
  throw error
}

/**
 * Fetch: batches from where a consumer stands. What is in memory is answered at once and without a
 * promise; what is on disk is read side by side; where there is too little, the request is parked until
 * an append brings enough or its time is up.
 *
 * The bytes of an answer are shared in the order of the session's partitions. The first batch is always
 * delivered, however large, so that a consumer gets ahead (KIP-74).
 */

import { apis } from '../../protocol/apis.ts'
import { type ErrorRow, errors, KafkaError } from '../../protocol/errors.ts'
import type { FetchRequest, FetchResponse } from '../../protocol/messages/fetch.ts'
import { DiskError } from '../environment/disk.ts'
import type { Steps } from '../environment/in-turns.ts'
import { type Conversions, conversionAllowance } from '../log/conversion/conversions.ts'
import type { ReadResult } from '../log/segment-read.ts'
import type { MetadataImage } from '../metadata/image.ts'
import type { FetchedPartition } from '../replication/fetch-session.ts'
import type { FetchContext, FetchSessions } from '../replication/fetch-sessions.ts'
import { EarlyWatch, type ParkedFetches, type Woken } from '../replication/parked-fetches.ts'
import { Partition } from '../replication/partition.ts'
import type { Replicas } from '../replication/replicas.ts'
import type { TopicTraffic } from '../replication/topic-traffic.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'
import type { RequestContext } from '../server/request-context.ts'
import { CurrentLeaders } from './current-leader.ts'
import { isConverted, recordsForVersion } from './fetched-records.ts'
import { checkIsolationLevel, readCommitted } from './isolation-level.ts'

const at = 'responses.partitions.errorCode'
const readTopic = rule('READ', 'TOPIC', at)
/** Of replicas, which are told so for each partition. */
const actForCluster = rule('CLUSTER_ACTION', 'CLUSTER', at, {
  error: errors.TOPIC_AUTHORIZATION_FAILED,
})

type AnsweredTopic = FetchResponse['responses'][number]
type AnsweredPartition = AnsweredTopic['partitions'][number]
type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** Before it, the size asked for is a hard limit, and a batch that exceeds it is cut. */
const firstVersionWithWholeBatches = 3
const firstVersionWithTopicIds = 13
const firstVersionWithLeaders = 16
/** Up to it, clients do not know KAFKA_STORAGE_ERROR. */
const lastVersionWithoutStorageError = 5

export interface FetchParts {
  readonly replicas: Replicas
  readonly sessions: FetchSessions
  readonly parked: ParkedFetches
  readonly conversions: Conversions
  readonly image: () => MetadataImage
  /** fetch.max.bytes. */
  readonly bytesMax: () => number
}

export const fetch = (parts: FetchParts) =>
  handler(apis.fetch, (request, context) => new Fetch(parts, request, context).run(), {
    access: [readTopic, actForCluster],
    onError: refuseAll,
  })

/** What is said about one partition, and to whom in the session. */
interface Row {
  readonly fetched: FetchedPartition
  readonly answer: Mutable<AnsweredPartition>
  /** Of the partition, where it could be asked. */
  readonly traffic: TopicTraffic | null
  bytes: number
}

/** Partitions that are read in one go; of more, others have their turn between some of them. */
const partitionsAtOnceMax = 500
const partitionsPerStep = 16

/** Of 2^32: its multiples lie evenly, whatever the step between two of them. */
const goldenRatio = 0x9e3779b1

/** Of a partition, where they are converted: they unpack to as much as is converted for one answer, or more. */
const convertedBytesMax = 4 * 1024 * 1024

/** One Fetch request. */
class Fetch {
  readonly #parts: FetchParts
  readonly #request: FetchRequest
  readonly #context: RequestContext
  readonly #session: FetchContext
  readonly #isReadCommitted: boolean
  readonly #isReplica: boolean
  #bytesMax = 0
  #leaders: CurrentLeaders | null = null

  readonly #allowance = conversionAllowance()
  #rows: Row[] = []
  /** Those that are hosted here, of which there may be something to tell: what a wait is for. */
  #hosted: Partition[] = []
  /** While they are read in turns. */
  #early: EarlyWatch | null = null
  #bytes = 0
  #mustAnswer = false
  #reading: Promise<unknown>[] = []

  constructor(parts: FetchParts, request: FetchRequest, context: RequestContext) {
    const version = context.apiVersion
    this.#parts = parts
    this.#request = request
    this.#context = context
    this.#isReplica = request.replicaId >= 0 || request.replicaState.replicaId >= 0
    this.#session = parts.sessions.context(request, version)
    this.#isReadCommitted = request.isolationLevel === readCommitted
  }

  run(): FetchResponse | null | Promise<FetchResponse | null> {
    checkIsolationLevel(this.#request.isolationLevel)
    const { error } = this.#session
    if (error !== null) return { errorCode: error.code, sessionId: 0, responses: [] }
    const room = this.#context.replyRoom()
    if (room !== null) return this.#readLater(room)
    // Who may read what is decided anew each time.
    if (this.#context.authorizer !== null) this.#session.readAll()
    this.#begin()
    const toRead = this.#toRead()
    if (toRead.length > partitionsAtOnceMax) return this.#readInTurns()
    for (const fetched of toRead) this.#readOne(fetched)
    return this.#hasRead()
  }

  async #readInTurns(): Promise<FetchResponse | null> {
    this.#context.holdNext()
    const early = new EarlyWatch(this.#isReadCommitted)
    this.#early = early
    try {
      await this.#context.inTurns(this.#readAll())
      // Where it waits, it does so before this ends.
      return this.#hasRead()
    } finally {
      this.#early = null
      early.end()
    }
  }

  #hasRead(): FetchResponse | null | Promise<FetchResponse | null> {
    this.#context.expectReply(this.#bytes)
    if (this.#reading.length === 0) return this.#missingBytes() > 0 ? this.#wait() : this.#answer()
    this.#context.holdNext()
    // What came from the disk is not held back for more.
    return Promise.all(this.#reading).then(() => this.#answer())
  }

  /** Memory for replies is short: the request waits for its turn, and answers with what there is then. */
  async #readLater(room: Promise<void>): Promise<FetchResponse | null> {
    this.#context.holdNext()
    await room
    return this.#readNow()
  }

  /** Answers with what there is. */
  #readNow(): FetchResponse | null | Promise<FetchResponse | null> {
    if (!this.#context.connection.isOpen) return null
    const reading = this.#context.inTurns(this.#readAll())
    return reading instanceof Promise ? reading.then(() => this.#hasReadNow()) : this.#hasReadNow()
  }

  #hasReadNow(): FetchResponse | Promise<FetchResponse> {
    this.#context.expectReply(this.#bytes)
    if (this.#reading.length === 0) return this.#answer()
    return Promise.all(this.#reading).then(() => this.#answer())
  }

  /** How many bytes are worth waiting for; none where the answer cannot wait. */
  #missingBytes(): number {
    const { maxWaitMs, minBytes } = this.#request
    const isAnyHosted = this.#hosted.length > 0 || this.#session.hasResting
    if (maxWaitMs <= 0 || this.#mustAnswer || !isAnyHosted) return 0
    return Math.min(minBytes, Math.max(1, this.#bytesMax)) - this.#bytes
  }

  #wait(): Promise<FetchResponse | null> {
    const missingBytes = this.#missingBytes() - (this.#early?.bytes ?? 0)
    // What was read is read again: a fetch that waits holds no records.
    this.#rows = []
    this.#context.releaseUnsent()
    this.#context.expectReply(0)
    this.#context.holdNext()
    this.#context.setAside()
    const waited = missingBytes > 0 ? this.#park(missingBytes) : Promise.resolve<Woken>('read')
    return waited.then((woken) => (woken === 'gone' ? null : this.#readAgain()))
  }

  #readAgain(): FetchResponse | null | Promise<FetchResponse | null> {
    const room = this.#context.replyRoom()
    return room === null ? this.#readNow() : this.#readLater(room)
  }

  #park(missingBytes: number): Promise<Woken> {
    const { resting } = this.#session
    return this.#parts.parked.park({
      partitions: resting === null ? this.#hosted : [...this.#hosted, resting],
      missingBytes,
      isReadCommitted: this.#isReadCommitted,
      maxWaitMs: this.#request.maxWaitMs,
      connection: this.#context.connection,
    })
  }

  *#readAll(): Steps<void> {
    this.#begin()
    const toRead = this.#toRead()
    const { resting } = this.#session
    if (resting !== null) this.#early?.add(resting)
    for (const fetched of toRead) {
      this.#readOne(fetched)
      if (this.#rows.length % partitionsPerStep === 0) yield
    }
  }

  #begin(): void {
    this.#rows = []
    this.#hosted = []
    this.#reading = []
    this.#bytes = 0
    const { bytesMax } = this.#parts
    this.#bytesMax = Math.min(this.#request.maxBytes, bytesMax(), this.#context.replyBytesLeft)
  }

  /**
   * In the order in which they share the bytes of the answer: that of the session, else of the request. Where
   * the answer holds less than was asked for, one without a session begins each time with another one, so
   * that the last ones have their turn, too, if the client always names them last.
   */
  #toRead(): readonly FetchedPartition[] {
    const all = this.#session.toRead(this.#isReadCommitted)
    const isCut = this.#bytesMax < Math.min(this.#request.maxBytes, this.#parts.bytesMax())
    if (this.#session.keepsOrder || !isCut || all.length < 2) return all
    const share = (Math.imul(this.#context.correlationId, goldenRatio) >>> 0) / 2 ** 32
    const start = Math.floor(share * all.length)
    return [...all.slice(start), ...all.slice(0, start)]
  }

  #readOne(fetched: FetchedPartition): void {
    const { replicas } = this.#parts
    const usesTopicIds = this.#context.apiVersion >= firstVersionWithTopicIds
    if (this.#context.authorizer !== null && this.#isDenied(fetched, usesTopicIds)) {
      this.#refuse(fetched, readTopic.error)
      return
    }
    const found = usesTopicIds
      ? replicas.findById(fetched.topicId, fetched.index)
      : replicas.find(fetched.topic, fetched.index)
    if (found instanceof Partition) this.#readPartition(found, fetched)
    else this.#refuse(fetched, found)
  }

  /** A topic that has no name is not denied: it is unknown. */
  #isDenied({ topic, topicId }: FetchedPartition, usesTopicIds: boolean): boolean {
    if (this.#isReplica) return !actForCluster.allows(this.#context)
    const read = usesTopicIds ? this.#parts.image().topics.byId.get(topicId)?.name : topic
    return read !== undefined && !readTopic.allows(this.#context, read)
  }

  #readPartition(partition: Partition, fetched: FetchedPartition): void {
    this.#hosted.push(partition)
    this.#early?.add(partition)
    partition.traffic.countFetch()
    const error = this.#errorOf(partition, fetched)
    if (error !== null) {
      this.#mustAnswer = true
      this.#refuse(fetched, error, notRead)
      return
    }
    try {
      this.#readRecords(partition, fetched)
    } catch (error) {
      this.#mustAnswer = true
      this.#fail(this.#add(partition, fetched), error)
    }
  }

  #errorOf(partition: Partition, fetched: FetchedPartition): ErrorRow | null {
    // Of any negative number Kafka takes it that the epoch is not known.
    const isEpochKnown = fetched.currentLeaderEpoch >= 0
    const error = partition.leaderError(isEpochKnown ? fetched.currentLeaderEpoch : -1)
    if (error !== null) return error
    // No broker but this one is a replica of a partition here: a fetcher that says so knows more than
    // we do, and is told to come again; without an epoch it may as well know less.
    if (this.#isReplica) {
      return isEpochKnown ? errors.UNKNOWN_LEADER_EPOCH : errors.NOT_LEADER_OR_FOLLOWER
    }
    const { config } = partition
    if (config.compressionType === 'zstd' && this.#context.apiVersion < 10) {
      return errors.UNSUPPORTED_COMPRESSION_TYPE
    }
    return null
  }

  #readRecords(partition: Partition, fetched: FetchedPartition): void {
    const { fetchOffset, lastFetchedEpoch } = fetched
    if (lastFetchedEpoch >= 0) {
      const divergingEpoch = partition.divergence(fetchOffset, lastFetchedEpoch)
      if (divergingEpoch !== null) {
        this.#mustAnswer = true
        this.#add(partition, fetched).answer.divergingEpoch = divergingEpoch
        return
      }
    }
    if (partition.isOutOfRange(fetchOffset)) throw new KafkaError(errors.OFFSET_OUT_OF_RANGE)
    const isHardLimit = this.#context.apiVersion < firstVersionWithWholeBatches
    const left = this.#bytesMax - this.#bytes
    const bytesMax = isConverted(this.#context.apiVersion) ? convertedBytesMax : left
    const maxBytes = Math.max(0, Math.min(fetched.maxBytes, left, bytesMax))
    const minOneBatch = this.#bytes === 0 || (isHardLimit && left > 0)
    const isReadCommitted = this.#isReadCommitted
    const read = partition.read(fetchOffset, { maxBytes, minOneBatch, isReadCommitted })
    if (read instanceof Promise) {
      // Until the disk has answered, the whole share counts as used.
      this.#bytes += Math.max(1, maxBytes)
      const row = this.#add(partition, fetched)
      this.#reading.push(
        read.then(
          (result) => this.#fill(row, partition, result),
          (error) => this.#fail(row, error),
        ),
      )
      return
    }
    const { highWatermark, logStartOffset } = partition
    if (read.bytes === 0 && this.#session.omits(fetched, highWatermark, logStartOffset)) {
      if (fetchOffset >= partition.readableOffset(isReadCommitted)) this.#rest(partition, fetched)
      return
    }
    const converting = this.#fill(this.#add(partition, fetched), partition, read)
    if (converting !== null) this.#reading.push(converting)
    this.#bytes += read.bytes
  }

  #rest(partition: Partition, fetched: FetchedPartition): void {
    if (!this.#session.rest(fetched, partition)) return
    // It was the last one added.
    this.#hosted.pop()
    this.#early?.remove(partition)
  }

  #add(partition: Partition, fetched: FetchedPartition): Row {
    const answer: Mutable<AnsweredPartition> = {
      partitionIndex: fetched.index,
      errorCode: errors.NONE.code,
      highWatermark: partition.highWatermark,
      lastStableOffset: partition.lastStableOffset,
      logStartOffset: partition.logStartOffset,
      abortedTransactions: this.#isReadCommitted ? [] : null,
      preferredReadReplica: -1,
      records: [],
    }
    const row: Row = { fetched, answer, traffic: partition.traffic, bytes: 0 }
    this.#rows.push(row)
    return row
  }

  /** A promise where much has to be converted. */
  #fill(row: Row, partition: Partition, read: ReadResult): Promise<void> | null {
    const { fetchOffset, maxBytes } = row.fetched
    const { apiVersion: version, connection } = this.#context
    for (const chunk of read.chunks) this.#context.releaseWhenSent(chunk)
    try {
      if (!isConverted(version)) {
        this.#filled(row, partition, read, read.chunks)
        return null
      }
      const isWaiting = () => connection.isOpen
      const form = { version, fetchOffset, maxBytes, allowance: this.#allowance, isWaiting }
      const records = recordsForVersion(read, form, this.#parts.conversions)
      if (records instanceof Promise) {
        return records
          .then((converted) => this.#filled(row, partition, read, converted))
          .catch((error) => this.#fail(row, error))
      }
      this.#filled(row, partition, read, records)
    } catch (error) {
      this.#fail(row, error)
    }
    return null
  }

  #filled(row: Row, partition: Partition, read: ReadResult, records: readonly Buffer[]): void {
    const { fetched, answer } = row
    answer.records = records
    row.bytes = read.bytes
    if (!this.#isReadCommitted || read.bytes === 0) return
    const { fetchOffset } = fetched
    const { reader } = partition.log
    answer.abortedTransactions = reader.abortedTransactions(fetchOffset, read.nextOffset)
  }

  /** The read failed: the row says so instead. */
  #fail({ answer, traffic }: Row, error: unknown): void {
    let { errorCode } = answer
    if (error instanceof KafkaError) errorCode = error.error.code
    else if (error instanceof DiskError) errorCode = this.#known(errors.KAFKA_STORAGE_ERROR).code
    else {
      traffic?.countFailedFetch()
      throw error
    }
    Object.assign(answer, notRead, { errorCode })
  }

  #refuse(fetched: FetchedPartition, error: ErrorRow, values = nothing): void {
    const known = this.#known(error)
    const answer: Mutable<AnsweredPartition> = {
      partitionIndex: fetched.index,
      errorCode: known.code,
      ...values,
    }
    const hasMoved = error === errors.NOT_LEADER_OR_FOLLOWER || error === errors.FENCED_LEADER_EPOCH
    if (hasMoved && this.#context.apiVersion >= firstVersionWithLeaders) {
      this.#leaders ??= new CurrentLeaders(this.#parts.image(), this.#context.listener)
      answer.currentLeader = this.#leaders.of(fetched.topicId, fetched.index)
    }
    this.#rows.push({ fetched, answer, traffic: null, bytes: 0 })
  }

  #known(error: ErrorRow): ErrorRow {
    const isOld = this.#context.apiVersion <= lastVersionWithoutStorageError
    return isOld && error === errors.KAFKA_STORAGE_ERROR ? errors.NOT_LEADER_OR_FOLLOWER : error
  }

  /** Without records, errors and news: the session stands where it stood, and none is opened. */
  #nothing(): FetchResponse {
    this.#context.releaseUnsent()
    this.#context.expectReply(0)
    return { errorCode: errors.NONE.code, sessionId: this.#session.openId, responses: [] }
  }

  #answer(): FetchResponse {
    const session = this.#session
    const stale = session.stale()
    if (stale !== null) {
      return { errorCode: stale.code, sessionId: this.#request.sessionId, responses: [] }
    }
    if (!this.#isReplica && this.#context.isOverQuota()) return this.#nothing()
    const topics: (AnsweredTopic & { partitions: AnsweredPartition[] })[] = []
    let recordBytes = 0
    for (const { fetched, answer, traffic, bytes } of this.#rows) {
      recordBytes += bytes
      session.told(fetched, answer, bytes)
      if (bytes > 0) traffic?.countSent(bytes)
      const { topic, topicId } = fetched
      const isOf = (one: AnsweredTopic | undefined): boolean =>
        one !== undefined && one.topic === topic && one.topicId === topicId
      // Where reading began amid a topic, what it passed over came last.
      const known = [topics.at(-1), topics[0]].find(isOf)
      if (known === undefined) topics.push({ topic, topicId, partitions: [answer] })
      else known.partitions.push(answer)
    }
    this.#context.countRecords(recordBytes)
    const response: Mutable<FetchResponse> = {
      throttleTimeMs: 0,
      errorCode: errors.NONE.code,
      sessionId: session.sessionId(),
      responses: topics,
    }
    if (this.#leaders !== null) response.nodeEndpoints = this.#leaders.nodes
    return response
  }
}

/** The error for the whole request, and for clients that look only there for each partition. */
function refuseAll({ topics }: FetchRequest, { code }: ErrorRow, version: number): FetchResponse {
  if (version >= firstVersionWithTopicIds) return { errorCode: code, sessionId: 0, responses: [] }
  const responses = topics.map(({ topic, topicId, partitions }) => ({
    topic,
    topicId,
    partitions: partitions.map(({ partition }) => ({
      partitionIndex: partition,
      errorCode: code,
      ...nothing,
    })),
  }))
  return { errorCode: code, sessionId: 0, responses }
}

/** What an answer says about a partition that is not here. */
const nothing: Omit<AnsweredPartition, 'partitionIndex' | 'errorCode'> = {
  highWatermark: -1,
  lastStableOffset: -1,
  logStartOffset: -1,
  abortedTransactions: [],
  preferredReadReplica: -1,
  records: [],
}
/** About one that is here and could not be read. */
const notRead: typeof nothing = { ...nothing, abortedTransactions: null }

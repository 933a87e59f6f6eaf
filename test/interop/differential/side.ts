/** One broker of the two: where it is, what it calls things, and how it is brought to where both begin. */
import { setTimeout } from 'node:timers/promises'
import { type ApiRow, apis } from '../../../protocol/apis.ts'
import { errors } from '../../../protocol/errors.ts'
import { encodeBatch, type NewBatch } from '../../../protocol/records/record.ts'
import type { InputOf, MessageOf } from '../../../protocol/schema.ts'
import { zeroUuid } from '../../../protocol/types.ts'
import type { BrokerProcess } from '../../damage/broker-process.ts'
import { decodeAnswer, frameOf, Outcome, Peer } from '../../hostile/peer.ts'
import { type Outline, outline } from './outline.ts'
import { ownMemberId, topics } from './pools.ts'
import { World } from './world.ts'

/** A request waits for no more than this: then it counts as not answered, by both alike it is hoped. */
const answerLimitMs = 2_500
const triesMax = 200
const retryMs = 25
const idleTriesMax = 20
/** Long enough that nothing begun here ends by itself during a run. */
const transactionTimeoutMs = 900_000
const sessionTimeoutMs = 300_000
/** A member that says so leaves its share group. */
const leavingEpoch = -1

export class Side {
  readonly world = new World()
  readonly #broker: BrokerProcess
  #peer: Peer | undefined

  constructor(broker: BrokerProcess) {
    this.#broker = broker
  }

  async #connected(): Promise<Peer> {
    if (this.#peer === undefined || this.#peer.isClosed) {
      this.#peer = await Peer.open(this.#broker.port, new Outcome())
    }
    if (this.#peer === undefined) throw new Error(`${this.#broker.kind} takes no connection`)
    return this.#peer
  }

  /** The outline of the answer, or why there is none. */
  async ask(api: ApiRow, version: number, request: object): Promise<Outline> {
    const peer = await this.#connected()
    const pending = peer.answer(answerLimitMs)
    await peer.send(frameOf(api, version, this.world.fill(request) as never))
    const frame = await pending
    if (frame === undefined) {
      const why = peer.isClosed ? 'connection closed' : 'no answer'
      peer.close()
      return { errors: [`(${why})`], values: [] }
    }
    const answer: unknown = decodeAnswer(api, version, frame)
    if (answer === undefined) return { errors: ['(answer cannot be read)'], values: [] }
    this.world.learn(request, answer)
    return outline(answer, this.world)
  }

  /** As `ask`; again where a transaction is just being ended, which takes each its own time. */
  async askUntilIdle(api: ApiRow, version: number, request: object): Promise<Outline> {
    let answer = await this.ask(api, version, request)
    for (let tries = 0; tries < idleTriesMax && answer.errors.some(isConcurrent); tries++) {
      await setTimeout(retryMs)
      answer = await this.ask(api, version, request)
    }
    return answer
  }

  /** [lowest, highest] version by key. */
  async versions(): Promise<Map<number, readonly [number, number]>> {
    const software = { clientSoftwareName: 'differential', clientSoftwareVersion: '1' }
    const { apiKeys = [] } = await this.#call(apis.apiVersions, 3, software)
    return new Map(
      apiKeys.map(({ apiKey, minVersion, maxVersion }) => [apiKey, [minVersion, maxVersion]]),
    )
  }

  /** What topics there are and how many partitions have a leader. */
  async layout(): Promise<string> {
    return this.world.refresh(await this.#connected())
  }

  /** Has the internal topics made, which the two make at moments of their own. */
  async settleCoordinators(): Promise<void> {
    for (const keyType of [0, 1, 2]) {
      const key = keyType === 2 ? `group-1:${zeroUuid}:0` : 'group-1'
      await this.#until(async () => {
        const request = { keyType, coordinatorKeys: [key] }
        const { coordinators = [] } = await this.#call(apis.findCoordinator, 4, request)
        return coordinators[0]?.errorCode !== errors.COORDINATOR_NOT_AVAILABLE.code
      })
    }
  }

  /** Deletes all topics but the internal ones, and makes those that requests speak of. */
  async resetTopics(): Promise<void> {
    await this.layout()
    const there = this.world.topics.filter((name) => !name.startsWith('__'))
    if (there.length > 0) {
      await this.#call(apis.deleteTopics, 5, { topicNames: there, timeoutMs: 5000 })
    }
    await this.#until(async () => !(await this.layout()).split('\n').some(isOfUse))
    await this.settleCoordinators()
    await this.#call(apis.createTopics, 7, {
      timeoutMs: 5000,
      topics: topics.map((name) => ({
        name,
        numPartitions: 3,
        replicationFactor: 1,
        assignments: [],
        configs: name === 'compacted' ? [{ name: 'cleanup.policy', value: 'compact' }] : [],
      })),
    })
    for (const name of topics) {
      for (const index of [0, 1, 2]) await this.#append(name, index, ['a', 'b', 'c'], {})
    }
    await this.#append('orders', 1, ['d', 'e'], { compression: 'gzip' })
    await this.#fillLedger()
    await this.layout()
  }

  /** Begins groups and transactions of a new generation; each in a state of its own. */
  async begin(): Promise<void> {
    this.world.begin()
    const { results = [] } = await this.#call(apis.describeLogDirs, 4, { topics: [] })
    this.world.logDirectory = results[0]?.logDir ?? ''
    await this.#joinClassic('group-1')
    const topic = { name: 'orders', partitions: [{ partitionIndex: 0, committedOffset: 1 }] }
    for (const groupId of ['group-1', 'group-2']) {
      const caller = groupId === 'group-1' ? this.#member(groupId) : {}
      const request = { groupId, memberId: '', ...caller, topics: [topic] }
      await this.#tell(apis.offsetCommit, 8, request)
    }
    await this.#tell(apis.consumerGroupHeartbeat, 0, {
      groupId: 'new-style',
      memberId: '',
      memberEpoch: 0,
      instanceId: null,
      rackId: null,
      rebalanceTimeoutMs: 60_000,
      subscribedTopicNames: ['orders'],
      serverAssignor: null,
      topicPartitions: [],
    })
    await this.#share('sharers', 0)
    await this.#share('empty-sharers', 0)
    await this.#share('empty-sharers', leavingEpoch)
    await this.#initProducer(null)
    await this.#initProducer('tx-1')
    await this.#initProducer('tx-2')
    await this.#addPartition('tx-2', 'ledger', 1)
  }

  async #joinClassic(groupId: string): Promise<void> {
    await this.#tell(apis.joinGroup, 3, {
      groupId,
      sessionTimeoutMs,
      rebalanceTimeoutMs: 400,
      memberId: '',
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: Buffer.alloc(0) }],
    })
    const { memberId, generationIdOrMemberEpoch: generationId } = this.#member(groupId)
    const assignments = [{ memberId, assignment: Buffer.from('mine') }]
    await this.#tell(apis.syncGroup, 3, { groupId, memberId, generationId, assignments })
  }

  async #share(groupId: string, memberEpoch: number): Promise<void> {
    await this.#tell(apis.shareGroupHeartbeat, 1, {
      groupId,
      memberId: ownMemberId,
      memberEpoch,
      rackId: null,
      subscribedTopicNames: ['orders'],
    })
  }

  #member(groupId: string): { memberId: string; generationIdOrMemberEpoch: number } {
    const { id, epoch } = this.world.memberOf(groupId)
    return { memberId: id, generationIdOrMemberEpoch: epoch }
  }

  async #initProducer(transactionalId: string | null): Promise<void> {
    const request = { transactionalId, transactionTimeoutMs }
    await this.#until(async () => {
      const { errorCode } = await this.#tell(apis.initProducerId, 4, request)
      return errorCode === errors.NONE.code
    })
  }

  async #addPartition(id: string, name: string, index: number): Promise<void> {
    const { id: producerId, epoch } = this.world.producerOf(id)
    await this.#tell(apis.addPartitionsToTxn, 3, {
      v3AndBelowTransactionalId: id,
      v3AndBelowProducerId: producerId,
      v3AndBelowProducerEpoch: epoch,
      v3AndBelowTopics: [{ name, partitions: [index] }],
    })
  }

  /** One transaction that was aborted, and one that was committed. */
  async #fillLedger(): Promise<void> {
    for (const committed of [false, true]) {
      await this.#initProducer('filler')
      await this.#addPartition('filler', 'ledger', 0)
      const { id: producerId, epoch: producerEpoch } = this.world.producerOf('filler')
      const producer = { producerId, producerEpoch, baseSequence: 0, isTransactional: true }
      await this.#append('ledger', 0, ['f', 'g'], producer, 'filler')
      const ending = { transactionalId: 'filler', producerId, producerEpoch, committed }
      await this.#tell(apis.endTxn, 3, ending)
    }
    // Answered when the last one has been carried out.
    await this.#initProducer('filler')
  }

  async #append(
    name: string,
    index: number,
    keys: readonly string[],
    batch: Partial<NewBatch>,
    transactionalId: string | null = null,
  ): Promise<void> {
    const records = keys.map((key) => ({
      timestamp: 1_700_000_000_000,
      key: Buffer.from(key),
      value: Buffer.from('first'),
    }))
    const partitionData = [{ index, records: [encodeBatch({ records, ...batch })] }]
    const topicData = [{ name, partitionData }]
    const request = { transactionalId, acks: -1, timeoutMs: 5000, topicData }
    await this.#until(async () => {
      const { responses = [] } = await this.#call(apis.produce, 9, request)
      return responses[0]?.partitionResponses[0]?.errorCode === errors.NONE.code
    })
  }

  /** As `#call`, in the names of this generation, and takes what the answer gives out. */
  async #tell<Api extends ApiRow>(
    api: Api,
    version: number,
    request: InputOf<Api['request']>,
  ): Promise<Partial<MessageOf<Api['response']>>> {
    const filled = this.world.fill(request) as InputOf<Api['request']>
    const answer = await this.#call(api, version, filled)
    this.world.learn(request, answer)
    return answer
  }

  async #call<Api extends ApiRow>(
    api: Api,
    version: number,
    request: InputOf<Api['request']>,
  ): Promise<Partial<MessageOf<Api['response']>>> {
    return (await (await this.#connected()).call(api, version, request)) ?? {}
  }

  async #until(isDone: () => Promise<boolean>): Promise<void> {
    for (let tries = 0; tries < triesMax; tries++) {
      if (await isDone()) return
      await setTimeout(retryMs)
    }
  }
}

function isConcurrent(line: string): boolean {
  return line.endsWith(': CONCURRENT_TRANSACTIONS')
}

function isOfUse(line: string): boolean {
  return line !== '' && !line.startsWith('__')
}

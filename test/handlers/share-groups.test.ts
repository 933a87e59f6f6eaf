/**
 * A share group from end to end, through a whole broker that is killed again and again: what was accepted
 * never comes back, what one member has no other is given, and everything is delivered.
 */
import t from 'tap'
import { apis } from '../../protocol/apis.ts'
import { errors } from '../../protocol/errors.ts'
import { encodeBatch } from '../../protocol/records/record.ts'
import { configResource } from '../../src/metadata/image.ts'
import { SeededRandom } from '../simulator/random.ts'
import { OneBroker } from './one-broker.ts'

const topic = 'orders'
const groupId = 'sharers'
const lockMs = 15_000
const limits = { maxWaitMs: 100, minBytes: 1, maxBytes: 1_000_000, maxRecords: 20, batchSize: 20 }

interface Held {
  readonly memberId: string
  readonly untilMs: number
}

class ShareGroupStory {
  readonly broker = new OneBroker({ 'log.retention.ms': '-1' })
  topicId = ''
  readonly accepted = new Set<number>()
  /** Deliveries by offset. */
  readonly deliveries = new Map<number, number>()
  readonly #epochs = new Map<string, number>()
  readonly #sessionEpochs = new Map<string, number>()
  readonly #held = new Map<number, Held>()

  async start(): Promise<void> {
    await this.broker.start()
    await this.broker.createTopic('admin', topic)
    const named = await this.broker.ask('admin', apis.metadata, { topics: [{ name: topic }] })
    this.topicId = named.topics[0]?.topicId ?? ''
    const settings = {
      'share.auto.offset.reset': 'earliest',
      'share.record.lock.duration.ms': `${lockMs}`,
      'share.delivery.count.limit': '10',
    }
    const configs = Object.entries(settings).map(([name, value]) => {
      return { name, value, configOperation: 0 }
    })
    const resource = { resourceType: configResource.GROUP, resourceName: groupId, configs }
    const alter = { resources: [resource], validateOnly: false }
    await this.broker.ask('admin', apis.incrementalAlterConfigs, alter)
    const asked = { keyType: 0, coordinatorKeys: [groupId] }
    await this.broker.ask('admin', apis.findCoordinator, asked)
  }

  get nowMs(): number {
    return this.broker.world.nowMs
  }

  async produce(count: number): Promise<void> {
    const value = Buffer.from('v')
    const records = Array.from({ length: count }, () => ({ timestamp: 1, key: null, value }))
    const partitionData = [{ index: 0, records: [encodeBatch({ records })] }]
    const topicData = [{ topicId: this.topicId, partitionData }]
    const request = { transactionalId: null, acks: -1, timeoutMs: 1000, topicData }
    await this.broker.ask('producer', apis.produce, request)
  }

  async beat(memberId: string): Promise<void> {
    const memberEpoch = this.#epochs.get(memberId) ?? 0
    const subscribedTopicNames = memberEpoch === 0 ? [topic] : null
    const request = { groupId, memberId, memberEpoch, rackId: null, subscribedTopicNames }
    const beaten = await this.broker.ask(memberId, apis.shareGroupHeartbeat, request)
    this.#epochs.set(memberId, beaten.errorCode === 0 ? beaten.memberEpoch : 0)
  }

  /** Fetches, and says of everything it gets what `typeOf` says; null: nothing. */
  async work(memberId: string, typeOf: (offset: number) => number | null): Promise<void> {
    const epoch = this.#sessionEpochs.get(memberId) ?? 0
    const partitions = [{ partitionIndex: 0, acknowledgementBatches: [] }]
    const fetched = await this.broker.ask(memberId, apis.shareFetch, {
      ...limits,
      groupId,
      memberId,
      shareSessionEpoch: epoch,
      shareAcquireMode: 0,
      isRenewAck: false,
      topics: epoch === 0 ? [{ topicId: this.topicId, partitions }] : [],
      forgottenTopicsData: [],
    })
    if (fetched.errorCode !== 0) {
      this.#sessionEpochs.set(memberId, 0)
      return
    }
    this.#sessionEpochs.set(memberId, epoch + 1)
    const given = fetched.responses.flatMap((each) =>
      each.partitions.flatMap(({ acquiredRecords }) => acquiredRecords),
    )
    const offsets = given.flatMap(({ firstOffset, lastOffset }) =>
      Array.from({ length: lastOffset - firstOffset + 1 }, (_, index) => firstOffset + index),
    )
    for (const offset of offsets) this.#give(memberId, offset)
    await this.#acknowledge(memberId, offsets, typeOf)
  }

  #give(memberId: string, offset: number): void {
    if (this.accepted.has(offset)) throw new Error(`${offset} came back after it was accepted`)
    const holder = this.#held.get(offset)
    if (holder !== undefined && holder.untilMs > this.nowMs) {
      throw new Error(`${offset} was given to ${memberId} while ${holder.memberId} had it`)
    }
    this.#held.set(offset, { memberId, untilMs: this.nowMs + lockMs - 1000 })
    this.deliveries.set(offset, (this.deliveries.get(offset) ?? 0) + 1)
  }

  async #acknowledge(
    memberId: string,
    offsets: readonly number[],
    typeOf: (offset: number) => number | null,
  ): Promise<void> {
    const said = offsets.flatMap((offset) => {
      const type = typeOf(offset)
      return type === null ? [] : [{ offset, type }]
    })
    if (said.length === 0) return
    const acknowledgementBatches = said.map(({ offset, type }) => {
      return { firstOffset: offset, lastOffset: offset, acknowledgeTypes: [type] }
    })
    const epoch = this.#sessionEpochs.get(memberId) ?? 0
    this.#sessionEpochs.set(memberId, epoch + 1)
    const partitions = [{ partitionIndex: 0, acknowledgementBatches }]
    const answer = await this.broker.ask(memberId, apis.shareAcknowledge, {
      groupId,
      memberId,
      shareSessionEpoch: epoch,
      isRenewAck: false,
      topics: [{ topicId: this.topicId, partitions }],
    })
    const code = answer.errorCode || answer.responses[0]?.partitions[0]?.errorCode
    if (code !== 0) throw new Error(`what ${memberId} had was not its own: ${code}`)
    for (const { offset, type } of said) {
      this.#held.delete(offset)
      if (type === 1) this.accepted.add(offset)
    }
  }

  /** Locks and sessions are gone with the process; members come back. */
  async kill(): Promise<void> {
    await this.broker.restart('kill')
    for (const host of ['admin', 'producer', ...this.#epochs.keys()]) {
      // The first request finds that the connection is gone.
      await this.broker.ask(host, apis.metadata, { topics: [] }).catch(() => null)
    }
    this.#held.clear()
    this.#sessionEpochs.clear()
  }

  async lag(): Promise<number | undefined> {
    const groups = [{ groupId, topics: null }]
    const answer = await this.broker.ask('admin', apis.describeShareGroupOffsets, { groups })
    return answer.groups[0]?.topics[0]?.partitions[0]?.lag
  }
}

t.test('a group goes on through kills of its broker, and loses and repeats nothing', async (t) => {
  for (const seed of [1, 2, 3]) {
    const random = new SeededRandom(seed)
    const below = (limit: number) => Math.floor(random.float() * limit)
    const story = new ShareGroupStory()
    await story.start()
    const members = ['ann', 'ben', 'cat']
    let produced = 0
    for (let step = 0; step < 120; step++) {
      const memberId = members[below(3)] as string
      const what = below(20)
      if (what < 4) {
        const count = 1 + below(15)
        await story.produce(count)
        produced += count
      } else if (what < 8) await story.beat(memberId)
      else if (what < 18) {
        await story.work(memberId, () => [1, 1, 2, null][below(4)] as number | null)
      } else if (what < 19) await story.broker.world.runFor(below(20_000))
      else await story.kill()
    }
    for (let round = 0; story.accepted.size < produced && round < 200; round++) {
      const memberId = members[round % 3] as string
      await story.beat(memberId)
      await story.work(memberId, () => 1)
      await story.broker.world.runFor(2000)
    }
    t.equal(story.accepted.size, produced, `seed ${seed}: all ${produced} were accepted`)
    t.equal(story.deliveries.size, produced, 'each was delivered')
    t.equal(await story.lag(), 0, 'and the group is not behind')
    await story.kill()
    t.equal(await story.lag(), 0, 'nor after another kill')
  }
})

t.test('a group that was deleted begins anew', async (t) => {
  const story = new ShareGroupStory()
  await story.start()
  await story.produce(3)
  for (let round = 0; round < 4; round++) await story.beat('ann')
  await story.work('ann', () => 1)
  t.equal(story.accepted.size, 3)
  const leave = { groupId, memberId: 'ann', memberEpoch: -1, rackId: null }
  const request = { ...leave, subscribedTopicNames: null }
  await story.broker.ask('ann', apis.shareGroupHeartbeat, request)
  const doomed = { groupsNames: [groupId] }
  t.match(await story.broker.ask('admin', apis.deleteGroups, doomed), {
    results: [{ errorCode: 0 }],
  })
  t.match(await story.broker.ask('admin', apis.deleteGroups, doomed), {
    results: [{ errorCode: errors.GROUP_ID_NOT_FOUND.code }],
  })
  t.equal(await story.lag(), undefined)
})

/**
 * Requests about thousands of things stop often enough for others to be heard. Not the time is looked at, but
 * how much is done from one stop to the next: every look at an element of the request is counted.
 */
import t from 'tap'
import { type ApiRow, apis } from '../../protocol/apis.ts'
import { errors } from '../../protocol/errors.ts'
import { BrokerConfig } from '../../src/config/broker-config.ts'
import type { Steps } from '../../src/environment/in-turns.ts'
import { addPartitionsToTxn } from '../../src/handlers/add-partitions-to-txn.ts'
import { offsetCommit } from '../../src/handlers/offset-commit.ts'
import { txnOffsetCommit } from '../../src/handlers/txn-offset-commit.ts'
import { createPartitions } from '../../src/metadata/controller/create-partitions.ts'
import { createTopics } from '../../src/metadata/controller/create-topics.ts'
import { unlimitedMutations } from '../../src/metadata/controller/decision.ts'
import type { ConnectionContext, RequestContext } from '../../src/server/request-context.ts'
import { newTopic, openNode } from '../metadata/metadata-node.ts'
import { requestContext } from './request-context.ts'

/** Elements that may be looked at from one stop to the next. */
const stretchMax = 64

/** Counts looks, and the most of them from one stop to the next. */
class Stretches {
  longest = 0
  stops = 0
  #looks = 0

  /** The same elements, each look at which counts. */
  watched<Item>(items: readonly Item[]): Item[] {
    const get = (target: Item[], key: string | symbol): unknown => {
      if (typeof key === 'string' && /^\d/.test(key)) this.#look()
      return Reflect.get(target, key)
    }
    return new Proxy([...items], { get })
  }

  #look(): void {
    this.longest = Math.max(this.longest, ++this.#looks)
  }

  finish<Result>(steps: Steps<Result>): Result {
    for (;;) {
      const step = steps.next()
      this.#looks = 0
      if (step.done === true) return step.value
      this.stops++
    }
  }

  context(api: ApiRow, version: number): RequestContext {
    const connection = { isOpen: true } as ConnectionContext
    return requestContext(api, version, connection, { inTurns: (steps) => this.finish(steps) })
  }
}

const count = 5000
const numbers = Array.from({ length: count }, (_, index) => index)

/** `orders` has so many partitions, and nothing else is there. */
const topics = {
  topicIdOf: () => undefined,
  topicNameOf: () => undefined,
  partitionCountOf: (name: string) => (name === 'orders' ? count : undefined),
}

t.test('AddPartitionsToTxn', async (t) => {
  for (const name of ['orders', 'none']) {
    const stretches = new Stretches()
    const added = new Map(numbers.map((index) => [`orders-${index}`, errors.NONE]))
    const transactions = { addPartitions: async () => added }
    const { handle } = addPartitionsToTxn({ transactions, topics } as never)
    const request = {
      v3AndBelowTransactionalId: 'tx',
      v3AndBelowProducerId: 1,
      v3AndBelowProducerEpoch: 0,
      v3AndBelowTopics: [{ name, partitions: stretches.watched(numbers) }],
      transactions: [],
    }
    const answer = await handle(request, stretches.context(apis.addPartitionsToTxn, 3))
    const [topic] = answer?.resultsByTopicV3AndBelow ?? []
    const codes = topic?.resultsByPartition.map(({ partitionErrorCode }) => partitionErrorCode)
    t.strictSame(new Set(codes), new Set([name === 'orders' ? 0 : 3]), name)
    t.equal(codes?.length, count)
    t.ok(stretches.longest <= stretchMax, `${stretches.longest} from stop to stop`)
  }
})

function committed(stretches: Stretches, indexes: readonly number[]) {
  const partition = (partitionIndex: number) => ({
    partitionIndex,
    committedOffset: 1,
    committedLeaderEpoch: -1,
    committedMetadata: '',
  })
  return stretches.watched(indexes.map(partition))
}

t.test('OffsetCommit and TxnOffsetCommit', async (t) => {
  const zeroes = { groupId: 'g', memberId: '', groupInstanceId: null }
  for (const name of ['orders', 'none']) {
    const stretches = new Stretches()
    const groups = {
      // In one go, whatever is asked: that is the coordinator's, and is looked at behind our backs.
      commitOffsets: async (asked: { topics: { partitions: object[] }[] }) => ({
        topics: asked.topics.map((topic) => ({
          ...topic,
          partitions: stretches.watched(topic.partitions.map((one) => ({ ...one, errorCode: 0 }))),
        })),
      }),
    }
    const { handle } = offsetCommit({ groups, topics } as never)
    const partitions = committed(stretches, [...numbers, -1])
    const request = {
      ...zeroes,
      generationIdOrMemberEpoch: -1,
      retentionTimeMs: -1,
      topics: [{ name, topicId: '', partitions }],
    }
    const answer = await handle(request as never, stretches.context(apis.offsetCommit, 8))
    const codes = answer?.topics[0]?.partitions.map(({ errorCode }) => errorCode) ?? []
    t.equal(codes.length, count + 1)
    t.equal(codes.filter((code) => code === 3).length, name === 'orders' ? 1 : count + 1)
    t.ok(stretches.longest <= stretchMax, `${stretches.longest} from stop to stop`)
  }
  const stretches = new Stretches()
  const { handle } = txnOffsetCommit({ topics } as never)
  const request = {
    ...zeroes,
    transactionalId: 'tx',
    producerId: 1,
    producerEpoch: 0,
    generationIdOrMemberEpoch: -1,
    topics: [{ name: 'none', topicId: '', partitions: committed(stretches, numbers) }],
  }
  const answer = await handle(request, stretches.context(apis.txnOffsetCommit, 3))
  t.equal(answer?.topics[0]?.partitions.length, count)
  t.ok(stretches.longest <= stretchMax, `${stretches.longest} from stop to stop`)
})

t.test('partitions of new topics, and of topics that grow', async (t) => {
  const node = await openNode()
  const { controller } = node.metadata
  const orders = newTopic('orders', { partitions: 1 })
  await node.finish(controller.createTopics({ topics: [orders], validateOnly: false }))
  const { image } = node.metadata
  const creation = {
    config: new BrokerConfig(new Map([['node.id', '1']])),
    random: () => 0,
    newUuid: () => 'MMMMMMMMTMmMMMMMMMMMMA',
    countMutations: unlimitedMutations,
  }
  const made = (names: readonly string[]) => {
    const stretches = new Stretches()
    const large = names.map((name) => newTopic(name, { partitions: count }))
    const request = { topics: large, validateOnly: false }
    return { stretches, steps: createTopics(image, request, creation as never) }
  }
  const one = made(['one'])
  t.equal(one.stretches.finish(one.steps).records.length, count + 1)
  // They are laid out, and then recorded.
  t.ok(one.stretches.stops >= (2 * count) / stretchMax, `${one.stretches.stops} stops`)

  const three = made(['one', 'two', 'three'])
  t.throws(() => three.stretches.finish(three.steps), /excessively large/)
  const most = 2.1 * one.stretches.stops
  t.ok(three.stretches.stops < most, 'nothing is laid out that there is no room for')

  const growing = new Stretches()
  const growth = { topics: [{ name: 'orders', count: count + 1, assignments: null }] }
  const request = { ...growth, validateOnly: false }
  const grown = createPartitions(image, request as never, () => 0, unlimitedMutations)
  t.equal(growing.finish(grown).records.length, count)
  t.ok(growing.stops >= (2 * count) / stretchMax, `${growing.stops} stops`)
})

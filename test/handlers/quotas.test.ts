/** Quotas set as an administrator sets them, and what producers, consumers and administrators get then. */
import t from 'tap'
import { apis } from '../../protocol/apis.ts'
import { errors } from '../../protocol/errors.ts'
import { encodeBatch } from '../../protocol/records/record.ts'
import { zeroUuid } from '../../protocol/types.ts'
import { OneBroker } from './one-broker.ts'

const NONE = errors.NONE.code
const THROTTLED = errors.THROTTLING_QUOTA_EXCEEDED.code

class Story {
  readonly broker = new OneBroker()
  readonly #clock = this.broker.world.start('watch').environment.clock

  async start(): Promise<void> {
    await this.broker.start()
    await this.broker.createTopic('admin', 't')
  }

  get nowMs(): number {
    return this.broker.world.nowMs
  }

  /** Of every user, or of one address; undefined takes the quota away. */
  async set(key: string, value: number | undefined, address?: string): Promise<void> {
    const type = address === undefined ? 'user' : 'ip'
    const entity = [{ entityType: type, entityName: address ?? null }]
    const ops = [{ key, value: value ?? 0, remove: value === undefined }]
    const request = { entries: [{ entity, ops }], validateOnly: false }
    const { entries } = await this.broker.ask('admin', apis.alterClientQuotas, request)
    t.equal(entries[0]?.errorCode, NONE)
  }

  /** The time that the answer says to wait for. */
  async produce(bytes: number): Promise<number> {
    const value = Buffer.alloc(bytes - 100)
    const timestamp = this.#clock.now()
    const records = [encodeBatch({ records: [{ timestamp, key: null, value }] })]
    const answer = await this.broker.ask(
      'producer',
      apis.produce,
      {
        transactionalId: null,
        acks: 1,
        timeoutMs: 1000,
        topicData: [{ name: 't', partitionData: [{ index: 0, records }] }],
      },
      12,
    )
    t.equal(answer.responses[0]?.partitionResponses[0]?.errorCode, NONE)
    return answer.throttleTimeMs
  }

  async fetch(fetchOffset: number, more: { sessionId?: number; sessionEpoch?: number } = {}) {
    const partition = { partition: 0, fetchOffset, partitionMaxBytes: 1_000_000 }
    const request = {
      maxWaitMs: 0,
      minBytes: 1,
      maxBytes: 1_000_000,
      sessionEpoch: -1,
      ...more,
      topics: [{ topic: 't', partitions: [partition] }],
    }
    const answer = await this.broker.ask('consumer', apis.fetch, request, 12)
    t.equal(answer.errorCode, NONE)
    const records = answer.responses[0]?.partitions[0]?.records as readonly Buffer[] | undefined
    const bytes = (records ?? []).reduce((sum, chunk) => sum + chunk.length, 0)
    return { ...answer, bytes }
  }
}

t.test('producers get their quota, and no more', async (t) => {
  const story = new Story()
  await story.start()
  t.equal(await story.produce(50_000), 0)
  await story.set('producer_byte_rate', 20_000)
  let bytes = 0
  let beganMs = 0
  let waitedMs = 0
  while (story.nowMs < 120_000) {
    // Nobody keeps to what the answers say: the connection is not listened to.
    waitedMs += await story.produce(8_000)
    if (story.nowMs < 20_000) beganMs = story.nowMs
    else bytes += 8_000
  }
  const reached = (bytes * 1000) / (story.nowMs - beganMs)
  t.ok(Math.abs(reached / 20_000 - 1) < 0.1, `${reached}`)
  t.ok(waitedMs > 60_000)
  await story.set('producer_byte_rate', undefined)
  t.equal(await story.produce(900_000), 0)

  // It is known after the broker was killed.
  await story.set('producer_byte_rate', 1000)
  await story.broker.restart()
  t.equal(await story.produce(9_000), 0)
  t.ok((await story.produce(20_000)) > 0)
})

t.test('consumers get their quota, without gaps and without starving', async (t) => {
  const story = new Story()
  await story.start()
  for (let i = 0; i < 300; i++) await story.produce(8_000)
  await story.set('consumer_byte_rate', 20_000)
  const batchBytes = (await story.fetch(299)).bytes
  let offset = 0
  let bytes = 0
  let beganMs = 0
  let largest = 0
  while (offset < 300) {
    const fetched = await story.fetch(offset)
    t.ok(fetched.throttleTimeMs === 0 || fetched.bytes === 0, 'nothing while it has to wait')
    offset += fetched.bytes / batchBytes
    largest = Math.max(largest, fetched.bytes)
    if (beganMs === 0) beganMs = story.nowMs
    else bytes += fetched.bytes
  }
  t.equal(offset, 300)
  t.ok(largest <= 20_000, 'no more at once than a window brings')
  const reached = (bytes * 1000) / (story.nowMs - beganMs)
  t.ok(Math.abs(reached / 20_000 - 1) < 0.1, `${reached}`)

  await story.broker.world.runFor(12_000)
  // A batch that is more than all windows bring comes through when they are over.
  await story.set('consumer_byte_rate', 100)
  t.ok((await story.fetch(0)).bytes > 0)
  t.equal((await story.fetch(1)).bytes, 0)
})

t.test('a session stands while its consumer waits', async (t) => {
  const story = new Story()
  await story.start()
  for (let i = 0; i < 4; i++) await story.produce(8_000)
  await story.set('consumer_byte_rate', 1000)
  const opened = await story.fetch(0, { sessionEpoch: 0 })
  const { sessionId } = opened
  t.not(sessionId, 0)
  t.ok(opened.bytes > 0)
  await story.fetch(1)
  const next = await story.fetch(1, { sessionId, sessionEpoch: 1 })
  t.same([next.bytes > 0, next.throttleTimeMs > 0], [false, true])
  t.same([next.sessionId, next.responses], [sessionId, []])
  const another = await story.fetch(1, { sessionEpoch: 0 })
  t.equal(
    another.sessionId,
    another.bytes > 0 ? another.sessionId : 0,
    'none is opened for nothing',
  )
  await story.set('consumer_byte_rate', undefined)
  const after = await story.fetch(1, { sessionId, sessionEpoch: 2 })
  t.same([after.sessionId, after.bytes > 0, after.throttleTimeMs], [sessionId, true, 0])
})

t.test('changes of the cluster are refused beyond the quota, or slowed down', async (t) => {
  const story = new Story()
  await story.start()
  const { broker } = story
  await story.set('controller_mutation_rate', 1)
  const create = async (names: string[], numPartitions: number, version?: number) => {
    const answer = await broker.ask(
      'admin',
      apis.createTopics,
      {
        topics: names.map((name) => ({
          name,
          numPartitions,
          replicationFactor: 1,
          assignments: [],
          configs: [],
        })),
        timeoutMs: 1000,
        validateOnly: false,
      },
      version,
    )
    return [answer.topics.map(({ errorCode }) => errorCode), answer.throttleTimeMs > 0]
  }
  t.same(await create(['a', 'b', 'c'], 8), [[NONE, NONE, THROTTLED], true])
  const beganMs = story.nowMs
  t.same(await create(['d'], 1), [[NONE], false], 'after the wait')
  t.ok(story.nowMs - beganMs > 4000)
  t.same(await create(['e'], 20, 5), [[NONE], true], 'an old client')
  const grown = await broker.ask('grower', apis.createPartitions, {
    topics: [{ name: 'd', count: 2, assignments: null }],
    timeoutMs: 1000,
    validateOnly: false,
  })
  t.match(grown, { results: [{ errorCode: THROTTLED }] })
  t.ok(grown.throttleTimeMs > 10_000)
  const deletion = { topics: [{ name: 'd', topicId: zeroUuid }], timeoutMs: 1000 }
  const deleted = await broker.ask('deleter', apis.deleteTopics, deletion)
  t.match(deleted, { responses: [{ errorCode: THROTTLED, name: 'd' }] })
  const asked = { topics: [{ name: 'auto' }], allowAutoTopicCreation: true }
  const { topics } = await broker.ask('consumer', apis.metadata, asked)
  t.equal(topics[0]?.errorCode, errors.UNKNOWN_TOPIC_OR_PARTITION.code, 'asked for again later')
  t.match(await broker.ask('deleter', apis.deleteTopics, deletion), {
    responses: [{ errorCode: NONE }],
  })
})

t.test('addresses have connections at the rate that is set for them', async (t) => {
  const story = new Story()
  await story.start()
  await story.set('connection_creation_rate', 1, 'storm')
  const { environment } = story.broker.world.start('storm')
  const storm = async (): Promise<number> => {
    const open = Array.from({ length: 40 }, async () => {
      const stream = await environment.network.connect({ host: 'broker', port: 9092 })
      return new Promise<number>((resolve) => {
        const timer = environment.timers.after(5000, () => resolve(1))
        stream.onData = () => {}
        stream.onDrain = () => {}
        stream.onClose = () => {
          timer.cancel()
          resolve(0)
        }
      })
    })
    return (await Promise.all(open)).reduce((sum, one) => sum + one, 0)
  }
  t.equal(await story.broker.world.run(storm()), 10)
  await story.set('connection_creation_rate', undefined, 'storm')
  t.equal(await story.broker.world.run(storm()), 40)
})

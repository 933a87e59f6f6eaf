/** The client against a Millrace broker in the simulated world: administration, and a group of two. */
import t from 'tap'
import { Broker } from '../../src/broker.ts'
import {
  describeCluster,
  describeFeatures,
  describeLogDirs,
  describeQuorum,
} from '../../src/client/admin/brokers.ts'
import {
  alterConfigs,
  describeConfigs,
  listConfigResources,
} from '../../src/client/admin/configs.ts'
import {
  deleteGroupOffsets,
  deleteGroups,
  describeGroup,
  listGroups,
} from '../../src/client/admin/groups.ts'
import {
  createPartitions,
  createTopics,
  deleteRecords,
  deleteTopics,
} from '../../src/client/admin/topics.ts'
import { Cluster } from '../../src/client/cluster.ts'
import { Consumer } from '../../src/client/consumer.ts'
import {
  commitOffsets,
  earliest,
  fetchCommitted,
  latest,
  listOffsets,
} from '../../src/client/offsets.ts'
import { Producer } from '../../src/client/producer.ts'
import { BrokerConfig } from '../../src/config/broker-config.ts'
import { type SimulatedProcess, SimulatedWorld } from '../simulator/simulated-world.ts'

function startBroker({ environment }: SimulatedProcess): Promise<Broker> {
  const settings = {
    listeners: 'PLAINTEXT://:9092',
    'log.dirs': '/data',
    'offsets.topic.num.partitions': '2',
  }
  return Broker.start({
    environment,
    config: new BrokerConfig(new Map(Object.entries(settings))),
    isDevelopment: true,
    onFatal: (error) => {
      throw error
    },
  })
}

interface Parts {
  readonly world: SimulatedWorld
  readonly cluster: Cluster
  /** Kills the broker, and starts it again after so much time. */
  readonly restart: (afterMs: number) => Promise<void>
  readonly wait: (ms: number) => Promise<void>
}

async function withBroker(run: (parts: Parts) => Promise<void>) {
  const world = new SimulatedWorld(7)
  let process = world.start('broker')
  process.disk.makeDirectory('/data')
  const client = world.start('client').environment
  const wait = (ms: number) => new Promise<void>((resolve) => client.timers.after(ms, resolve))
  const play = async () => {
    let broker = await startBroker(process)
    const cluster = new Cluster(client, {
      bootstrap: [{ host: 'broker', port: 9092 }],
      bootstrapTimeoutMs: 0,
    })
    const restart = async (afterMs: number) => {
      world.kill(process)
      await wait(afterMs)
      process = world.start('broker')
      broker = await startBroker(process)
    }
    await run({ world, cluster, restart, wait })
    cluster.close()
    await broker.stop()
  }
  await world.run(play())
}

const topic = (name: string, partitions = 1, configs: [string, string][] = []) => ({
  name,
  partitions,
  replicationFactor: 1,
  configs: new Map(configs),
})

async function fill(cluster: Cluster, name: string, count: number): Promise<void> {
  const producer = new Producer(cluster)
  for (let index = 0; index < count; index++)
    producer.add({ topic: name, key: Buffer.from(`k${index}`), value: Buffer.from(`v${index}`) })
  await producer.close()
}

t.test('topics: each outcome by itself', (t) =>
  withBroker(async ({ cluster }) => {
    const created = await createTopics(cluster, [
      topic('a', 2, [['retention.ms', '1000']]),
      topic('b'),
      topic('no good!'),
    ])
    t.same(
      created.map(({ name, error }) => [name, error?.error.name ?? 'ok']),
      [
        ['a', 'ok'],
        ['b', 'ok'],
        ['no good!', 'INVALID_TOPIC_EXCEPTION'],
      ],
    )
    t.match(created[0], { partitions: 2, replicationFactor: 1 })
    t.match((await createTopics(cluster, [topic('c')], { validateOnly: true }))[0], { error: null })
    await t.rejects(cluster.topic('c'), /topic c/)
    t.match(
      (await createTopics(cluster, [topic('a')]))[0]?.error?.error.name,
      'TOPIC_ALREADY_EXISTS',
    )
    const [grown] = await createPartitions(cluster, new Map([['a', 5]]))
    t.equal(grown?.error, null)
    t.equal((await cluster.topic('a')).partitions.length, 5)
    t.match(
      (await createPartitions(cluster, new Map([['a', 3]])))[0]?.error?.error.name,
      'INVALID_PARTITIONS',
    )
    await fill(cluster, 'b', 10)
    const [cut] = await deleteRecords(cluster, [{ topic: 'b', partition: 0, offset: 4 }])
    t.match(cut, { lowWatermark: 4, error: null })
    t.match(
      (await deleteRecords(cluster, [{ topic: 'b', partition: 0, offset: 40 }]))[0]?.error?.message,
      'the partition ends before that offset',
    )
    const ends = await listOffsets(cluster, [{ topic: 'b', partition: 0, timestamp: earliest }])
    t.equal(ends[0]?.offset, 4)
    t.equal(
      (await listOffsets(cluster, [{ topic: 'b', partition: 0, timestamp: latest }]))[0]?.offset,
      10,
    )
    const deleted = await deleteTopics(cluster, ['a', 'z'])
    t.same(
      new Map(deleted.map(({ name, error }) => [name, error?.error.name])),
      new Map([
        ['a', undefined],
        ['z', 'UNKNOWN_TOPIC_OR_PARTITION'],
      ]),
    )
    t.same(
      (await cluster.allTopics()).map(({ name }) => name),
      ['b'],
    )
  }),
)

t.test('configs of topics and brokers', (t) =>
  withBroker(async ({ cluster }) => {
    await createTopics(cluster, [topic('a')])
    const resource = { type: 'topic', name: 'a' } as const
    const set = (name: string, value: string) =>
      alterConfigs(cluster, [resource], [{ name, operation: 'set', value }])
    t.equal((await set('retention.ms', '5'))[0]?.error, null)
    t.equal((await set('retention.mss', '5'))[0]?.error?.error.name, 'INVALID_CONFIG')
    const value = async (name: string) =>
      (await describeConfigs(cluster, [resource]))[0]?.entries.find((entry) => entry.name === name)
    t.match(await value('retention.ms'), { value: '5', source: 'topic', type: 'long' })
    await alterConfigs(
      cluster,
      [resource],
      [{ name: 'retention.ms', operation: 'delete', value: null }],
    )
    t.match(await value('retention.ms'), { source: 'default' })
    const [broker] = await describeConfigs(cluster, [{ type: 'broker', name: '1' }])
    t.match(
      broker?.entries.find(({ name }) => name === 'log.dirs'),
      { value: '/data', source: 'file' },
    )
    t.same(await listConfigResources(cluster, 'group'), [])
  }),
)

t.test('the cluster itself', (t) =>
  withBroker(async ({ cluster }) => {
    const described = await describeCluster(cluster)
    t.match(described, { controllerId: 1, brokers: [{ id: 1, port: 9092, isFenced: false }] })
    t.ok((await describeFeatures(cluster)).some(({ name }) => name === 'metadata.version'))
    t.match(await describeQuorum(cluster), { leaderId: 1, currentVoters: [{ replicaId: 1 }] })
    await createTopics(cluster, [topic('a', 2)])
    await fill(cluster, 'a', 100)
    const [dir] = await describeLogDirs(cluster, [1], null)
    t.match(dir, { path: '/data', error: null })
    t.equal(dir?.partitions.filter((row) => row.topic === 'a').length, 2)
    t.ok(dir?.partitions.every(({ sizeBytes }) => sizeBytes >= 0))
  }),
)

t.test('two members share a topic, and take over from each other', (t) =>
  withBroker(async ({ cluster, world, wait }) => {
    await createTopics(cluster, [topic('a', 4)])
    await fill(cluster, 'a', 200)
    const read = new Set<string>()
    let repeated = 0
    const member = (name: string) => {
      const own = new Cluster(world.start(name).environment, {
        bootstrap: [{ host: 'broker', port: 9092 }],
        clientId: name,
      })
      const consumer = new Consumer(own, {
        groupId: 'g',
        autoOffsetReset: 'earliest',
        autoCommitIntervalMs: 1000,
      })
      consumer.subscribe(['a'])
      let isOver = false
      const over = (async () => {
        while (!isOver)
          for (const { topic: of, partition, records } of await consumer.poll({ timeoutMs: 500 }))
            for (const { offset } of records) {
              const place = `${of}-${partition}-${offset}`
              if (read.has(place)) repeated++
              read.add(place)
            }
        await consumer.close()
        own.close()
      })()
      const stop = () => {
        isOver = true
        return over
      }
      return { consumer, stop }
    }
    const one = member('one')
    await wait(3000)
    t.equal(one.consumer.assignment.length, 4, 'alone it has all')
    t.equal(read.size, 200)
    const two = member('two')
    await wait(8000)
    t.equal(one.consumer.assignment.length, 2)
    t.equal(two.consumer.assignment.length, 2)
    const described = await describeGroup(cluster, 'g')
    t.match(described, { type: 'classic', state: 'Stable', assignor: 'range' })
    t.same(described.members.map(({ clientId }) => clientId).sort(), ['one', 'two'])
    t.equal(described.members.flatMap(({ assignment }) => assignment).length, 4)
    t.match(await listGroups(cluster), [{ groupId: 'g', state: 'Stable', coordinator: 1 }])
    t.equal((await deleteGroups(cluster, ['g']))[0]?.error?.error.name, 'NON_EMPTY_GROUP')
    await one.stop()
    await wait(5000)
    t.equal(two.consumer.assignment.length, 4, 'it takes over what the other left')
    await fill(cluster, 'a', 100)
    await wait(2000)
    await two.stop()
    t.equal(read.size, 300)
    t.equal(repeated, 0, 'and begins where the other had committed')
    const committed = await fetchCommitted(cluster, 'g', null)
    t.equal(
      committed.reduce((sum, { offset }) => sum + offset, 0),
      300,
    )
    const nobody = { groupId: 'g', memberId: '', generationId: -1, groupInstanceId: null }
    await commitOffsets(cluster, nobody, [{ topic: 'a', partition: 0, offset: 1 }])
    t.match(await fetchCommitted(cluster, 'g', [{ topic: 'a', partition: 0 }]), [{ offset: 1 }])
    t.match(await deleteGroupOffsets(cluster, 'g', [{ topic: 'a', partition: 0 }]), [
      { error: null },
    ])
    t.same(await fetchCommitted(cluster, 'g', [{ topic: 'a', partition: 0 }]), [])
    t.equal((await deleteGroups(cluster, ['g']))[0]?.error, null)
    await t.rejects(describeGroup(cluster, 'g'), /not found|no group/)
  }),
)

t.test('a broker that is gone for longer than a session: everybody goes on', (t) =>
  withBroker(async ({ cluster, restart, wait }) => {
    await createTopics(cluster, [topic('a', 2)])
    await fill(cluster, 'a', 50)
    const read: string[] = []
    const consumer = new Consumer(cluster, {
      groupId: 'g',
      autoOffsetReset: 'earliest',
      autoCommitIntervalMs: 500,
      sessionTimeoutMs: 10_000,
    })
    consumer.subscribe(['a'])
    let isOver = false
    const over = (async () => {
      while (!isOver)
        for (const { records } of await consumer.poll({ timeoutMs: 200 }))
          read.push(...records.map(({ value }) => `${value}`))
    })()
    await wait(3000)
    const producer = new Producer(cluster)
    const sent = Array.from({ length: 50 }, async (_, index) => {
      await wait(index * 1000)
      return producer.send({ topic: 'a', key: null, value: Buffer.from(`w${index}`) })
    })
    await wait(10_000)
    await restart(20_000)
    await Promise.all(sent)
    await wait(15_000)
    isOver = true
    await over
    await consumer.close()
    t.equal(new Set(read).size, 100)
    t.ok(read.length <= 150, 'read again is at most what was not committed')
  }),
)

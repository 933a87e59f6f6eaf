/** A broker and its log directories: what a disk that fails or fills up takes with it, and what not. */
import t from 'tap'
import { apis } from '../protocol/apis.ts'
import { batchBytes, headerBytes, setCrc } from '../protocol/records/batch.ts'
import { encodeBatch } from '../protocol/records/record.ts'
import { Broker, StartEnded } from '../src/broker.ts'
import { describeLogDirs } from '../src/client/admin/brokers.ts'
import { alterConfigs } from '../src/client/admin/configs.ts'
import { createTopics } from '../src/client/admin/topics.ts'
import { Cluster } from '../src/client/cluster.ts'
import { BrokerConfig } from '../src/config/broker-config.ts'
import { startOfLastBatch } from './simulator/log-files.ts'
import type { MemoryDisk } from './simulator/memory-disk.ts'
import { type SimulatedProcess, SimulatedWorld } from './simulator/simulated-world.ts'

const storageError = 56
const partitions = 4

class Node {
  readonly world = new SimulatedWorld(1, { onLog: (line) => void this.lines.push(line) })
  readonly lines: string[] = []
  logDirs: string
  readonly settings: Record<string, string>
  readonly fatal: string[] = []
  readonly cluster: Cluster
  process: SimulatedProcess = this.world.start('broker')
  broker: Broker

  constructor(logDirs: string, settings: Record<string, string>) {
    this.logDirs = logDirs
    this.settings = settings
    this.broker = this.build()
    this.cluster = new Cluster(this.world.start('client').environment, {
      bootstrap: [{ host: 'broker', port: 9092 }],
    })
  }

  static async started(logDirs: string, settings: Record<string, string> = {}): Promise<Node> {
    const node = new Node(logDirs, settings)
    await node.world.run(node.broker.start())
    await node.createTopic('orders')
    return node
  }

  get disk() {
    return this.process.disk
  }

  async createTopic(name: string): Promise<void> {
    const topic = { name, partitions, replicationFactor: 1, configs: new Map() }
    await this.world.run(createTopics(this.cluster, [topic]))
  }

  /** The error code for each partition of the topic, in order. */
  async produce(topic: string, value: string): Promise<number[]> {
    const topicId = await this.#topicId(topic)
    const records = () => [encodeBatch({ records: [{ timestamp: 1, key: null, value: bytes }] })]
    const bytes = Buffer.from(value)
    const partitionData = Array.from({ length: partitions }, (_, index) => {
      return { index, records: records() }
    })
    const answer = await this.world.run(
      this.cluster.callNode(1, apis.produce, {
        transactionalId: null,
        acks: -1,
        timeoutMs: 30_000,
        topicData: [{ name: topic, topicId, partitionData }],
      }),
    )
    const answered = answer.responses[0]?.partitionResponses ?? []
    return [...answered].sort((a, b) => a.index - b.index).map(({ errorCode }) => errorCode)
  }

  /** Where each partition ends; -1 where the broker does not say. */
  async ends(topic: string): Promise<number[]> {
    const wanted = Array.from({ length: partitions }, (_, partitionIndex) => {
      return { partitionIndex, currentLeaderEpoch: -1, timestamp: -1 }
    })
    const answer = await this.world.run(
      this.cluster.callNode(1, apis.listOffsets, {
        replicaId: -1,
        isolationLevel: 0,
        topics: [{ name: topic, partitions: wanted }],
      }),
    )
    return answer.topics[0]?.partitions.map(({ offset }) => offset) ?? []
  }

  /** The process dies, and the next one starts with what is left, on disks with that fault. */
  async restart(fault?: MemoryDisk['fault']): Promise<void> {
    this.world.kill(this.process)
    this.process = this.world.start('broker')
    this.process.disk.fault = fault
    this.lines.length = 0
    this.fatal.length = 0
    this.broker = this.build()
    await this.world.run(this.broker.start())
  }

  errors(): string[] {
    return this.lines.filter((line) => line.includes(' broker error '))
  }

  build(): Broker {
    const settings = {
      'node.id': '1',
      listeners: 'PLAINTEXT://:9092',
      'log.dirs': this.logDirs,
      'offsets.topic.num.partitions': '1',
      ...this.settings,
    }
    return new Broker({
      environment: this.process.environment,
      config: new BrokerConfig(new Map(Object.entries(settings))),
      onFatal: (error) => void this.fatal.push(error.message),
    })
  }

  async #topicId(name: string): Promise<string> {
    const topics = [{ name, topicId: 'AAAAAAAAAAAAAAAAAAAAAA' }]
    const asked = { topics, allowAutoTopicCreation: false }
    const answer = await this.world.run(this.cluster.callNode(1, apis.metadata, asked))
    return answer.topics[0]?.topicId ?? ''
  }

  /** By partition, who leads it; -1 where nobody does, and its replica is told to be offline. */
  async leaders(name: string): Promise<number[]> {
    const topics = [{ name, topicId: 'AAAAAAAAAAAAAAAAAAAAAA' }]
    const asked = { topics, allowAutoTopicCreation: false }
    const answer = await this.world.run(this.cluster.callNode(1, apis.metadata, asked))
    const rows = [...(answer.topics[0]?.partitions ?? [])]
    return rows
      .sort((one, other) => one.partitionIndex - other.partitionIndex)
      .map(({ leaderId, offlineReplicas }) => {
        if (leaderId < 0 !== offlineReplicas.includes(1)) throw new Error('they do not agree')
        return leaderId
      })
  }
}

const codes = (code: number): number[] => Array.from({ length: partitions }, () => code)

t.test(
  'a full disk: the producer is told, the broker ends, nothing acknowledged is lost',
  async (t) => {
    for (const code of ['ENOSPC', 'EIO'] as const) {
      const node = await Node.started('/data')
      t.same(await node.produce('orders', 'a'), codes(0))
      node.lines.length = 0
      let isFull = true
      node.disk.fault = (operation, name) =>
        isFull && operation === 'write' && name.startsWith('/data') ? code : undefined
      t.same(await node.produce('orders', 'b'), codes(storageError))
      t.equal(node.fatal.length, 1)
      t.match(node.fatal[0], /metadata log is in \/data, which failed: /)
      t.equal(node.errors().length, 1, 'said once')
      t.match(node.errors()[0], code === 'ENOSPC' ? /free some, and start/ : /Mend the disk/)
      t.match(node.broker.health(), { ready: false })
      await node.world.run(node.broker.stop())
      t.notOk(node.disk.exists('/data/.kafka_cleanshutdown'))
      isFull = false
      await node.restart()
      t.same(await node.ends('orders'), [1, 1, 1, 1])
      t.same(await node.produce('orders', 'b'), codes(0))
      await node.world.run(node.broker.stop())
    }
  },
)

t.test('one of two disks fails: what lies on it is offline, the rest goes on', async (t) => {
  const node = await Node.started('/one,/two')
  t.same(await node.produce('orders', 'a'), codes(0))
  node.lines.length = 0
  const dirs = () => node.world.run(describeLogDirs(node.cluster, [1], null))
  const before = await dirs()
  t.match(before, [
    { path: '/one', error: null },
    { path: '/two', error: null },
  ])
  const lost = before[1]?.partitions.map(({ partition }) => partition) ?? []
  t.equal(lost.length, 2)
  node.disk.fault = (_, name) => (name.startsWith('/two') ? 'EIO' : undefined)
  const expected = codes(0).map((_, index) => (lost.includes(index) ? storageError : 0))
  t.same(await node.produce('orders', 'b'), expected)
  t.same(await node.produce('orders', 'c'), expected)
  t.same(node.fatal, [])
  t.equal(node.errors().length, 1)
  t.match(node.broker.health(), { ready: true, reason: 'offline log directories: /two' })
  t.match(await dirs(), [
    { path: '/one', error: null },
    { path: '/two', error: { message: /./ }, partitions: [] },
  ])
  await node.createTopic('later')
  t.same(await node.produce('later', 'a'), codes(0), 'new partitions go to the healthy one')
  await node.world.run(node.broker.stop())

  await node.restart()
  t.same(
    await node.ends('orders'),
    codes(0).map((_, index) => (lost.includes(index) ? 1 : 3)),
  )
  await node.world.run(node.broker.stop())
})

t.test('a new node begins with all of its directories', async (t) => {
  const node = new Node('/one,/two', {})
  let isBroken = true
  node.disk.fault = (_, name) => (isBroken && name.startsWith('/two') ? 'EIO' : undefined)
  await t.rejects(node.world.run(node.broker.start()), {
    message: /^The log directory \/two cannot be used: .* all of its directories, or not at all\.$/,
  })
  // Else the next start would take it for a disk that is missing.
  t.notOk(node.disk.exists('/one/__cluster_metadata-0'))
  isBroken = false
  await node.restart()
  await node.createTopic('orders')
  t.same(await node.produce('orders', 'a'), codes(0))
  await node.restart((_, name) => (name.startsWith('/two') ? 'EIO' : undefined))
  t.same(node.fatal, [], 'later on it goes on without')
  await node.world.run(node.broker.stop())
})

t.test('the metadata log has a disk of its own, and the node ends with it', async (t) => {
  const node = await Node.started('/data', { 'metadata.log.dir': '/meta' })
  t.same(await node.produce('orders', 'a'), codes(0))
  t.ok(node.disk.exists('/meta/__cluster_metadata-0'))
  t.same(
    node.disk.list('/meta').filter(({ name }) => name.startsWith('orders')),
    [],
    'no partition of a topic lies there',
  )
  await node.world.run(node.broker.stop())
  for (const path of ['/data', '/meta']) t.ok(node.disk.exists(`${path}/.kafka_cleanshutdown`))
  await node.restart()
  t.same(await node.ends('orders'), codes(1))
  node.disk.fault = (_, name) => (name.startsWith('/data') ? 'EIO' : undefined)
  t.same(await node.produce('orders', 'b'), codes(storageError))
  t.match(node.fatal, [/No log directory is left; the last one failed with EIO/])
  await node.world.run(node.broker.stop())

  for (const code of ['EIO', 'EFBIG']) {
    await node.restart()
    node.disk.fault = (operation, name) =>
      operation === 'write' && name.startsWith('/meta/__cluster') ? code : undefined
    await t.rejects(node.createTopic(`later-${code}`))
    t.equal(node.fatal.length, 1, 'told once')
    await node.world.run(node.broker.stop())
    t.notOk(node.disk.exists('/meta/.kafka_cleanshutdown'))
    t.ok(node.disk.exists('/data/.kafka_cleanshutdown'), 'the other one is closed in good order')
  }
  await node.restart()
  t.same(await node.ends('orders'), codes(1))
  await node.world.run(node.broker.stop())
})

t.test('a disk that is broken at the start', async (t) => {
  const node = await Node.started('/one,/two')
  await node.produce('orders', 'a')
  await node.world.run(node.broker.stop())
  const broken = (directory: string) =>
    node.restart((_, name) => (name.startsWith(directory) ? 'EIO' : undefined))
  await broken('/two')
  t.equal(node.errors().length, 2)
  t.match(node.errors()[0], /log directory \/two cannot be used/)
  t.match(node.errors()[1], /offline partitions: 2 \(orders-\d, orders-\d\)\. They lie in .*\.id=/)
  const ends = await node.ends('orders')
  t.same([...ends].sort(), [-1, -1, 1, 1], 'no partition of the broken disk is begun anew')
  await node.world.run(node.broker.stop())
  await t.rejects(broken('/one'), { message: /\/one cannot be used: EIO/ })
  await node.restart()
  t.same(await node.ends('orders'), codes(1))
  await node.world.run(node.broker.stop())
})

t.test('a sector that cannot be read takes its partition along, and no other', async (t) => {
  const node = await Node.started('/data')
  t.same(await node.produce('orders', 'a'), codes(0))
  for (const end of ['stop', 'kill']) {
    if (end === 'stop') await node.world.run(node.broker.stop())
    await node.restart((operation, name) =>
      operation === 'read' && /orders-2\/\d+\.log/.test(name) ? 'EIO' : undefined,
    )
    t.same(await node.produce('orders', 'b'), [0, 0, storageError, 0], end)
    t.same(node.fatal, [])
    t.equal(node.errors().length, 1, end)
    t.match(node.errors()[0], /partition orders-2 failed and is offline until the next start/)
    t.match(node.broker.health(), { ready: true, reason: /orders-2/ })
    await node.restart()
    const expected = end === 'stop' ? [2, 2, 1, 2] : [3, 3, 1, 3]
    t.same(await node.ends('orders'), expected, 'nothing is lost')
  }
  await node.world.run(node.broker.stop())
})

t.test('a directory of which nobody can say whose it is is not used', async (t) => {
  const node = await Node.started('/one,/two')
  t.same(await node.produce('orders', 'a'), codes(0))
  for (const code of ['EIO', 'EACCES']) {
    await node.world.run(node.broker.stop())
    await node.restart((operation, name) =>
      operation === 'read' && name === '/two/meta.properties' ? code : undefined,
    )
    t.same([...(await node.produce('orders', 'b'))].sort(), [0, 0, storageError, storageError])
    t.match(node.errors()[0], new RegExp(`log directory /two cannot be used .*${code}`))
  }
  await node.world.run(node.broker.stop())
  await t.rejects(
    node.restart((operation, name) =>
      operation === 'read' && name === '/one/meta.properties' ? 'EIO' : undefined,
    ),
    { message: /^The log directory \/one cannot be used: EIO/ },
  )
  await node.restart()
  t.same([...(await node.ends('orders'))].sort(), [1, 1, 3, 3])
  await node.world.run(node.broker.stop())
})

t.test('what lies in a directory that is taken out of log.dirs waits for it', async (t) => {
  const node = await Node.started('/one,/two')
  await node.produce('orders', 'a')
  const idOf = (path: string) =>
    /directory\.id=(.*)/.exec(node.disk.readFile(`${path}/meta.properties`).toString())?.[1] ?? ''
  const lost = Array.from({ length: partitions }, (_, index) =>
    node.disk.exists(`/two/orders-${index}`),
  )
  const eachOf = (away: number, here: number) => lost.map((isLost) => (isLost ? away : here))
  t.equal(lost.filter((isLost) => isLost).length, 2)
  const startWith = async (logDirs: string) => {
    await node.world.run(node.broker.stop())
    node.logDirs = logDirs
    await node.restart()
  }
  for (const start of [1, 2]) {
    await startWith('/one')
    t.equal(node.errors().length, 1, 'one line, at each start')
    const advice = `directory.id=${idOf('/two')}, .*If it is lost for good`
    t.match(node.errors()[0], new RegExp(`offline partitions: 2 .*${advice}.*"partitions":2`))
    t.same(await node.produce('orders', 'b'), eachOf(storageError, 0), `start ${start}`)
    t.same(await node.ends('orders'), eachOf(-1, start + 1))
    t.same(await node.leaders('orders'), eachOf(-1, 1), 'as Kafka says it')
    await node.createTopic(`later-${start}`)
    t.same(await node.produce(`later-${start}`, 'a'), codes(0))
  }
  await startWith('/one,/two')
  t.same(node.errors(), [])
  t.same(await node.ends('orders'), eachOf(1, 3), 'nothing is lost')
  t.same(await node.leaders('orders'), codes(1))
  t.same(await node.produce('orders', 'c'), codes(0))

  // A new disk takes the place of one that is gone.
  const meta = node.disk.readFile('/two/meta.properties')
  node.disk.makeDirectory('/new')
  const file = node.disk.open('/new/meta.properties', 'create')
  file.write([meta], 0)
  file.close()
  await startWith('/one,/new')
  t.same(node.errors(), [])
  t.same(await node.ends('orders'), eachOf(0, 4))
  t.same(await node.produce('orders', 'd'), codes(0))
  t.same(await node.ends('orders'), eachOf(1, 5))
  await node.world.run(node.broker.stop())
})

t.test('a damaged metadata log stops the start by name, and no partition is touched', async (t) => {
  const metadataLog = '/data/__cluster_metadata-0/00000000000000000000.log'
  const killed = async (lastsMs: number): Promise<Node> => {
    const node = await Node.started('/data')
    await node.createTopic('more')
    await node.produce('orders', 'a')
    await node.world.runFor(lastsMs)
    return node
  }
  const names = (node: Node) => node.disk.list('/data').map(({ name }) => name)
  const refuses = async (node: Node, damage: () => void, what: string): Promise<void> => {
    node.world.kill(node.process)
    node.process = node.world.start('broker')
    damage()
    const before = names(node)
    const damaged = node.disk.readFile(metadataLog)
    node.broker = node.build()
    const message =
      /__cluster_metadata-0\/0{20}\.log .*refuses to start.*Restore the file from a copy/
    await t.rejects(node.world.run(node.broker.start()), { message }, what)
    t.strictSame(names(node), before, what)
    t.ok(node.disk.readFile(metadataLog).equals(damaged), what)
  }
  const content = (await killed(0)).disk.readFile(metadataLog)
  const last = startOfLastBatch(content)
  let batches = 0
  for (let at = 0; at < last; at += batchBytes(content, at), batches++) {
    const node = await killed(0)
    await refuses(node, () => node.disk.flipBit(metadataLog, 8 * (at + headerBytes)), `byte ${at}`)
  }
  t.ok(batches > 3)
  // What a checkpoint says to be committed is no torn end, even where nothing follows.
  const node = await killed(6_000)
  const { size } = node.disk.stat(metadataLog)
  await refuses(node, () => node.disk.flipBit(metadataLog, 8 * size - 1), 'the last bit')
  await refuses(node, () => undefined, 'a second attempt')
})

t.test('a recorded setting that is invalid is passed over by name at the start', async (t) => {
  const metadataLog = '/data/__cluster_metadata-0/00000000000000000000.log'
  const node = await Node.started('/data')
  t.same(await node.produce('orders', 'a'), codes(0))
  const alter = async (name: string, value: string) => {
    const changes = [{ name, operation: 'set' as const, value }]
    const resources = [{ type: 'broker' as const, name: '' }]
    const outcomes = await node.world.run(alterConfigs(node.cluster, resources, changes))
    return outcomes.map(({ error }) => error)
  }
  t.strictSame(await alter('log.roll.ms', '1'), [null])
  await node.world.run(node.broker.stop())
  node.world.kill(node.process)
  node.process = node.world.start('broker')
  // As a version left it that recorded what it then could not use.
  const content = node.disk.readFile(metadataLog)
  const name = content.lastIndexOf('log.roll.ms')
  const value = content.indexOf('1', name)
  let batch = 0
  while (batch + batchBytes(content, batch) <= name) batch += batchBytes(content, batch)
  content.write('0', value)
  setCrc(content, batch)
  const file = node.disk.open(metadataLog, 'write')
  file.write([content], 0)
  file.syncNow()
  file.close()
  for (const _ of ['first', 'second']) {
    await node.restart()
    t.match(node.errors(), [/passed over: Invalid value 0 for configuration log\.roll\.ms/])
    t.equal(node.errors().length, 1)
    t.same(await node.produce('orders', 'b'), codes(0))
  }
  await node.createTopic('more')
  t.strictSame(await alter('log.roll.jitter.ms', '2'), [null], 'it is in no other change’s way')
  t.strictSame(await alter('log.roll.ms', '9'), [null])
  await node.restart()
  t.strictSame(node.errors(), [])
  t.same(await node.ends('orders'), codes(3))
  await node.world.run(node.broker.stop())
})

t.test('a start that fails or is ended leaves no mark of a clean shutdown', async (t) => {
  const node = await Node.started('/data')
  await node.produce('orders', 'a')
  node.world.kill(node.process)
  node.process = node.world.start('broker')
  node.broker = node.build()
  const ended = t.rejects(node.world.run(node.broker.start()), StartEnded)
  await node.world.run(node.broker.stop())
  await ended
  t.notOk(node.disk.exists('/data/.kafka_cleanshutdown'), 'the logs were not checked')
  await node.restart()
  t.same(await node.ends('orders'), codes(1))
  await node.world.run(node.broker.stop())
  t.ok(node.disk.exists('/data/.kafka_cleanshutdown'))

  await node.world.run(node.build().start())
  t.notOk(node.disk.exists('/data/.kafka_cleanshutdown'), 'gone as soon as it is running')
})

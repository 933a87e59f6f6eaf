import t from 'tap'
import { batches } from '../../protocol/records/batch.ts'
import { encodeBatch, readBatch } from '../../protocol/records/record.ts'
import { decodeMetadataRecord, encodeMetadataRecord } from '../../protocol/state/metadata-frame.ts'
import { bootstrapFile, formatMetadata } from '../../src/metadata/bootstrap.ts'
import { registerBroker } from '../../src/metadata/controller/register-broker.ts'
import { MetadataDelta } from '../../src/metadata/delta.ts'
import { configTexts, emptyImage } from '../../src/metadata/image.ts'
import { LayeredMap } from '../../src/metadata/layered-map.ts'
import { MetadataLoader } from '../../src/metadata/loader.ts'
import { type MetadataRecord, record } from '../../src/metadata/record.ts'
import { SnapshotWriter } from '../../src/raft/snapshot-files.ts'
import { unknownVoters } from '../../src/raft/voters.ts'
import { MemoryDisk } from '../simulator/memory-disk.ts'
import { SeededRandom } from '../simulator/random.ts'
import { contentOf, directoryId, newClusterFeatures, newTopic, openNode } from './metadata-node.ts'

const topicId = 'MMMMMMMMTMmMMMMMMMMMMA'

t.test('a new cluster begins with its features and its broker, ready', async (t) => {
  const { metadata, log } = await openNode()
  const { image } = metadata
  t.strictSame(new Map(image.features), newClusterFeatures)
  const registeredAt = newClusterFeatures.size + 2
  t.match(image.brokers.get(1), {
    id: 1,
    epoch: registeredAt,
    fenced: false,
    logDirs: [directoryId],
  })
  t.equal(metadata.brokerEpoch, registeredAt, 'after LeaderChange, features, min.insync.replicas')
  t.equal(image.offset, registeredAt)
  t.equal(log.syncs, 1, 'all of it is one flush')
})

t.test('a topic is created, changed and deleted, and seen so after a kill', async (t) => {
  let node = await openNode()
  const restart = async () => {
    const before = contentOf({ ...node.metadata.image, brokers: new Map() })
    node = await openNode(node.disk.kill())
    return { before, after: contentOf({ ...node.metadata.image, brokers: new Map() }) }
  }
  const published: string[][] = []
  node.metadata.cache.subscribe((_image, delta) => {
    published.push(delta.topics.changes.map(({ topic }) => topic.name))
  })
  const { controller } = node.metadata
  const orders = newTopic('orders', { partitions: 3, configs: { 'retention.ms': '1000' } })
  const creating = controller.createTopics({ topics: [orders], validateOnly: false })
  t.equal(node.metadata.image.topics.byName.size, 0, 'not published before it is committed')
  await node.finish(creating)
  t.strictSame(published, [['orders']])
  const created = node.metadata.image.topics.byName.get('orders')
  t.match(created?.partitions[2], {
    replicas: [1],
    isr: [1],
    leader: 1,
    leaderEpoch: 0,
    partitionEpoch: 0,
    directories: [directoryId],
  })

  await node.finish(
    controller.createPartitions({
      topics: [{ name: 'orders', count: 5, assignments: null }],
      validateOnly: false,
    }),
  )
  t.equal(node.metadata.image.topics.byName.get('orders')?.partitions.length, 5)

  const { before, after } = await restart()
  t.not(JSON.stringify(before), JSON.stringify(after), 'leader epochs rose: a new process leads')
  t.match(node.metadata.image.topics.byName.get('orders')?.partitions[4], {
    leader: 1,
    leaderEpoch: 1,
    partitionEpoch: 1,
    isr: [1],
  })
  t.equal(configTexts(node.metadata.image, 2, 'orders').get('retention.ms'), '1000')

  await node.finish(node.metadata.controller.deleteTopics({ topics: [], topicNames: ['orders'] }))
  t.equal(node.metadata.image.topics.byId.size, 0)
  t.equal(configTexts(node.metadata.image, 2, 'orders').size, 0, 'its settings are gone with it')
  const second = await restart()
  t.strictSame(second.after, second.before)
})

t.test('a broker that stops says so, and is back with the next start', async (t) => {
  let node = await openNode()
  const { brokerEpoch } = node.metadata
  await node.finish(node.metadata.close())
  t.match(node.metadata.image.brokers.get(1), { fenced: true, inControlledShutdown: true })
  node = await openNode(node.disk.kill())
  const stopped = node.metadata.image.brokers.get(1)
  t.match(stopped, { fenced: false, inControlledShutdown: false })
  t.ok(node.metadata.brokerEpoch > brokerEpoch)
  node.disk.fault = () => 'EIO'
  await node.finish(node.metadata.close())
  t.equal(node.failures.length, 1, 'with a disk that fails it still ends')
})

t.test('requests of one turn share a flush and see each other', async (t) => {
  const { metadata, log, finish } = await openNode()
  const { controller } = metadata
  const syncs = log.syncs
  const create = (name: string) =>
    controller.createTopics({ topics: [newTopic(name, { partitions: 10 })], validateOnly: false })
  const names = Array.from({ length: 100 }, (_, index) => `topic-${index}`)
  const results = await finish(Promise.all([...names, 'topic-0'].map(create)))
  t.equal(log.syncs, syncs + 1)
  t.ok(results.slice(0, 100).every(([topic]) => topic?.errorCode === 0))
  t.match(results[100]?.[0], { errorCode: 36, errorMessage: "Topic 'topic-0' already exists." })
  t.equal(metadata.image.topics.byName.size, 100)
})

t.test('a refusal that rests on records not committed yet waits for them', async (t) => {
  const { metadata, finish } = await openNode()
  const topics = [newTopic('a')]
  const order: string[] = []
  const first = metadata.controller.createTopics({ topics, validateOnly: false })
  const second = metadata.controller.createTopics({ topics, validateOnly: false })
  void first.then(() => order.push('first'))
  void second.then(() => order.push('second'))
  await finish(Promise.all([first, second]))
  t.strictSame(order, ['first', 'second'])
})

t.test('any crash leaves what was acknowledged, and replay equals the live state', async (t) => {
  for (let seed = 1; seed <= 40; seed++) {
    const random = new SeededRandom(seed)
    const node = await openNode()
    const { controller } = node.metadata
    for (let step = 0; step < random.between(1, 12); step++) {
      const name = `t${random.between(0, 5)}`
      const work = random.chance(0.3)
        ? controller.deleteTopics({ topics: [], topicNames: [name] })
        : controller.createTopics({ topics: [newTopic(name)], validateOnly: false })
      if (random.chance(0.7)) await node.finish<unknown>(work)
      else work.catch(t.error)
    }
    await node.turns.settle()
    const live = contentOf({ ...node.metadata.image, brokers: new Map() })
    const replayed = new MetadataLoader(emptyImage(''))
    for (const chunk of node.log.read(0, 1 << 30)) replayed.load(chunk)
    t.strictSame(contentOf({ ...replayed.image, brokers: new Map() }), live)

    void controller.createTopics({ topics: [newTopic('late')], validateOnly: false })
    const { image } = (await openNode(node.disk.crash(random))).metadata
    const survivors = [...image.topics.byId.values()].filter(({ name }) => name !== 'late')
    t.strictSame(
      survivors.map(({ id }) => id).sort(),
      [...node.metadata.image.topics.byId.keys()].sort(),
      `seed ${seed}`,
    )
  }
})

t.test('when the metadata log fails, who waits is told', async (t) => {
  const { metadata, disk, finish, failures } = await openNode()
  disk.fault = (operation) => (operation === 'sync' ? 'EIO' : undefined)
  const creating = metadata.controller.createTopics({
    topics: [newTopic('a')],
    validateOnly: false,
  })
  await t.rejects(finish(creating), { message: /metadata log of the controller/ })
  t.equal(failures.length, 1)
  const later = metadata.controller.createTopics({ topics: [newTopic('b')], validateOnly: false })
  await t.rejects(later, { message: /metadata log of the controller/ })
  t.equal(metadata.image.topics.byName.size, 0)

  const full = await openNode()
  full.disk.fault = (operation) => (operation === 'write' ? 'ENOSPC' : undefined)
  const { controller } = full.metadata
  await t.rejects(controller.createTopics({ topics: [newTopic('a')], validateOnly: false }))
  t.match(full.failures, [{ code: 'ENOSPC' }])
  await t.rejects(controller.createTopics({ topics: [newTopic('b')], validateOnly: false }), {
    message: /metadata log of the controller/,
  })
})

t.test('the bootstrap snapshot is what the format step writes', async (t) => {
  const disk = new MemoryDisk()
  disk.makeDirectory('/data')
  formatMetadata(disk, '/data', 1_700_000_000_000)
  const content = disk.readFile(`/data/${bootstrapFile}`)
  const all = [...batches(content)].map((at) => readBatch(content, at))
  t.strictSame(
    all.map(({ baseOffset, isControl }) => [baseOffset, isControl]),
    [
      [0, true],
      [1, false],
      [1 + newClusterFeatures.size, true],
    ],
  )
  t.equal(all[0]?.records[0]?.key?.toString('hex'), '00000003')
  t.equal(all[2]?.records[0]?.key?.toString('hex'), '00000004')
  t.match(decodeMetadataRecord(all[1]?.records[0]?.value ?? Buffer.alloc(0)), {
    type: 'FeatureLevelRecord',
    value: { name: 'metadata.version', featureLevel: 30 },
  })
  const features: [string, number][] = [
    ['metadata.version', 19],
    ['group.version', 1],
  ]
  const values = features.map(([name, featureLevel]) =>
    encodeMetadataRecord(record('FeatureLevelRecord', { name, featureLevel })),
  )
  const other = new MemoryDisk()
  other.makeDirectory('/data')
  const writer = new SnapshotWriter({
    disk: other,
    directory: '/data',
    target: bootstrapFile,
    lastContainedMs: 0,
    voters: unknownVoters,
    nowMs: 0,
  })
  writer.append(values)
  writer.finishNow()
  const { metadata } = await openNode(other)
  t.strictSame([...metadata.image.features], features, 'another bootstrap begins another cluster')
})

t.test('a snapshot stands for the log before it', async (t) => {
  const disk = new MemoryDisk()
  const directory = '/data/__cluster_metadata-0'
  disk.makeDirectory(directory)
  const records: MetadataRecord[] = [
    record('FeatureLevelRecord', { name: 'metadata.version', featureLevel: 30 }),
    record('TopicRecord', { name: 'kept', topicId }),
  ]
  const values = records.map((one) => ({
    timestamp: 0,
    key: null,
    value: encodeMetadataRecord(one),
  }))
  const loader = new MetadataLoader(emptyImage(''))
  loader.loadSnapshot(encodeBatch({ records: values }), 41, 3)
  t.equal(loader.image.offset, 41)
  t.ok(loader.image.topics.byName.has('kept'))
  const change = record('FeatureLevelRecord', { name: 'group.version', featureLevel: 1 })
  const tail = { timestamp: 0, key: null, value: encodeMetadataRecord(change) }
  loader.load(encodeBatch({ baseOffset: 40, leaderEpoch: 3, records: [tail, tail] }))
  t.notOk(loader.image.features.has('group.version'), 'what the snapshot covers is not replayed')
  loader.load(encodeBatch({ baseOffset: 42, leaderEpoch: 4, records: [tail] }))
  t.match(loader.image, { offset: 42, epoch: 4 })
  t.equal(loader.image.features.get('group.version'), 1)
})

t.test('records of a metadata transaction count at its end, or never', async (t) => {
  const batchOf = (baseOffset: number, ...records: MetadataRecord[]) =>
    encodeBatch({
      baseOffset,
      leaderEpoch: 1,
      records: records.map((one) => ({
        timestamp: 0,
        key: null,
        value: encodeMetadataRecord(one),
      })),
    })
  const topic = (name: string, id: string) => record('TopicRecord', { name, topicId: id })
  const loader = new MetadataLoader(emptyImage(''))
  loader.load(batchOf(0, record('BeginTransactionRecord', { name: null }), topic('a', topicId)))
  t.equal(loader.image.topics.byName.size, 0)
  loader.load(batchOf(2, record('EndTransactionRecord', {})))
  t.equal(loader.image.topics.byName.size, 1)
  loader.load(
    batchOf(
      3,
      record('BeginTransactionRecord', { name: null }),
      topic('b', 'MMMMMMMMTMmMMMMMMMMMMB'),
      record('AbortTransactionRecord', { reason: null }),
    ),
  )
  t.equal(loader.image.topics.byName.size, 1)
  t.equal(loader.image.offset, 5)
})

t.test('records that cannot follow are fatal', async (t) => {
  const delta = new MetadataDelta(emptyImage(''))
  const fence = record('FenceBrokerRecord', { id: 3, epoch: 1 })
  t.throws(() => delta.replay(fence), { message: 'broker 3 is not registered' })
  t.throws(() => delta.replay(record('RemoveTopicRecord', { topicId })), /removed but unknown/)
  delta.replay(record('TopicRecord', { name: 'a', topicId }))
  t.throws(() => delta.replay(record('TopicRecord', { name: 'b', topicId })), /created twice/)
  const loader = new MetadataLoader(emptyImage(''))
  const unknown = { timestamp: 0, key: null, value: Buffer.from([1, 99, 0, 0]) }
  t.throws(() => loader.load(encodeBatch({ leaderEpoch: 1, records: [unknown] })), /type 99/)
})

t.test('of several log directories a new partition names the one with the fewest', async (t) => {
  const ids = ['a', 'b', 'c'].map((letter) => letter.repeat(21).concat('A'))
  let node = await openNode(undefined, {}, ids.slice(0, 2))
  t.same(node.metadata.logDirsBefore, [])
  const create = (...topics: ReturnType<typeof newTopic>[]) =>
    node.finish(node.metadata.controller.createTopics({ topics, validateOnly: false }))
  const placed = (name: string) =>
    node.metadata.image.topics.byName.get(name)?.partitions.map((one) => one.directories[0])
  await create(newTopic('one', { partitions: 3 }), newTopic('two'))
  t.same([...(placed('one') ?? []), ...(placed('two') ?? [])].sort(), [
    ...[ids[0], ids[0]],
    ...[ids[1], ids[1]],
  ])
  node = await openNode(node.disk.kill(), {}, ids)
  t.same(node.metadata.logDirsBefore, ids.slice(0, 2))
  await create(newTopic('three', { assignments: { 0: [1], 1: [1] } }))
  t.same(placed('three'), [ids[2], ids[2]])
  const grown = { name: 'two', count: 4, assignments: null }
  await node.finish(
    node.metadata.controller.createPartitions({ topics: [grown], validateOnly: false }),
  )
  t.same([...(placed('two') ?? [])].slice(1).sort(), ids)
})

t.test('partition changes: epochs, leaders, ELR, directories', async (t) => {
  const delta = new MetadataDelta(emptyImage(''))
  delta.replay(record('TopicRecord', { name: 'a', topicId }))
  delta.replay(
    record('PartitionRecord', {
      partitionId: 0,
      topicId,
      replicas: [1, 2],
      isr: [1, 2],
      removingReplicas: [],
      addingReplicas: [],
      leader: 1,
      leaderRecoveryState: 0,
      leaderEpoch: 4,
      partitionEpoch: 9,
      directories: [directoryId],
      eligibleLeaderReplicas: [2],
      lastKnownElr: null,
    }),
  )
  const unchanged = {
    partitionId: 0,
    topicId,
    isr: null,
    leader: -2,
    replicas: null,
    removingReplicas: null,
    addingReplicas: null,
    leaderRecoveryState: -1,
    directories: null,
    eligibleLeaderReplicas: null,
    lastKnownElr: null,
  }
  const partition = () => delta.topics.changes[0]?.topic.partitions[0]
  delta.replay(record('PartitionChangeRecord', { ...unchanged, isr: [1] }))
  t.match(partition(), { isr: [1], leader: 1, leaderEpoch: 4, partitionEpoch: 10 })
  delta.replay(record('PartitionChangeRecord', { ...unchanged, leader: 1 }))
  t.match(partition(), { leader: 1, leaderEpoch: 5, partitionEpoch: 11 })
  delta.replay(record('PartitionChangeRecord', { ...unchanged, replicas: [2, 3], leader: -1 }))
  t.match(partition(), {
    leader: -1,
    leaderEpoch: 6,
    directories: [/.*/, 'AAAAAAAAAAAAAAAAAAAAAQ'],
  })
  delta.replay(record('ClearElrRecord', { topicName: '' }))
  t.match(partition(), { elr: [], partitionEpoch: 13 })
})

t.test('who may lead when the broker is back', async (t) => {
  const partition = {
    index: 0,
    replicas: [1, 2],
    isr: [1],
    removingReplicas: [],
    addingReplicas: [],
    leader: 1,
    leaderRecoveryState: 0,
    leaderEpoch: 3,
    partitionEpoch: 3,
    directories: [directoryId, directoryId],
    elr: [] as number[],
    lastKnownElr: [] as number[],
  }
  const registration = {
    brokerId: 1,
    incarnationId: topicId,
    endpoints: [],
    rack: null,
    logDirs: [directoryId],
  }
  const elect = (change: Partial<typeof partition>) => {
    const topic = { name: 'a', id: topicId, partitions: [{ ...partition, ...change }] }
    const topics = { byName: new Map([['a', topic]]), byId: new Map([[topicId, topic]]) }
    const image = { ...emptyImage(''), topics }
    const { records } = registerBroker(image, registration, 100)
    const delta = new MetadataDelta(image)
    for (const one of records) delta.replay(one)
    return delta.topics.changes[0]?.topic.partitions[0]
  }
  t.match(elect({}), { leader: 1, leaderEpoch: 4, isr: [1] })
  t.match(elect({ leader: -1 }), { leader: 1, leaderEpoch: 4 })
  t.equal(elect({ isr: [2], leader: 2 }), undefined, 'not in sync')
  t.equal(elect({ replicas: [2, 3] }), undefined, 'not a replica')
  t.match(elect({ isr: [], leader: -1, elr: [1, 2] }), { leader: 1, isr: [1], elr: [2] })
  t.equal(elect({ isr: [], leader: -1, elr: [2], lastKnownElr: [1] }), undefined)
  t.match(elect({ isr: [], leader: -1, lastKnownElr: [1] }), {
    leader: 1,
    isr: [1],
    lastKnownElr: [],
  })
  t.throws(
    () => registerBroker(emptyImage(''), { ...registration, logDirs: [] }, 0),
    /Directory ids/,
  )
})

t.test('producer ids are never given twice', async (t) => {
  const node = await openNode()
  const { producerIds } = node.metadata
  const taken: number[] = []
  for (let round = 0; round < 3; round++) {
    const together = Array.from({ length: 700 }, () => Promise.resolve(producerIds.next()))
    taken.push(...(await node.finish(Promise.all(together))))
  }
  const next = await openNode(node.disk.kill())
  taken.push(await next.finish(Promise.resolve(next.metadata.producerIds.next())))
  t.equal(new Set(taken).size, taken.length)
  t.equal(taken.at(-1), 3000)
})

t.test('nor after a loss of power, whenever it comes', async (t) => {
  for (let seed = 1; seed <= 15; seed++) {
    const random = new SeededRandom(seed)
    const taken: number[] = []
    const epochs: number[] = []
    let node = await openNode(new MemoryDisk(), {
      'metadata.log.max.record.bytes.between.snapshots': '600',
    })
    for (let life = 0; life < 4; life++) {
      epochs.push(node.metadata.brokerEpoch)
      for (let round = random.between(1, 9); round > 0; round--) {
        const { first } = await node.finish(
          node.metadata.controller.allocateProducerIds(1, node.metadata.brokerEpoch),
        )
        taken.push(first)
      }
      const late = node.metadata.controller.allocateProducerIds(1, node.metadata.brokerEpoch)
      late.catch((error) => t.equal(error.error.name, 'NOT_CONTROLLER'))
      if (random.chance(0.5)) node.turns.endTurn()
      node = await openNode(node.disk.crash(random))
    }
    t.equal(new Set(taken).size, taken.length, `seed ${seed}`)
    t.equal(new Set(epochs).size, epochs.length, 'no broker epoch either')
  }
})

t.test('a layered map is what copying would have given', async (t) => {
  const random = new SeededRandom(7)
  let derived: ReadonlyMap<number, number> = new Map()
  let copied = new Map<number, number>()
  const history: [ReadonlyMap<number, number>, string][] = []
  const content = (map: ReadonlyMap<number, number>) => JSON.stringify([...map].sort())
  for (let step = 0; step < 400; step++) {
    const set = new Map<number, number>()
    const deleted = new Set<number>()
    for (let change = random.between(0, 9); change > 0; change--) {
      const key = random.between(0, 300)
      if (random.chance(0.3)) deleted.add(key)
      else set.set(key, step)
    }
    derived = LayeredMap.derive(derived, set, deleted)
    copied = new Map(copied)
    for (const key of deleted) copied.delete(key)
    for (const [key, value] of set) copied.set(key, value)
    if (step % 40 === 0) history.push([derived, content(copied)])
    const agrees =
      derived.size === copied.size &&
      [...Array(301).keys()].every(
        (key) => derived.get(key) === copied.get(key) && derived.has(key) === copied.has(key),
      )
    if (!agrees) t.fail(`step ${step}`)
  }
  t.equal(content(derived), content(copied))
  for (const [map, then] of history) t.equal(content(map), then, 'older maps stay as they were')
})

t.test('with eligible leader replicas the cluster has one min.insync.replicas', async (t) => {
  const node = await openNode()
  const alter = async (resourceName: string, configOperation: number, value: string | null) => {
    const configs = [{ name: 'min.insync.replicas', configOperation, value }]
    const resources = [{ resourceType: 4, resourceName, configs }]
    const altering = node.metadata.controller.incrementalAlterConfigs({
      resources,
      validateOnly: false,
    })
    return (await node.finish(altering))[0]
  }
  t.match(await alter('1', 0, '2'), { errorMessage: /Broker-level .* cannot be altered/ })
  t.match(await alter('', 1, null), { errorMessage: /Cluster-level .* cannot be removed/ })
  t.match(await alter('', 0, '2'), { errorCode: 0 })
  t.equal(node.config.get('min.insync.replicas'), 1, 'the broker applies it, not the controller')
  const elr = 'eligible.leader.replicas.version'
  const update = (maxVersionLevel: number, upgradeType: number) =>
    node.finish(
      node.metadata.controller.updateFeatures(
        {
          featureUpdates: [{ feature: elr, maxVersionLevel, allowDowngrade: false, upgradeType }],
          validateOnly: false,
        },
        1,
      ),
    )
  await update(0, 2)
  t.match(await alter('1', 0, '3'), { errorCode: 0 })
  t.match(await alter('', 1, null), { errorCode: 0 })
  await update(1, 1)
  const texts = (name: string) => configTexts(node.metadata.image, 4, name)
  t.equal(texts('').get('min.insync.replicas'), '1')
  t.notOk(texts('1').has('min.insync.replicas'))
})

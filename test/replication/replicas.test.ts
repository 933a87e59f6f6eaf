/** What this broker hosts follows the metadata, on disk and in memory, through restarts and failures. */
import t from 'tap'
import { batchOf, DataPath } from '../handlers/data-path.ts'

const names = (path: DataPath, directory = '/data'): string[] =>
  path.process.disk
    .list(directory)
    .filter(({ isDirectory }) => isDirectory)
    .map(({ name }) => name)

t.test('a thousand partitions in one change', async (t) => {
  const path = new DataPath()
  path.createTopic('wide', { partitions: 1000 })
  t.equal([...path.replicas.partitions()].length, 1000)
  t.match(path.replicas.get('wide', 999), { topic: 'wide', index: 999, isLeader: true })
  t.same(names(path), [], 'which cost no files yet')
  t.match(path.partition('wide', 3), { openedLog: null, highWatermark: 0, logStartOffset: 0 })
  await path.append('wide', ['a'])
  t.same(names(path), ['wide-0'])
})

t.test('hosted is what the metadata assigns here', async (t) => {
  const path = new DataPath()
  const { id } = path.createTopic('orders', { partitions: 2 })
  path.createTopic('elsewhere', { replicas: [2, 3], leader: 2 })
  const { replicas } = path
  t.equal(replicas.getById(id, 1), replicas.get('orders', 1))
  t.equal(replicas.get('elsewhere', 0), undefined)
  t.match(replicas.find('elsewhere', 0), { name: 'NOT_LEADER_OR_FOLLOWER' })
  t.match(replicas.find('elsewhere', 1), { name: 'UNKNOWN_TOPIC_OR_PARTITION' })
  t.match(replicas.find('none', 0), { name: 'UNKNOWN_TOPIC_OR_PARTITION' })
  t.match(replicas.findById('none', 0), { name: 'UNKNOWN_TOPIC_ID' })
  t.match(replicas.findById(id, 2), { name: 'UNKNOWN_TOPIC_OR_PARTITION' })
})

t.test('the leader epoch and who leads', async (t) => {
  const path = new DataPath()
  const topic = path.createTopic('orders', { replicas: [1, 2], leaderEpoch: 4 })
  const partition = path.partition('orders')
  const become = (change: object) =>
    path.setTopic({ ...topic, partitions: topic.partitions.map((p) => ({ ...p, ...change })) })
  t.equal(partition.leaderError(), null)
  t.equal(partition.leaderError(4), null)
  t.match(partition.leaderError(3), { name: 'FENCED_LEADER_EPOCH' })
  t.match(partition.leaderError(5), { name: 'UNKNOWN_LEADER_EPOCH' })
  become({ leader: 2, leaderEpoch: 5, partitionEpoch: 5 })
  t.match(partition.leaderError(5), { name: 'NOT_LEADER_OR_FOLLOWER' })
  t.throws(() => partition.append(batchOf(['a']), { acks: 1 }), { name: 'KafkaError' })
  become({ leader: 1, leaderEpoch: 3, partitionEpoch: 3 })
  t.equal(partition.leaderEpoch, 5, 'what is older than what is known is ignored')
  become({ leader: 1, leaderEpoch: 6, partitionEpoch: 6, isr: [1] })
  t.equal(partition.leaderError(6), null)
  await path.append('orders', ['a'])
  t.equal(partition.highWatermark, 1)
  t.equal(partition.log.latestLeaderEpoch, 6)
})

t.test('the high watermark waits for the in-sync set', async (t) => {
  const path = new DataPath()
  path.createTopic('orders', { replicas: [1, 2] })
  await path.append('orders', ['a'])
  t.equal(path.partition('orders').log.logEndOffset, 1)
  t.equal(path.partition('orders').highWatermark, 0)
})

t.test('everything is there after the process was killed, or closed', async (t) => {
  for (const how of ['kill', 'close'] as const) {
    const path = new DataPath({ disks: ['/one', '/two'] })
    path.createTopic('orders', { partitions: 3 })
    for (const index of [0, 1, 2]) {
      const partition = path.partition('orders', index)
      await path.world.run(partition.append(batchOf(['a', 'b']), { acks: 1 }).written)
    }
    const where = [0, 1, 2].map((index) => path.partition('orders', index).directory?.path)
    if (how === 'close') await path.world.run(path.replicas.close(5))
    path.restart()
    for (const directory of path.replicas.directories) {
      t.equal(directory.isClean, how === 'close', how)
      t.equal(directory.cleanShutdownBrokerEpoch, how === 'close' ? 5 : -1)
    }
    for (const index of [0, 1, 2]) {
      const partition = path.partition('orders', index)
      t.equal(partition.highWatermark, 2)
      t.equal(partition.directory?.path, where[index], 'in the same directory')
    }
  }
})

t.test('directories that belong to no topic are set aside', async (t) => {
  const path = new DataPath()
  const topic = path.createTopic('orders')
  path.createTopic('kept')
  await path.append('orders', ['a'])
  await path.append('kept', ['b'])
  const topics = path.image.topics
  const others = new Map(topics.byName)
  others.delete('orders')
  path.image = { ...path.image, topics: { byName: others, byId: topics.byId } }
  path.restart()
  t.match(names(path), [/^kept-0$/, /^orders-0\.[0-9a-f]{32}-stray$/])
  t.equal(path.partition('kept').highWatermark, 1)

  path.createTopic('orders')
  t.not(path.partition('orders').topicId, topic.id)
  t.equal(path.partition('orders').highWatermark, 0, 'a topic of the same name begins anew')
})

t.test('a deleted topic', async (t) => {
  const path = new DataPath()
  const topic = path.createTopic('orders')
  await path.append('orders', ['a'])
  const partition = path.partition('orders')
  path.deleteTopic(topic)
  t.equal(path.replicas.get('orders', 0), undefined)
  t.match(partition.leaderError(), { name: 'KAFKA_STORAGE_ERROR' })
  t.match(names(path), [/^orders-0\.[0-9a-f]{32}-delete$/])
  path.createTopic('orders')
  await path.append('orders', ['b'])
  t.equal(path.partition('orders').highWatermark, 1)
  await path.world.runFor(61_000)
  t.same(names(path), ['orders-0'], 'gone after file.delete.delay.ms')
})

t.test('partitions that move away, and settings that change', async (t) => {
  const path = new DataPath()
  const topic = path.createTopic('orders', { partitions: 2, replicas: [1] })
  path.configure('orders', { maxMessageBytes: 100, minInsyncReplicas: 3 })
  t.equal(path.partition('orders').config.minInsyncReplicas, 3)
  const large = batchOf(['x'.repeat(200)])
  t.throws(() => path.partition('orders').append(large, { acks: 1 }), { name: 'KafkaError' })
  const partitions = topic.partitions.map((p) =>
    p.index === 0 ? { ...p, replicas: [2], leader: 2, partitionEpoch: 1 } : p,
  )
  path.setTopic({ ...topic, partitions })
  t.match(path.replicas.find('orders', 0), { name: 'NOT_LEADER_OR_FOLLOWER' })
  t.ok(path.replicas.get('orders', 1))
})

t.test('duties: checkpoints and retention', async (t) => {
  const path = new DataPath()
  path.createTopic('orders', { config: { retentionMs: 60_000, segmentMs: 10_000 } })
  await path.append('orders', ['a'])
  await path.world.runFor(6000)
  const checkpoint = String(path.process.disk.readFile('/data/replication-offset-checkpoint'))
  t.equal(checkpoint, '0\n1\norders 0 1\n')
  await path.world.runFor(700_000)
  t.equal(path.partition('orders').log.logStartOffset, 1)
})

t.test('a log directory that fails', async (t) => {
  const path = new DataPath({ disks: ['/one', '/two'] })
  path.createTopic('orders', { partitions: 4 })
  path.process.disk.fault = (_, name) => (name.startsWith('/one') ? 'EIO' : undefined)
  path.replicas.checkpoint()
  t.equal(path.replicas.onlineDirectories.length, 1)
  const failed = [...path.replicas.partitions()].filter(({ isOffline }) => isOffline)
  t.equal(failed.length, 2)
  path.createTopic('later', { partitions: 2 })
  for (const index of [0, 1]) t.equal(path.partition('later', index).directory?.path, '/two')
  path.process.disk.fault = () => 'EIO'
  path.replicas.checkpoint()
  path.createTopic('nowhere')
  t.match(path.partition('nowhere').leaderError(), { name: 'KAFKA_STORAGE_ERROR' })
  await path.world.run(path.replicas.close(1))
})

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

t.test(
  'recovery points move up a minute after much was written, and not while it is',
  async (t) => {
    const path = new DataPath()
    path.createTopic('orders', { partitions: 2, config: { segmentBytes: 40_000 } })
    const write = (index: number, count: number) => {
      const { written } = path
        .partition('orders', index)
        .append(batchOf(Array.from({ length: count }, (_, n) => `${n} ${'x'.repeat(90)}`)), {
          acks: 1,
        })
      return path.world.run(written)
    }
    const points = () => [0, 1].map((index) => path.partition('orders', index).log.recoveryPoint)
    await write(0, 120)
    await write(1, 10)
    await path.world.runFor(50_000)
    await write(0, 20)
    t.same(points(), [0, 0], 'the operating system has a minute for it')
    await path.world.runFor(20_000)
    t.same(points(), [140, 0], 'so little is read again as fast')
    const checkpoint = String(path.process.disk.readFile('/data/recovery-point-offset-checkpoint'))
    t.match(checkpoint, /orders 0 140/)
    await write(1, 120)
    await path.world.runFor(70_000)
    t.same(points(), [140, 130])
  },
)

t.test('a log directory that fails', async (t) => {
  const path = new DataPath({ disks: ['/one', '/two'] })
  path.createTopic('orders', { partitions: 4 })
  for (const index of [0, 1, 2, 3]) {
    const partition = path.partition('orders', index)
    await path.world.run(partition.append(batchOf(['a']), { acks: 1 }).written)
  }
  path.process.disk.fault = (_, name) => (name.startsWith('/one') ? 'EIO' : undefined)
  await path.world.run(path.replicas.upkeep.checkpoint())
  t.equal(path.replicas.onlineDirectories.length, 1)
  const failed = [...path.replicas.partitions()].filter(({ isOffline }) => isOffline)
  t.equal(failed.length, 2)
  path.createTopic('later', { partitions: 2 })
  for (const index of [0, 1]) t.equal(path.partition('later', index).directory?.path, '/two')
  path.process.disk.fault = undefined
  await path.append('later', ['a'])
  t.equal(path.partition('later').highWatermark, 1)
  const [offline] = failed
  t.match(offline?.leaderError(), { name: 'KAFKA_STORAGE_ERROR' }, 'whatever the disk says now')

  path.process.disk.fault = () => 'EIO'
  await path.world.run(path.replicas.upkeep.checkpoint())
  path.createTopic('nowhere')
  t.match(path.partition('nowhere').leaderError(), { name: 'KAFKA_STORAGE_ERROR' })
  await path.world.run(path.replicas.close(1))
})

t.test('a partition is not begun anew while a directory that may hold it is away', async (t) => {
  const path = new DataPath({ disks: ['/one', '/two'] })
  path.createTopic('orders', { partitions: 2 })
  for (const index of [0, 1]) {
    const partition = path.partition('orders', index)
    await path.world.run(partition.append(batchOf(['a']), { acks: 1 }).written)
  }
  const [away, here] = [0, 1].map((index) => path.partition('orders', index).directory?.path)
  path.restart('kill', (disk) => {
    disk.fault = (_, name) => (name.startsWith('/one') ? 'EIO' : undefined)
  })
  t.strictSame([away, here], ['/one', '/two'])
  t.match(path.partition('orders', 0).leaderError(), { name: 'KAFKA_STORAGE_ERROR' })
  t.equal(path.partition('orders', 1).highWatermark, 1)
  path.createTopic('later')
  t.equal(path.partition('later').directory?.path, '/two')
  t.equal(path.partition('later').leaderError(), null)
})

t.test('what cannot be looked at during a start is offline, not begun anew', async (t) => {
  for (const end of ['close', 'kill'] as const) {
    for (const unreadable of ['/data/orders-0/partition.metadata', '/data']) {
      const what = `${unreadable} after ${end}`
      const path = new DataPath()
      path.createTopic('orders', { partitions: 3 })
      for (const index of [0, 1, 2]) {
        const { written } = path.partition('orders', index).append(batchOf(['a']), { acks: 1 })
        await path.world.run(written)
      }
      if (end === 'close') await path.world.run(path.replicas.close(5))
      let lists = 0
      path.restart('kill', (disk) => {
        // As the file may be after a loss of power: it is looked at more than once.
        const file = disk.open('/data/orders-0/partition.metadata', 'write')
        file.truncate(0)
        file.close()
        disk.fault = (operation, name) => {
          if (name !== unreadable) return undefined
          // The first is that of the directory's opening.
          if (operation === 'list') return lists++ > 0 ? 'EACCES' : undefined
          return operation === 'stat' && name !== '/data' ? 'EACCES' : undefined
        }
      })
      for (const index of [0, 1, 2]) {
        const partition = path.partition('orders', index)
        const isOffline = unreadable === '/data' || index === 0
        const error = isOffline ? { name: 'KAFKA_STORAGE_ERROR' } : null
        t.match(partition.leaderError(), error, `${index}, ${what}`)
        if (!isOffline) t.equal(partition.highWatermark, 1, `${index}, ${what}`)
      }
      path.process.disk.fault = undefined
      await path.world.run(path.replicas.close(6))
      path.restart()
      t.equal(path.partition('orders').highWatermark, 1, `the next start has it: ${what}`)
    }
  }
})

t.test(
  'a start waits for files that it may open, and what it cannot open is opened later',
  async (t) => {
    for (const end of ['close', 'kill'] as const) {
      for (const operation of ['list', 'stat', 'open', 'read'] as const) {
        const path = new DataPath()
        path.createTopic('orders', { partitions: 3 })
        for (const index of [0, 1, 2]) {
          const { written } = path.partition('orders', index).append(batchOf(['a']), { acks: 1 })
          await path.world.run(written)
        }
        if (end === 'close') await path.world.run(path.replicas.close(5))
        let lists = 0
        path.restart('kill', (disk) => {
          disk.fault = (done, name) => {
            // The first is that of the directory's opening.
            if (name === '/data') return done === operation && lists++ > 0 ? 'EMFILE' : undefined
            return done === operation && name.includes('/orders-') ? 'EMFILE' : undefined
          }
        })
        const { timers } = path.process.environment
        const sleep = (ms: number) =>
          path.world.run(new Promise((done) => timers.after(ms, () => done(0))))
        await sleep(40_000)
        path.process.disk.fault = undefined
        await sleep(2_000)
        for (const index of [0, 1, 2]) {
          const what = `${index}, ${operation} after ${end}`
          t.equal(path.partition('orders', index).leaderError(), null, what)
          t.equal(path.partition('orders', index).highWatermark, 1, what)
        }
        await path.world.run(path.replicas.opened)
      }
    }
  },
)

t.test('a partition whose directory is no longer there is offline, not begun anew', async (t) => {
  const lines: string[] = []
  const path = new DataPath({ onLog: (line) => void lines.push(line) })
  const topic = path.createTopic('orders', { partitions: 3 })
  const gone = Buffer.alloc(16, 7).toString('base64url')
  const partitions = topic.partitions.map((one) =>
    one.index === 0 ? one : { ...one, directories: [gone], partitionEpoch: 1 },
  )
  path.setTopic({ ...topic, partitions })
  await path.append('orders', ['a'])
  const { written } = path.partition('orders', 2).append(batchOf(['a']), { acks: 1 })
  await path.world.run(written)
  lines.length = 0
  path.restart()
  t.equal(path.partition('orders', 0).leaderError(), null)
  t.match(path.partition('orders', 1).leaderError(), { name: 'KAFKA_STORAGE_ERROR' })
  t.equal(path.partition('orders', 2).leaderError(), null, 'what is found is where it is')
  const line = `error offline partitions: 1 \\(orders-1\\)\\. They lie in .* directory.id=${gone}`
  t.match(lines.join('\n'), new RegExp(line))
})

t.test(
  'a partition whose files were taken away is empty, says so, and reuses no offset',
  async (t) => {
    for (const how of ['missing', 'renamed', 'empty'] as const) {
      for (const end of ['close', 'kill'] as const) {
        const lines: string[] = []
        const path = new DataPath({ onLog: (line) => void lines.push(line) })
        path.createTopic('orders', { partitions: 2 })
        await path.append('orders', ['a', 'b', 'c'])
        const other = path.partition('orders', 1).append(batchOf(['a']), { acks: 1 })
        await path.world.run(other.written)
        path.replicas.directories[0]?.logs.writeCheckpoints()
        if (end === 'close') await path.world.run(path.replicas.close(5))
        lines.length = 0
        path.restart('kill', (disk) => {
          if (how === 'renamed') disk.rename('/data/orders-0', '/data/orders-0.1234-stray')
          else
            for (const { name } of disk.list('/data/orders-0'))
              disk.remove(`/data/orders-0/${name}`)
          if (how === 'missing') disk.rename('/data/orders-0', '/elsewhere')
        })
        await path.world.runFor(100)
        const what = `${how} after ${end}`
        const partition = path.partition('orders')
        const isKnown = end === 'close'
        const told =
          isKnown || how === 'empty'
            ? /error all records of a partition are missing.*orders-0/
            : /warn a partition held records, and nothing of it is there.*orders-0/
        // What a kill leaves of the checkpoints says where records were readable, not that they were durable.
        if (isKnown || how !== 'empty') t.match(lines.join('\n'), told, what)
        t.notMatch(lines.join('\n'), /orders-1/, what)
        t.equal(partition.leaderError(), null)
        t.equal(partition.log.logStartOffset, isKnown ? 3 : 0, what)
        t.equal(partition.log.logEndOffset, isKnown ? 3 : 0, what)
        await path.append('orders', ['d'])
        t.equal(partition.log.logEndOffset, isKnown ? 4 : 1, what)
        t.equal(path.partition('orders', 1).highWatermark, 1)
        await path.world.run(path.replicas.close(6))
        lines.length = 0
        path.restart()
        t.equal(path.partition('orders').log.logEndOffset, isKnown ? 4 : 1, what)
        t.notMatch(lines.join('\n'), /error/, 'it is told once')
      }
    }
  },
)

t.test(
  'what is missing is there again before anybody is let in: no offset is given twice',
  async (t) => {
    for (const end of ['kill', 'crash'] as const) {
      const path = new DataPath()
      path.createTopic('wide', { partitions: 200 })
      for (let index = 0; index < 200; index++) {
        const partition = path.partition('wide', index)
        await path.world.run(partition.append(batchOf(['a', 'b']), { acks: 1 }).written)
      }
      await path.world.run(path.replicas.close(1))
      path.restart('kill', (disk) => disk.rename('/data/wide-199', '/elsewhere'))
      t.ok(path.partition('wide', 190).isUnopened)
      t.notOk(path.partition('wide', 199).isUnopened)
      path.restart(end)
      t.equal(path.partition('wide', 199).logEndOffset, 2, end)
      await path.world.runFor(1000)
      t.equal(path.replicas.opening.opened, 200)
    }
  },
)

t.test('damage ends one partition, and is told with its name', async (t) => {
  const damages: [string, (path: DataPath, directory: string) => void][] = [
    ['a file in the place of the directory', replaceByFile],
    ['a directory in the place of the log', replaceLogByDirectory],
  ]
  for (const [what, damage] of damages) {
    const lines: string[] = []
    const path = new DataPath({ onLog: (line) => void lines.push(line) })
    for (const topic of ['before', 'hurt', 'zlast']) {
      path.createTopic(topic)
      await path.append(topic, ['a'])
    }
    const hurt = path.partition('hurt')
    await path.world.run(path.replicas.close(1))
    damage(path, '/data/hurt-0')
    lines.length = 0
    path.restart()
    await path.world.runFor(100)
    const told = lines.filter((line) => line.includes(' error '))
    t.equal(told.length, 1, what)
    t.match(told[0], /"partition":"hurt-0"/)
    t.match(path.partition('hurt').leaderError(), { name: 'KAFKA_STORAGE_ERROR' })
    t.throws(() => path.partition('hurt').append(batchOf(['b']), { acks: 1 }), {
      name: 'KafkaError',
    })
    for (const topic of ['before', 'zlast']) {
      await path.append(topic, ['b'])
      t.equal(path.partition(topic).highWatermark, 2)
    }
    await path.world.runFor(20_000)
    await path.world.run(path.replicas.close(1))
    path.restart()
    t.notOk(path.replicas.directories[0]?.isClean, 'it is looked at again')
    t.equal(path.partition('before').highWatermark, 2)

    path.deleteTopic({ name: 'hurt', id: hurt.topicId })
    path.createTopic('hurt')
    await path.append('hurt', ['anew'])
    t.equal(path.partition('hurt').highWatermark, 1, 'a new topic of the name is not its heir')
  }
})

t.test('a write that fails for one file ends its partition, while it runs', async (t) => {
  for (const operation of ['write', 'sync'] as const) {
    const path = new DataPath()
    path.createTopic('hurt', { config: { flushMessages: 1 } })
    path.createTopic('well', { config: { flushMessages: 1 } })
    await path.append('hurt', ['a'])
    await path.append('well', ['a'])
    let changes = 0
    const watcher = { readable: () => {}, changed: () => void changes++ }
    path.partition('hurt').watch(watcher)
    path.process.disk.fault = (what, name) =>
      what === operation && name.endsWith('hurt-0/00000000000000000000.log') ? 'EFBIG' : undefined
    await t.rejects(path.append('hurt', ['b']), { code: 'EFBIG' })
    path.process.disk.fault = undefined
    t.match(path.partition('hurt').leaderError(), { name: 'KAFKA_STORAGE_ERROR' })
    t.equal(changes, 1, 'those who wait are told')
    t.equal(path.partition('hurt').highWatermark, 1)
    await path.append('well', ['b'])
    t.equal(path.partition('well').highWatermark, 2)
    path.restart()
    t.ok(path.partition('hurt').highWatermark >= 1, 'nothing acknowledged is lost')
    await path.append('hurt', ['c'])
  }
})

t.test('the small file of a partition is missing, damaged or another one', async (t) => {
  const path = new DataPath()
  const file = '/data/orders-0/partition.metadata'
  const topic = path.createTopic('orders', { id: 'P3wLkvUQSMyy7Zy5pLxqgA' })
  await path.append('orders', ['a'])
  const sound = `version: 0\ntopic_id: ${topic.id}`
  const contents = [null, '', 'garbage', 'version: 0\ntopic_id: P3wLkvUQSMyy7Zy5pLxqgB']
  contents.push('version: 0\ntopic_id: P3wLkvUQTMyy7Zy5pLxqgA', 'version: 9\n', '\0'.repeat(43))
  for (const content of contents) {
    await path.world.run(path.replicas.close(1))
    path.process.disk.remove(file)
    if (content !== null) writeText(path, file, content)
    path.restart()
    t.equal(path.partition('orders').highWatermark, 1, String(content))
    t.equal(String(path.process.disk.readFile(file)), sound, 'written anew')
  }
  const other = 'version: 0\ntopic_id: Zm9vYmFyYmF6cXV4cXV1eA'
  await path.world.run(path.replicas.close(1))
  writeText(path, file, other)
  path.restart()
  const refused = path.partition('orders').leaderError()
  t.match(
    refused,
    { name: 'KAFKA_STORAGE_ERROR' },
    'no deletion was under way: nothing begins anew',
  )
  writeText(path, file, sound)
  path.restart()
  t.equal(path.partition('orders').highWatermark, 1)
  writeText(path, file, other)
  path.restart()
  t.match(names(path), [/^orders-0\.[0-9a-f]{32}-stray$/])
  t.equal(path.partition('orders').highWatermark, 0, 'what is of an earlier topic is set aside')
})

t.test('a deletion that a crash interrupts is finished, and touches nothing else', async (t) => {
  for (let seed = 0; seed < 30; seed++) {
    const path = new DataPath({ seed })
    const first = path.createTopic('orders')
    path.createTopic('kept')
    await path.append('orders', ['a', 'b', 'c'])
    await path.append('kept', ['k'])
    path.partition('orders').deleteRecords(2)
    path.process.disk.syncDirectory('/data')
    await path.world.run(path.replicas.upkeep.checkpoint())
    path.deleteTopic(first)
    const second = path.createTopic('orders')
    if (seed % 3 > 0) await path.append('orders', ['x'])
    // Up to and beyond file.delete.delay.ms.
    const how = seed % 2 === 0 ? 'kill' : 'crash'
    const shortMs = how === 'kill' ? 0 : 100
    await path.world.runFor(seed % 5 === 0 ? 59_990 + seed : shortMs + seed)
    path.restart(how)
    const partition = path.partition('orders')
    t.equal(partition.topicId, second.id)
    t.equal(partition.log.logStartOffset, 0, 'nothing of the one before')
    t.ok(partition.highWatermark <= 1)
    if (seed % 2 === 0 && seed % 3 > 0) t.equal(partition.highWatermark, 1)
    await path.append('orders', ['y'])
    if (seed % 2 === 0) t.equal(path.partition('kept').highWatermark, 1)
    await path.world.runFor(100)
    t.notOk(
      names(path).some((name) => name.endsWith('-delete')),
      'what was left is gone',
    )
  }
})

t.test('records that were deleted stay deleted once that is durable', async (t) => {
  for (const how of ['kill', 'crash'] as const) {
    const path = new DataPath()
    path.createTopic('orders', { config: { flushMessages: 1 } })
    await path.append('orders', ['a', 'b', 'c'])
    t.equal(path.partition('orders').deleteRecords(2), 2)
    await path.world.run(path.replicas.persistLogStarts())
    path.restart(how)
    t.equal(path.partition('orders').logStartOffset, 2, how)
    t.equal(path.partition('orders').highWatermark, 3)
  }
})

t.test('a start leaves room for others, and can be ended', async (t) => {
  const path = new DataPath()
  path.createTopic('wide', { partitions: 200 })
  for (let index = 0; index < 200; index++) {
    const partition = path.partition('wide', index)
    await path.world.run(partition.append(batchOf(['a']), { acks: 1 }).written)
  }
  path.restart()
  const { opening } = path.replicas
  t.ok(opening.opened > 0 && opening.opened < 200, 'others have their turn')
  t.equal(opening.total, 200)
  path.replicas.endStart()
  await path.world.run(path.replicas.close(1))
  t.notOk(path.process.disk.exists('/data/.kafka_cleanshutdown'), 'some were not checked')
  path.restart()
  await path.world.runFor(1000)
  t.equal(path.replicas.opening.opened, 200)
  await path.world.run(path.replicas.close(1))
  path.restart()
  t.ok(path.replicas.directories[0]?.isClean)
  path.replicas.endStart()
  await path.world.run(path.replicas.close(1))
  t.ok(path.process.disk.exists('/data/.kafka_cleanshutdown'), 'those not opened were closed well')
})

t.test('logs that were closed well are opened behind, or by whoever asks', async (t) => {
  const path = new DataPath()
  path.createTopic('wide', { partitions: 200 })
  for (let index = 0; index < 200; index++) {
    const partition = path.partition('wide', index)
    await path.world.run(partition.append(batchOf(['a', 'b']), { acks: 1 }).written)
  }
  await path.world.run(path.replicas.close(1))
  removeFiles(path, '/data/wide-198')
  replaceLogByDirectory(path, '/data/wide-199')
  path.restart()
  const unopened = path.partition('wide', 190)
  t.ok(unopened.isUnopened)
  t.equal(unopened.highWatermark, 2, 'it is opened for whoever asks')
  t.notOk(unopened.isUnopened)
  await path.world.run(path.partition('wide', 191).append(batchOf(['c']), { acks: 1 }).written)
  t.equal(path.partition('wide', 191).logEndOffset, 3)
  t.ok(path.partition('wide', 198).isUnopened)
  t.equal(path.partition('wide', 198).logStartOffset, 2, 'what is missing stays missing')
  const damaged = path.partition('wide', 199)
  t.ok(damaged.isUnopened && !damaged.isOffline, 'nobody has looked')
  t.throws(() => damaged.highWatermark, { name: 'KafkaError' }, 'and it does not pass for empty')
  t.match(damaged.leaderError(), { name: 'KAFKA_STORAGE_ERROR' })
  t.ok(damaged.isOffline)
  await path.world.runFor(1000)
  t.equal(path.replicas.opening.opened, 200)
  t.same([...path.replicas.partitions()].filter((one) => one.isUnopened).map(String), ['wide-199'])
})

function writeText(path: DataPath, file: string, content: string): void {
  const open = path.process.disk.open(file, 'create')
  open.truncate(0)
  open.write([Buffer.from(content)], 0)
  open.close()
}

function removeFiles(path: DataPath, directory: string): void {
  for (const { name } of path.process.disk.list(directory)) {
    path.process.disk.remove(`${directory}/${name}`)
  }
}

function replaceByFile(path: DataPath, directory: string): void {
  path.process.disk.rename(directory, '/moved')
  writeText(path, directory, 'no directory')
}

function replaceLogByDirectory(path: DataPath, directory: string): void {
  removeFiles(path, directory)
  path.process.disk.makeDirectory(`${directory}/00000000000000000000.log`)
}

t.test('no file can be opened for a while: nobody is offline, nothing is lost', async (t) => {
  const lines: string[] = []
  const path = new DataPath({ onLog: (line) => void lines.push(line) })
  path.createTopic('orders', { partitions: 12, config: { segmentBytes: 1024 } })
  const written: string[][] = Array.from({ length: 12 }, () => [])
  const append = async (index: number, value: string): Promise<void> => {
    const records = batchOf([`<${value}>`.padEnd(100)])
    const appended = path.partition('orders', index).append(records, { acks: 1 })
    await path.world.run(appended.written)
    ;(written[index] as string[]).push(`<${value}>`)
  }
  const appendEach = async (round: string): Promise<number> => {
    let refused = 0
    for (const index of written.keys()) {
      await append(index, `${round}-${index}`).catch((error: unknown) => {
        t.match(error, { error: { name: 'KAFKA_STORAGE_ERROR' } }, `${index}`)
        refused++
      })
    }
    return refused
  }
  // The first have records, and come to roll while nothing can be opened.
  for (const index of [0, 1, 2, 3]) for (let n = 0; n < 4; n++) await append(index, `${n}`)

  const { disk } = path.process
  let opens = 0
  for (const code of ['EMFILE', 'ENFILE']) {
    lines.length = 0
    // Every so many opens succeed, so that each file in turn is the one that cannot be opened.
    for (const nth of [0, 2, 3, 4, 5]) {
      disk.fault = (operation) => {
        if (operation !== 'open' && operation !== 'read') return undefined
        return nth > 0 && ++opens % nth === 0 ? undefined : code
      }
      for (let round = 0; round < 4; round++) {
        const refused = await appendEach(`${code}-${nth}-${round}`)
        if (nth === 0) t.ok(refused >= 8, `${refused} were refused`)
        path.replicas.upkeep.deleteOldSegments()
      }
    }
    const told = lines.filter((line) => /may open no more files|opens no more files/.test(line))
    t.equal(told.length, code === 'EMFILE' ? 1 : 0, 'said once in a while')
  }
  disk.fault = undefined
  t.equal(lines.filter((line) => /offline/.test(line)).length, 0)
  t.same(path.replicas.failedPartitions, [])

  const read = async (index: number): Promise<string[]> => {
    const partition = path.partition('orders', index)
    const values: string[] = []
    for (let offset = 0; offset < partition.highWatermark; ) {
      const options = { maxBytes: 1_000_000, minOneBatch: true, isReadCommitted: false }
      const found = await path.world.run(Promise.resolve(partition.read(offset, options)))
      values.push(
        ...(Buffer.concat(found.chunks)
          .toString('latin1')
          .match(/<[\w-]+>/g) ?? []),
      )
      offset = found.nextOffset
    }
    return values
  }
  const check = async (what: string): Promise<void> => {
    for (const [index, expected] of written.entries()) {
      t.equal(path.partition('orders', index).highWatermark, expected.length, `${index}, ${what}`)
      t.same(await read(index), expected, `${index}, ${what}`)
    }
  }
  t.equal(await appendEach('after'), 0, 'all serve again')
  await check('afterwards')
  path.restart('kill')
  path.process.disk.fault = (operation) => (operation === 'open' ? 'EMFILE' : undefined)
  for (const index of written.keys()) await t.rejects(read(index), { code: 'EMFILE' })
  path.process.disk.fault = undefined
  await check('after a kill')
  t.equal(await appendEach('next'), 0)
  await path.world.run(path.replicas.close(5))
  path.restart()
  await check('after a clean stop')
})

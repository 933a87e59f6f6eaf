/** The files beside the partitions: whatever is in them, the broker starts, and takes nothing for what it is not. */
import t from 'tap'
import type { DiskError, DiskFile } from '../../src/environment/disk.ts'
import { replaceFile } from '../../src/log/checkpoints.ts'
import { identify } from '../../src/log/directory-identity.ts'
import { LogDirectory } from '../../src/log/log-directory.ts'
import { parseMetaProperties } from '../../src/log/meta-properties.ts'
import { isOfTopic, readPartitionMetadata } from '../../src/log/partition-metadata.ts'
import type { MemoryDisk } from '../simulator/memory-disk.ts'
import { type SimulatedProcess, SimulatedWorld } from '../simulator/simulated-world.ts'

const path = '/data'
const points = `${path}/recovery-point-offset-checkpoint`
const starts = `${path}/log-start-offset-checkpoint`
const watermarks = `${path}/replication-offset-checkpoint`
const mark = `${path}/.kafka_cleanshutdown`
const topicId = 'P3wLkvUQSMyy7Zy5pLxqgA'

/** A log that is nothing but its offsets. */
class Offsets {
  readonly topic: string
  readonly partition = 0
  recoveryPoint = 0
  logStartOffset = 0
  highWatermark = 0
  cleanedOffset = -1
  closing: () => Promise<void> = () => Promise.resolve()

  constructor(topic: string) {
    this.topic = topic
  }

  advance(): Promise<void> {
    return Promise.resolve()
  }

  writeOut(): Promise<boolean> {
    return Promise.resolve(true)
  }

  close(): Promise<void> {
    return this.closing()
  }
}

class Place {
  readonly world: SimulatedWorld
  readonly lines: string[] = []
  readonly failures: string[] = []
  process: SimulatedProcess
  directory: LogDirectory

  constructor(seed = 1) {
    this.world = new SimulatedWorld(seed, { onLog: (line) => void this.lines.push(line) })
    this.process = this.world.start('broker')
    this.directory = this.open()
  }

  get disk(): MemoryDisk {
    return this.process.disk
  }

  open(): LogDirectory {
    const onFailure = (_: LogDirectory, error: DiskError) => void this.failures.push(error.code)
    return LogDirectory.open({ environment: this.process.environment, path, onFailure })
  }

  write(file: string, content: string): void {
    const open = this.disk.open(file, 'create')
    open.truncate(0)
    open.write([Buffer.from(content)], 0)
    open.close()
  }

  read(file: string): string | null {
    return this.disk.exists(file) ? String(this.disk.readFile(file)) : null
  }

  log(topic: string, offsets: Partial<Offsets> = {}): Offsets {
    this.disk.makeDirectory(`${path}/${topic}-0`)
    const log = Object.assign(new Offsets(topic), offsets)
    this.directory.logs.register(log)
    return log
  }

  /** Of a log that is open. */
  change(log: Offsets, offsets: Partial<Offsets>): void {
    Object.assign(log, offsets)
    this.directory.logs.noteChange(log)
  }

  async close(): Promise<void> {
    await this.world.run(this.directory.close(7))
  }

  reopen(): LogDirectory {
    this.world.kill(this.process)
    this.process = this.world.start('broker')
    this.lines.length = 0
    this.directory = this.open()
    return this.directory
  }
}

t.test('checkpoints are written when something has changed', async (t) => {
  const place = new Place()
  const orders = place.log('orders', { recoveryPoint: 5, highWatermark: 7 })
  const syncs: string[] = []
  const open = place.disk.open.bind(place.disk)
  place.disk.open = (file, mode) => {
    if (mode === 'create') syncs.push(file.slice(path.length + 1, -'.tmp'.length))
    return open(file, mode)
  }
  const checkpoint = async () => {
    syncs.length = 0
    await place.world.run(place.directory.logs.checkpoint())
    return [...syncs]
  }
  t.same(await checkpoint(), ['recovery-point-offset-checkpoint', 'replication-offset-checkpoint'])
  t.equal(place.read(points), '0\n1\norders 0 5\n')
  t.equal(place.read(watermarks), '0\n1\norders 0 7\n')
  t.equal(place.read(starts), null, 'no log begins above 0')
  t.same(await checkpoint(), [])
  place.change(orders, { highWatermark: 8 })
  t.same(await checkpoint(), ['replication-offset-checkpoint'])
  place.change(orders, { logStartOffset: 3 })
  t.same(await checkpoint(), ['log-start-offset-checkpoint'])
  t.equal(place.read(starts), '0\n1\norders 0 3\n')
  place.directory.logs.writeCheckpoints()
  t.same(syncs.length, 1, 'nothing to write')
})

t.test('a write in the background gives way to a blocking one, and to a crash', async (t) => {
  const place = new Place()
  const orders = place.log('orders', { recoveryPoint: 100, highWatermark: 100 })
  await place.world.run(place.directory.logs.checkpoint())
  place.change(orders, { recoveryPoint: 200 })
  const outdated = place.directory.logs.checkpoint()
  orders.recoveryPoint = 50
  place.directory.logs.writeCheckpoints()
  await place.world.run(outdated)
  t.equal(place.read(points), '0\n1\norders 0 50\n', 'the older, higher value does not come back')

  for (let seed = 0; seed < 40; seed++) {
    const at = new Place()
    const log = at.log('orders', { recoveryPoint: 1, logStartOffset: 1, highWatermark: 1 })
    at.disk.syncDirectory(path)
    at.directory.logs.writeCheckpoints()
    at.change(log, { recoveryPoint: 22, logStartOffset: 22, highWatermark: 22 })
    const written = at.directory.logs.checkpoint()
    const isDone = seed % 4 === 0
    if (isDone) await at.world.run(written)
    else await at.world.runFor(seed / 4)
    at.world.random.float()
    at.world.crash(at.process)
    at.process = at.world.start('broker')
    const { recoveryPoint, logStartOffset, highWatermark } = at.open().logs.offsetsOf('orders-0')
    for (const offset of [recoveryPoint, logStartOffset, highWatermark]) {
      t.ok(offset === 1 || offset === 22, 'the old or the new one')
    }
    if (isDone) t.equal(logStartOffset, 22, 'log starts are durable when it resolves')
  }
})

t.test(
  'whatever stands in the place of a checkpoint counts as nothing and is replaced',
  async (t) => {
    const contents = ['', 'garbage', '7\n1\norders 0 5\n', '0\n2\norders 0 5\n', '0\n1\norders 0 5']
    contents.push(
      '0\n1\norders 0 x\n',
      '0\n1\norders zero 5\n',
      '0\n1\norders 5\n',
      '\0'.repeat(64),
    )
    contents.push('0\n1\norders 0 99999999999999999999\n', '0\n-1\n')
    for (const file of [points, starts, watermarks]) {
      for (const content of [...contents, null]) {
        const place = new Place()
        if (content === null) place.disk.makeDirectory(`${file}/inside`)
        else place.write(file, content)
        // A leftover in the way of the next write as well.
        place.disk.makeDirectory(`${file}.tmp/inside`)
        const directory = place.reopen()
        t.match(place.lines.join('\n'), new RegExp(`damaged and counts as empty.*${file}`))
        t.match(directory.logs.offsetsOf('orders-0'), { recoveryPoint: 0, logStartOffset: 0 })
        place.log('orders', { recoveryPoint: 5, logStartOffset: 5, highWatermark: 5 })
        directory.logs.writeCheckpoints()
        t.equal(place.read(file), '0\n1\norders 0 5\n')
        t.equal(directory.failure, null)
      }
    }
    const place = new Place()
    place.disk.makeDirectory(`${points}.damaged/inside`)
    place.disk.makeDirectory(`${points}/inside`)
    replaceFile(place.disk, points, 'x', { sync: true })
    t.ok(place.disk.exists(`${points}.damaged-2`))
  },
)

t.test('a cleaner checkpoint without content is as Kafka makes it', async (t) => {
  const place = new Place()
  place.write('/data/cleaner-offset-checkpoint', '')
  place.reopen()
  t.notMatch(place.lines.join('\n'), /damaged/)
  place.write('/data/cleaner-offset-checkpoint', '0\n1\n')
  place.reopen()
  t.match(place.lines.join('\n'), /damaged and counts as empty.*cleaner-offset-checkpoint/)
})

t.test('a directory where a checkpoint is written before it takes its place', async (t) => {
  const lines: string[] = []
  const world = new SimulatedWorld(1, { onLog: (line) => void lines.push(line) })
  const { environment, disk } = world.start('broker')
  disk.makeDirectory(`${points}.tmp`)
  const directory = LogDirectory.open({ environment, path: '/data' })
  t.match(
    lines.join('\n'),
    /warn a directory in the place of a checkpoint.*recovery-point.*damaged/,
  )
  directory.logs.writeCheckpoints()
  t.equal(directory.failure, null)
})

t.test('the clean-shutdown file', async (t) => {
  const place = new Place()
  t.notOk(place.directory.isClean, 'a new directory')
  await place.close()
  t.equal(place.read(mark), '{"version":0,"brokerEpoch":7}')
  place.reopen()
  t.ok(place.directory.isClean)
  t.equal(place.directory.cleanShutdownBrokerEpoch, 7)
  t.equal(place.read(mark), null, 'gone before anything else is done')
  place.world.crash(place.process)
  place.process = place.world.start('broker')
  t.notOk(place.open().isClean, 'for good')

  for (const content of [
    '',
    'garbage',
    '{"version":1,"brokerEpoch":7}',
    '{"version":0,"brok',
    null,
  ]) {
    const damaged = new Place()
    if (content === null) damaged.disk.makeDirectory(`${mark}/inside`)
    else damaged.write(mark, content)
    t.notOk(damaged.reopen().isClean, String(content))
    t.notOk(damaged.disk.exists(mark))
    t.match(damaged.lines.join('\n'), /clean-shutdown file is damaged/)
  }
})

t.test('a shutdown is clean only where all that lies here was closed well', async (t) => {
  const unchecked = new Place()
  unchecked.log('orders')
  unchecked.log('never-opened')
  unchecked.reopen()
  unchecked.log('orders')
  await unchecked.close()
  t.equal(unchecked.read(mark), null, 'a log was not checked after the kill')
  unchecked.reopen()
  unchecked.directory.partitions.setAside('never-opened-0')
  unchecked.log('orders')
  await unchecked.close()
  t.not(unchecked.read(mark), null)
  unchecked.reopen()
  await unchecked.close()
  t.not(unchecked.read(mark), null, 'nothing was opened, and all was clean before')
  t.equal(unchecked.read(mark), '{"version":0,"brokerEpoch":7}')

  const failing = new Place()
  const { closing } = failing.log('orders', { recoveryPoint: 3 })
  failing.log('broken', { closing: () => Promise.reject(new Error('no')) })
  await failing.close()
  await closing()
  t.equal(failing.read(mark), null)
  t.match(failing.read(points), /orders 0 3/, 'the checkpoints are written all the same')

  const damaged = new Place()
  damaged.log('orders')
  damaged.directory.failPartition('orders-0', new Error('damaged'))
  await damaged.close()
  t.equal(damaged.read(mark), null)
})

t.test('checkpoints of very many logs take turns, and miss nothing meanwhile', async (t) => {
  const place = new Place()
  const count = 2500
  const logs = Array.from({ length: count }, (_, number) =>
    place.log(`t${number}`, { recoveryPoint: 1, logStartOffset: 1, highWatermark: 1 }),
  )
  const [first, second, third] = [logs[0], logs[count - 1], logs[count - 2]] as [
    Offsets,
    Offsets,
    Offsets,
  ]
  const { timers } = place.process.environment
  let turns = 0
  const nextTurn = () => {
    turns++
    timers.nextTurn(nextTurn)
  }
  nextTurn()
  const began = place.directory.logs.checkpoint()
  // Some are noted by now: what changes of them, or goes, is in the file of whoever asks from here on.
  place.change(first, { logStartOffset: 5 })
  place.directory.logs.unregister(second)
  place.directory.partitions.remove('t2499-0', 1000)
  place.change(second, { logStartOffset: 77 })
  place.change(third, { recoveryPoint: 6 })
  await place.world.run(place.directory.logs.checkpoint())
  t.ok(turns > 4, `${turns} turns`)
  const offsetsIn = (file: string) => (place.read(file) ?? '').trim().split('\n')
  const [, held, ...lines] = offsetsIn(starts)
  t.equal(Number(held), count - 1)
  t.equal(lines.length, count - 1)
  t.ok(lines.includes('t0 0 5'))
  t.notOk(lines.some((line) => line.startsWith('t2499 ')))
  t.ok(offsetsIn(points).includes('t2498 0 6'))
  await place.world.run(began)
  t.same(offsetsIn(starts).length, count + 1)
})

t.test('a name that is given up is forgotten before it is used again', async (t) => {
  for (const how of ['remove', 'setAside'] as const) {
    const place = new Place()
    const log = place.log('orders', { recoveryPoint: 9, logStartOffset: 9, highWatermark: 9 })
    place.directory.logs.writeCheckpoints()
    place.directory.logs.unregister(log)
    place.directory.partitions[how]('orders-0', 1000)
    t.match(place.directory.logs.offsetsOf('orders-0'), { recoveryPoint: 0, logStartOffset: 0 })
    t.equal(place.read(points), '0\n0\n', 'also on the disk, by the time that somebody asks')
    t.equal(place.directory.partitions.find().length, 0)
  }
  const long = new Place()
  const topic = 'x'.repeat(249)
  long.log(topic)
  t.match(long.directory.partitions.setAside(`${topic}-0`), /^x{214}-0\.[0-9a-f]{32}-stray$/)
})

t.test(
  'that it is forgotten is durable, whoever has written that and has not synced it',
  async (t) => {
    for (let seed = 1; seed <= 20; seed++) {
      const place = new Place(seed)
      const log = place.log('orders', { recoveryPoint: 9, logStartOffset: 9, highWatermark: 9 })
      place.directory.logs.writeCheckpoints()
      place.directory.logs.unregister(log)
      place.directory.logs.forget('orders-0')
      place.directory.logs.checkpoint().catch(() => {})
      const names = place.disk.syncDirectoryAsync.bind(place.disk)
      const isNamed = new Promise<void>((resolve) => {
        place.disk.syncDirectoryAsync = (at) => {
          resolve()
          return names(at)
        }
      })
      await place.world.run(isNamed)
      t.match(place.directory.logs.offsetsOf('orders-0'), { logStartOffset: 0 })
      place.world.crash(place.process)
      place.process = place.world.start('broker')
      t.match(place.open().logs.offsetsOf('orders-0'), { logStartOffset: 0 }, `seed ${seed}`)
    }
  },
)

t.test('names that are no partitions, and some that are', async (t) => {
  const place = new Place()
  for (const name of ['a-0', 'b.c_d-e-12', 'a-00', 'a-x', '-1', 'a-1-stray', 'a-1.0-future']) {
    place.disk.makeDirectory(`${path}/${name}`)
  }
  place.disk.makeDirectory(`${path}/__cluster_metadata-0`)
  place.write(`${path}/file-3`, 'a file in the place of a partition')
  t.match(place.directory.partitions.find(), [
    { name: 'a-0', topic: 'a', partition: 0 },
    { name: 'b.c_d-e-12', topic: 'b.c_d-e', partition: 12 },
    { name: 'file-3', topic: 'file', partition: 3, isDirectory: false, topicId: null },
  ])
})

t.test('what a failure reaches', async (t) => {
  const codes = { partition: ['EFBIG', 'EINVAL', 'EBADF'], directory: ['EIO', 'ENOSPC', 'EROFS'] }
  const fail = (place: Place, file: DiskFile, code: string) => {
    place.disk.fault = (operation) => (operation === 'write' ? code : undefined)
    t.throws(() => file.write([Buffer.from('x')], 0), { code })
    place.disk.fault = undefined
  }
  for (const code of codes.partition) {
    const place = new Place()
    place.log('orders')
    place.log('other')
    const { disk } = place.directory
    const file = disk.open(`${path}/orders-0/x`, 'create')
    fail(place, file, code)
    t.throws(() => file.write([Buffer.from('x')], 0), { code }, 'also once the disk is well again')
    t.throws(() => disk.open(`${path}/orders-0/y`, 'create'), { code })
    t.throws(() => disk.syncDirectory(`${path}/orders-0`), { code })
    disk.open(`${path}/other-0/x`, 'create').write([Buffer.from('x')], 0)
    t.same(place.failures, [])
    t.equal(place.lines.length, 1)
    t.match(place.lines[0], /error partition orders-0 failed.*"partition":"orders-0"/)
    place.directory.partitions.remove('orders-0', 0)
    place.disk.makeDirectory(`${path}/orders-0`)
    disk.open(`${path}/orders-0/x`, 'create').write([Buffer.from('x')], 0)
    file.close()
  }
  for (const code of codes.directory) {
    const place = new Place()
    const { disk } = place.directory
    place.log('orders')
    fail(place, disk.open(`${path}/orders-0/x`, 'create'), code)
    t.throws(() => disk.list(path), { code })
    t.same(place.failures, [code])
    t.equal(place.lines.length, 1, 'said once')
    await place.close()
    t.equal(place.lines.length, 1)
    t.equal(place.read(mark), null)
  }
  for (const code of ['EISDIR', 'EACCES', 'EMFILE']) {
    const place = new Place()
    place.disk.fault = (operation) => (operation === 'open' ? code : undefined)
    t.throws(() => place.directory.disk.open(`${path}/x`, 'create'), { code })
    place.disk.fault = undefined
    place.directory.disk.open(`${path}/x`, 'create')
  }
})

t.test('a directory that cannot be used is there, with its failure', async (t) => {
  const world = new SimulatedWorld(1)
  const { environment, disk } = world.start('broker')
  disk.open('/file', 'create').close()
  const directory = LogDirectory.open({ environment, path: '/file' })
  t.equal(directory.failure?.code, 'ENOTDIR')
  t.throws(() => directory.partitions.find(), { code: 'ENOTDIR' })
  await world.run(directory.close(1))
  LogDirectory.open({ environment, path })
  t.throws(() => LogDirectory.open({ environment, path }), { code: 'ELOCKED' })
})

t.test('partition.metadata', async (t) => {
  const place = new Place()
  const directory = `${path}/orders-0`
  place.disk.makeDirectory(directory)
  const file = `${directory}/partition.metadata`
  for (const content of [
    '',
    'garbage',
    'version: 1\ntopic_id: x',
    'version: 0\ntopic_id: short',
    null,
  ]) {
    if (content === null) {
      place.disk.remove(file)
      place.disk.makeDirectory(file)
    } else {
      place.write(file, content)
    }
    t.equal(readPartitionMetadata(place.disk, directory), null)
  }
  t.ok(isOfTopic(null, topicId), 'the name decides')
  t.ok(isOfTopic(topicId, topicId))
  const bytes = Buffer.from(topicId, 'base64url')
  for (let bit = 0; bit < 128; bit++) {
    const flipped = Buffer.from(bytes)
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    t.ok(isOfTopic(flipped.toString('base64url'), topicId), 'damaged, not another')
  }
  for (let other = 0; other < 100; other++) {
    const id = place.world.random.bytes(16).toString('base64url')
    t.notOk(isOfTopic(id, topicId), 'of an earlier topic of the same name')
  }
})

t.test('meta.properties that make no sense', (t) => {
  t.match(parseMetaProperties('version=1\ncluster.id=c\nnode.id=3\n'), {
    nodeId: 3,
    clusterId: 'c',
  })
  t.match(parseMetaProperties('version=0\nbroker.id=3\n'), { nodeId: 3, version: 0 })
  t.equal(parseMetaProperties(''), 'is empty or damaged')
  t.equal(parseMetaProperties('\0'.repeat(90)), 'is empty or damaged')
  t.match(parseMetaProperties('version=2\nnode.id=3'), /version 2/)
  t.match(parseMetaProperties('version=1\ncluster.id=c'), /names no node\.id/)
  t.match(parseMetaProperties('version=1\ncluster.id=c\nnode.id=x'), /node\.id x/)
  t.match(parseMetaProperties('version=1\nnode.id=3'), /names no cluster\.id/)
  const text = 'version=1\ncluster.id=c\nnode.id=3\ndirectory.id=x'
  t.match(parseMetaProperties(text), /directory\.id x/)
  t.end()
})

t.test('whose directories these are', (t) => {
  const world = new SimulatedWorld(1)
  let ids = 0
  const fresh = () => {
    const disk = world.start(`broker-${ids++}`).disk
    const write = (directory: string, text: string | null) => {
      disk.makeDirectory(directory)
      if (text !== null) replaceFile(disk, `${directory}/meta.properties`, text, { sync: true })
    }
    const check = (paths: string[], options: { clusterId?: string; nodeId?: number } = {}) => {
      const { nodeId = 1, clusterId } = options
      const newId = () => `id-${ids++}`
      return identify({ disk, paths, metadataPath: paths[0] ?? '', nodeId, clusterId, newId })
    }
    return { disk, write, check }
  }
  const meta = (clusterId: string, nodeId: number, letter: string) =>
    `version=1\ncluster.id=${clusterId}\nnode.id=${nodeId}\ndirectory.id=${letter.repeat(22)}\n`

  const made = fresh()
  const both = made.check(['/a', '/b'])
  t.same([...both.missing.keys()], ['/a', '/b'], 'a new node')
  t.equal(both.isNew, true)
  t.equal(both.missing.get('/b')?.clusterId, both.clusterId)
  t.equal(fresh().check(['/a'], { clusterId: 'mine' }).clusterId, 'mine')

  const grown = fresh()
  grown.write('/a', meta('c', 1, 'A'))
  t.same([...grown.check(['/a', '/b']).missing.keys()], ['/b'], 'the first start did not end')
  grown.disk.makeDirectory('/a/__cluster_metadata-0')
  t.throws(() => grown.check(['/a', '/b']), { message: /\/b has no meta\.properties.*mount it/ })
  grown.write('/b', 'version=1\ncluster.id=c\nnode.id=1\n')
  t.match(grown.check(['/a', '/b']).missing.get('/b'), { clusterId: 'c', directoryId: /^id-/ })
  t.equal(grown.check(['/a', '/b']).isNew, false)
  grown.write('/b', meta('other', 1, 'B'))
  t.throws(() => grown.check(['/a', '/b']), {
    message: /different clusters: \/a to c, \/b to other/,
  })
  grown.write('/b', meta('c', 2, 'B'))
  t.throws(() => grown.check(['/a', '/b']), { message: '/b belongs to node 2; node.id is 1 here' })
  grown.write('/b', meta('c', 1, 'A'))
  t.throws(() => grown.check(['/a', '/b']), { message: /same directory\.id.*copy/ })
  grown.write('/b', meta('c', 1, 'B'))
  t.equal(grown.check(['/a', '/b']).clusterId, 'c')
  t.throws(() => grown.check(['/a', '/b'], { clusterId: 'd' }), { message: /cluster c, not d/ })
  t.throws(() => grown.check(['/b', '/a']), { message: /\/a holds the metadata log.*\/b is where/ })
  grown.write('/b', 'garbage')
  t.throws(() => grown.check(['/a', '/b']), { message: /^\/b\/meta\.properties .*restore it/ })

  const lost = fresh()
  lost.write('/a', null)
  lost.disk.makeDirectory('/a/__cluster_metadata-0')
  lost.disk.makeDirectory('/a/orders-0')
  t.throws(() => lost.check(['/a']), { message: /meta\.properties, which says.*CLUSTER_ID/ })
  t.equal(lost.check(['/a'], { clusterId: 'c' }).missing.size, 1, 'whoever names it knows')
  const forgotten = fresh()
  forgotten.write('/a', meta('c', 1, 'A'))
  forgotten.disk.makeDirectory('/a/orders-0')
  t.throws(() => forgotten.check(['/a']), {
    message: /holds partitions, but .*metadata-0.*missing/,
  })

  const broken = fresh()
  broken.write('/a', meta('c', 1, 'A'))
  broken.disk.makeDirectory('/a/__cluster_metadata-0')
  broken.write('/b', meta('c', 1, 'B'))
  broken.disk.fault = (_, name) => (name.startsWith('/b') ? 'EIO' : undefined)
  t.equal(broken.check(['/a', '/b']).clusterId, 'c', 'a broken disk does not stop the others')
  broken.disk.fault = (_, name) => (name.startsWith('/a') ? 'EIO' : undefined)
  t.equal(broken.check(['/a', '/b']).isNew, false, 'what cannot be read is not taken for new')
  t.end()
})

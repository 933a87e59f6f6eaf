/** In which directory a partition lies, as the metadata has it: told once, missed where it is away, and asked where there are two. */
import t from 'tap'
import { unassignedDirectory } from '../../src/metadata/image.ts'
import { batchOf, DataPath, directoryIdOf } from '../handlers/data-path.ts'

const disks = ['/one', '/two']

/** What the metadata says of each partition. */
const named = (path: DataPath, topic = 'orders') =>
  path.image.topics.byName.get(topic)?.partitions.map(({ directories }) => directories[0])

/** Makes the metadata say so, as records of an earlier version did. */
function setNames(path: DataPath, directoryId: string): void {
  const { byName } = path.image.topics
  const topics = [...byName.values()].map((topic) => ({
    ...topic,
    partitions: topic.partitions.map((one) => ({ ...one, directories: [directoryId] })),
  }))
  path.image = {
    ...path.image,
    topics: {
      byName: new Map(topics.map((topic) => [topic.name, topic])),
      byId: new Map(topics.map((topic) => [topic.id, topic])),
    },
  }
}

/** Ends well, and starts with these log directories, and metadata that names that id. */
async function startWith(
  path: DataPath,
  directories: readonly string[],
  directoryId?: string,
): Promise<void> {
  await path.world.runFor(10)
  await path.world.run(path.replicas.close(1))
  path.directoriesBefore = path.disks.map(directoryIdOf)
  Object.assign(path, { disks: directories })
  if (directoryId !== undefined) setNames(path, directoryId)
  path.restart()
  await path.world.run(path.replicas.opened)
}

async function write(path: DataPath, index: number, count: number): Promise<void> {
  const values = Array.from({ length: count }, () => 'a')
  const { written } = path.partition('orders', index).append(batchOf(values), { acks: 1 })
  await path.world.run(written)
}

t.test('the metadata is told once, of many at a time, and never of what it says', async (t) => {
  const path = new DataPath({ disks, hasDirectoryIds: true })
  const told: string[] = []
  const { assignDirectory } = path
  path.assignDirectory = (replica) => {
    told.push(`${replica.index} ${replica.directoryId}`)
    return assignDirectory.call(path, replica)
  }
  path.createTopic('orders', { partitions: 5 })
  const beforeMs = path.process.environment.clock.monotonic()
  await path.world.runFor(10)
  t.equal(told.length, 5)
  t.ok(path.process.environment.clock.monotonic() - beforeMs < 20)
  const where = [0, 1, 2, 3, 4].map((index) => path.partition('orders', index).directory?.path)
  const expected = where.map((one) => directoryIdOf(one ?? ''))
  t.same(named(path), expected)
  t.equal(new Set(where).size, 2)

  for (const index of [0, 1]) await write(path, index, 1)
  told.length = 0
  await startWith(path, disks)
  await path.world.runFor(10)
  t.same(told, [], 'nothing has changed')
  t.same(
    [0, 1, 2, 3, 4].map((index) => path.partition('orders', index).directory?.path),
    where,
    'those without files lie where they did',
  )

  await startWith(path, disks, unassignedDirectory)
  await path.world.runFor(10)
  t.equal(told.length, 5, 'what an earlier version did not say')
  t.same(named(path), expected)
})

t.test(
  'a stop tells what it had no time for, and the next start what a stop had none for',
  async (t) => {
    const path = new DataPath({ disks, hasDirectoryIds: true })
    path.createTopic('orders', { partitions: 2 })
    t.same(named(path), [unassignedDirectory, unassignedDirectory])
    await path.world.run(path.replicas.places.stop())
    t.same(named(path), disks.map(directoryIdOf))
    path.createTopic('later')
    await path.world.runFor(10)
    t.same(named(path, 'later'), [unassignedDirectory], 'nothing is told after it')
    path.restart()
    await path.world.runFor(10)
    t.match(named(path, 'later')?.[0], /./)
    t.not(named(path, 'later')?.[0], unassignedDirectory)
  },
)

t.test('metadata that cannot be written is said, and stops nothing', async (t) => {
  const lines: string[] = []
  const onLog = (line: string) => void lines.push(line)
  const path = new DataPath({ disks, hasDirectoryIds: true, onLog })
  path.assignDirectory = () => {
    throw new Error('no quorum')
  }
  path.createTopic('orders', { partitions: 2 })
  await path.world.runFor(10)
  t.match(lines.join('\n'), /warn the metadata does not say yet in which .*"partitions":2/)
  await write(path, 1, 1)
  await path.world.run(path.replicas.places.stop())
})

/** What lies in both directories: 3 records in the second, 1 in the first, as it came about before the metadata had places. */
async function twice(onLog: (line: string) => void): Promise<DataPath> {
  const path = new DataPath({ disks, hasDirectoryIds: true, onLog })
  path.createTopic('orders', { partitions: 2 })
  await write(path, 1, 3)
  t.equal(path.partition('orders', 1).directory?.path, '/two')
  Object.assign(path, { disks: ['/one'] })
  await startWith(path, ['/one'], unassignedDirectory)
  await write(path, 1, 1)
  return path
}

t.test(
  'of two copies the one counts that the metadata names, else the one that ends last',
  async (t) => {
    for (const says of ['nothing', '/one', '/two'] as const) {
      const lines: string[] = []
      const path = await twice((line) => void lines.push(line))
      lines.length = 0
      await startWith(path, disks, says === 'nothing' ? unassignedDirectory : directoryIdOf(says))
      await path.world.runFor(10)
      const partition = path.partition('orders', 1)
      const isOne = says === '/one'
      t.equal(partition.directory?.path, isOne ? '/one' : '/two', says)
      t.equal(partition.logEndOffset, isOne ? 1 : 3, says)
      t.equal(named(path)?.[1], directoryIdOf(isOne ? '/one' : '/two'), 'and is told')
      const [unused, used] = isOne ? ['/two', '/one'] : ['/one', '/two']
      const fields =
        `"partition":"orders-1","directory":"${unused}","endOffset":${isOne ? 3 : 1},` +
        `"used":"${used}","usedEndOffset":${isOne ? 1 : 3}`
      const told = lines.filter((line) => line.includes('is in two log directories'))
      t.equal(told.length, 1)
      t.ok(told[0]?.includes(fields), told[0] ?? fields)
      t.match(told[0], / error /)
      const names = path.process.disk.list(unused).map(({ name }) => name)
      t.ok(!names.includes('orders-1') && names.some((name) => /orders-1.*stray/.test(name)))

      const { logEndOffset } = partition
      await startWith(path, [unused])
      t.match(path.partition('orders', 1).leaderError(), { name: 'KAFKA_STORAGE_ERROR' })
      await startWith(path, disks)
      t.equal(path.partition('orders', 1).logEndOffset, logEndOffset, 'and is back as it was')
    }
  },
)

t.test('a copy that cannot be read does not count', async (t) => {
  const path = await twice(() => {})
  await path.world.runFor(10)
  await path.world.run(path.replicas.close(1))
  setNames(path, unassignedDirectory)
  Object.assign(path, { disks })
  path.restart('kill', (disk) => {
    disk.fault = (operation, name) =>
      operation === 'open' && name.startsWith('/two/orders-1/') ? 'EACCES' : undefined
  })
  t.equal(path.partition('orders', 1).directory?.path, '/one')
  t.equal(path.partition('orders', 1).logEndOffset, 1)
})

t.test('of two copies both wait where the directory that the metadata names is away', async (t) => {
  const lines: string[] = []
  const path = await twice((line) => void lines.push(line))
  const gone = Buffer.alloc(16, 7).toString('base64url')
  for (const directories of [disks, ['/one'], disks]) {
    lines.length = 0
    await startWith(path, directories, gone)
    t.match(path.partition('orders', 1).leaderError(), { name: 'KAFKA_STORAGE_ERROR' })
    const told = lines.filter((line) => / error /.test(line))
    t.equal(told.length, 2, 'one without files, and one of which there are copies')
    const pattern = `1 \\(orders-1\\).*directory.id=${gone}.* may lack records.*go on with what lies`
    t.match(told.join('\n'), new RegExp(pattern))
    for (const one of disks) t.ok(path.process.disk.exists(`${one}/orders-1`))
  }
  // A new directory with that id says that the old one is lost for good.
  lines.length = 0
  const { disk } = path.process
  disk.makeDirectory('/new')
  const file = disk.open('/new/meta.properties', 'create')
  file.write([Buffer.from(`version=1\ncluster.id=cluster\nnode.id=1\ndirectory.id=${gone}\n`)], 0)
  file.close()
  await startWith(path, [...disks, '/new'])
  await path.world.runFor(10)
  t.equal(path.partition('orders', 0).directory?.path, '/new')
  t.equal(path.partition('orders', 1).directory?.path, '/two')
  t.equal(named(path)?.[1], directoryIdOf('/two'))
})

t.test('what was moved by hand is used where it is', async (t) => {
  const path = new DataPath({ disks, hasDirectoryIds: true })
  path.createTopic('orders', { partitions: 2 })
  await write(path, 1, 3)
  await startWith(path, disks)
  path.process.disk.rename('/two/orders-1', '/one/orders-1')
  await startWith(path, disks)
  t.equal(path.partition('orders', 1).directory?.path, '/one')
  await path.world.runFor(10)
  t.equal(named(path)?.[1], directoryIdOf('/one'))
  // Its id was lost, or it is a new one into which all was put.
  path.process.disk.makeDirectory('/fresh')
  path.process.disk.rename('/one/orders-1', '/fresh/orders-1')
  await startWith(path, ['/fresh'])
  t.equal(path.partition('orders', 1).logEndOffset, 3)
})

t.test('a directory is missed also by what the metadata does not say of', async (t) => {
  for (const away of [['/two'], ['/two', '/six']]) {
    const lines: string[] = []
    const onLog = (line: string) => void lines.push(line)
    const all = ['/one', ...away]
    const path = new DataPath({ disks: all, hasDirectoryIds: true, onLog })
    path.createTopic('orders', { partitions: all.length })
    for (const [index] of all.entries()) await write(path, index, 2)
    t.equal(path.partition('orders', 1).directory?.path, '/two')
    const check = async (what: string) => {
      const told = lines.filter((line) => / error /.test(line))
      t.equal(told.length, 1, what)
      t.match(told[0], away.length === 1 ? `directory.id=${directoryIdOf('/two')}` : /may lie in/)
      for (const [index] of away.entries()) {
        const partition = path.partition('orders', index + 1)
        t.match(partition.leaderError(), { name: 'KAFKA_STORAGE_ERROR' }, what)
      }
      await write(path, 0, 1)
      lines.length = 0
    }
    await startWith(path, ['/one'], unassignedDirectory)
    await check('the first start')
    await startWith(path, ['/one'])
    await check('the next one, before which it was away as well')
    await startWith(path, all)
    t.same(
      lines.filter((line) => / error /.test(line)),
      [],
    )
    for (const [index] of all.entries()) {
      t.equal(path.partition('orders', index).logEndOffset, index === 0 ? 4 : 2, `${index}`)
    }
    await path.world.runFor(10)
    t.same(named(path), all.map(directoryIdOf))
  }
})

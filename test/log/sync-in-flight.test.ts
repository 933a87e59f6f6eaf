/** Who cannot wait for a sync under way makes durable as well what that one has taken. */
import t from 'tap'
import { ProducerSnapshots } from '../../src/log/producer-snapshot.ts'
import { directoryPath, Fixture, logPath } from './log-fixture.ts'

const firstLog = `${logPath}/${'0'.repeat(20)}.log`

t.test('a segment of a log without a copy is durable before another follows it', async (t) => {
  for (let seed = 1; seed <= 40; seed++) {
    const fixture = new Fixture({ seed, config: { segmentBytes: 2_000 }, onDamage: 'refuse' })
    await fixture.append(['x'.repeat(600)])
    // A sync has begun, and nothing is written behind what it takes.
    fixture.log.flush().catch(() => {})
    while (!fixture.disk.isSyncing(/\.log$/)) await Promise.resolve()
    fixture.log.append(fixture.batch(['y'.repeat(600)]), 0)
    t.equal(fixture.files('.log').length, 2)
    const { size } = fixture.disk.stat(firstLog)
    t.equal(fixture.disk.snapshot('durable').get(firstLog)?.length, size)
    t.doesNotThrow(() => fixture.crash(), `seed ${seed}`)
    t.equal((await fixture.read(0)).firstOffset, 0, `seed ${seed}`)
  }
})

t.test('so are its names', async (t) => {
  const fixture = new Fixture({ config: { segmentBytes: 2_000 }, onDamage: 'refuse' })
  await fixture.append(['x'.repeat(600)])
  const { disk } = fixture
  const sync = disk.syncDirectoryAsync.bind(disk)
  const hasBegun = new Promise<void>((resolve) => {
    disk.syncDirectoryAsync = (path) => {
      if (path === logPath) resolve()
      return sync(path)
    }
  })
  fixture.log.flush().catch(() => {})
  await fixture.world.run(hasBegun)
  t.notOk(disk.snapshot('durable').has(firstLog))
  fixture.log.append(fixture.batch(['y'.repeat(600)]), 0)
  t.ok(disk.snapshot('durable').has(firstLog))
})

t.test('names right in the log directory', (t) => {
  const { disk, directory } = new Fixture()
  directory.disk.open(`${directoryPath}/file`, 'create').close()
  directory.disk.syncDirectoryAsync(directoryPath).catch(() => {})
  directory.disk.syncDirectory(directoryPath)
  t.ok(disk.snapshot('durable').has(`${directoryPath}/file`))
  t.end()
})

t.test(
  'a snapshot of producers that stands for batches, of which only the content was synced',
  async (t) => {
    const { disk, directory, world, process } = new Fixture()
    const snapshots = new ProducerSnapshots(
      directory.disk,
      directoryPath,
      [],
      process.environment.log,
    )
    snapshots.take(7, [])
    await world.run(snapshots.sync())
    const file = `${directoryPath}/${'7'.padStart(20, '0')}.snapshot`
    t.notOk(disk.snapshot('durable').has(file))
    t.ok(snapshots.replaceBatchesBelow(7))
    t.ok(disk.snapshot('durable').has(file))
  },
)

/** What a log is after it was closed, killed, robbed of power, or tampered with. */
import t from 'tap'
import * as header from '../../protocol/records/batch.ts'
import { SeededRandom } from '../simulator/random.ts'
import { Fixture, logPath } from './log-fixture.ts'

const small = { segmentBytes: 700, indexIntervalBytes: 100 }
const lastLog = (fixture: Fixture) => `${logPath}/${fixture.files('.log').at(-1)}`

async function filled(batches = 12, options: ConstructorParameters<typeof Fixture>[0] = {}) {
  const fixture = new Fixture({ ...options, config: { ...small, ...options.config } })
  for (let index = 0; index < batches; index++) {
    await fixture.append([`value ${index}`, 'second'], {
      producerId: 9,
      producerEpoch: 0,
      baseSequence: index * 2,
    })
  }
  return fixture
}

t.test('a clean restart finds everything, and reads nothing to do so', async (t) => {
  const fixture = await filled()
  const bytes = await fixture.readAll()
  let reads = 0
  await fixture.restart(() => {
    t.strictSame(
      fixture.files('.index').length,
      fixture.files('.log').length,
      'every segment has its indexes',
    )
    t.equal(fixture.files('.timeindex').length, fixture.files('.log').length)
    t.equal(
      fixture.disk.readFile('/data/.kafka_cleanshutdown').toString(),
      '{"version":0,"brokerEpoch":7}',
    )
    const line = 'orders 0 24\n'
    t.equal(
      fixture.disk.readFile('/data/recovery-point-offset-checkpoint').toString(),
      `0\n1\n${line}`,
    )
  })
  t.equal(fixture.directory.cleanShutdownBrokerEpoch, 7)
  t.equal(fixture.log.logEndOffset, 24)
  t.equal(fixture.log.recoveryPoint, 24)
  t.ok((await fixture.readAll()).equals(bytes))
  fixture.disk.fault = () => {
    reads++
    return undefined
  }
  const { disk } = fixture
  t.notOk(disk.exists('/data/.kafka_cleanshutdown'), 'so that a second end counts as unclean')
  const next = { producerId: 9, producerEpoch: 0, baseSequence: 24 }
  t.equal((await fixture.append(['next'], next)).baseOffset, 24, 'in sequence')
  t.ok(reads < 50)
})

t.test(
  'an unclean end: what was written is found, indexes and producers are rebuilt',
  async (t) => {
    const fixture = await filled()
    const bytes = await fixture.readAll()
    fixture.kill()
    t.notOk(fixture.directory.isClean)
    t.equal(fixture.log.logEndOffset, 24)
    t.ok((await fixture.readAll()).equals(bytes))
    const again = { producerId: 9, producerEpoch: 0, baseSequence: 22 }
    t.match(await fixture.append(['value 11', 'second'], again), {
      isDuplicate: true,
      baseOffset: 22,
    })
    for (const damage of ['.index', '.timeindex', '.snapshot', 'leader-epoch-checkpoint']) {
      await fixture.restart(() => {
        for (const name of fixture.files(damage)) fixture.disk.remove(`${logPath}/${name}`)
      })
      t.ok((await fixture.readAll()).equals(bytes), `without ${damage}`)
      t.match(await fixture.append(['value 11', 'second'], again), { isDuplicate: true })
      t.strictSame(fixture.log.endOffsetFor(0), { leaderEpoch: 0, endOffset: 24 })
    }
    for (const suffix of ['.index', '.timeindex', '.snapshot']) {
      await fixture.restart(() => {
        for (const name of fixture.files(suffix)) {
          const file = fixture.disk.open(`${logPath}/${name}`, 'write')
          file.write([Buffer.alloc(file.size() + 5)], 0)
          file.close()
        }
      })
      t.ok((await fixture.readAll()).equals(bytes), `${suffix} full of zeros`)
      t.match(await fixture.append(['value 11', 'second'], again), { isDuplicate: true })
    }
  },
)

t.test('cut at any byte, the log is a prefix of whole batches', async (t) => {
  const tiny = { config: { segmentBytes: 420 } }
  const original = await filled(8, tiny)
  const bytes = await original.readAll()
  const starts = [...header.batches(bytes)]
  const size = original.disk.stat(lastLog(original)).size
  const inActive = bytes.length - size
  for (let cut = 0; cut < size; cut++) {
    const fixture = await filled(8, tiny)
    const file = fixture.disk.open(lastLog(fixture), 'write')
    file.truncate(cut)
    file.close()
    fixture.kill()
    const kept = starts.findLast((at) => at <= inActive + cut) as number
    const left = await fixture.readAll()
    if (!left.equals(bytes.subarray(0, kept))) t.fail(`cut at ${cut}`)
    if (fixture.disk.stat(lastLog(fixture)).size !== left.length - inActive)
      t.fail(`size at ${cut}`)
    const sequence = fixture.log.logEndOffset
    const next = { producerId: 9, producerEpoch: 0, baseSequence: sequence }
    const appended = await fixture.append(['goes', 'on'], next)
    if (appended.baseOffset !== sequence || appended.isDuplicate) t.fail(`append after ${cut}`)
  }
  t.pass(`${size} places`)
})

t.test('a flipped bit ends the log before its batch, and later segments go', async (t) => {
  const original = await filled(12)
  const bytes = await original.readAll()
  const starts = [...header.batches(bytes)]
  const first = original.files('.log')[0] as string
  const size = original.disk.stat(`${logPath}/${first}`).size
  for (let at = 0; at < size; at += 3) {
    // Offset and leader epoch lie outside the CRC: there only some flips can be noticed.
    const start = starts.findLast((batch) => batch <= at) as number
    const inBatch = at - start
    if (inBatch < 8 || (inBatch >= 12 && inBatch < 16)) continue
    const fixture = await filled(12)
    const file = fixture.disk.open(`${logPath}/${first}`, 'write')
    file.write([Buffer.from([bytes[at]! ^ 0x10])], at)
    file.close()
    for (const name of ['recovery-point-offset-checkpoint']) fixture.disk.remove(`/data/${name}`)
    fixture.kill()
    const left = await fixture.readAll()
    if (!left.equals(bytes.subarray(0, start))) t.fail(`flip at ${at}: ${left.length}`)
    if (fixture.files('.log').length !== 1) t.fail(`segments after flip at ${at}`)
  }
  t.pass(`${size} bytes`)
})

t.test('power losses: what was flushed is there, the rest is a prefix', async (t) => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = new SeededRandom(seed)
    const fixture = new Fixture({
      seed,
      config: { ...small, flushMessages: seed % 3 === 0 ? 1 : 1e9 },
    })
    let expected: Buffer = Buffer.alloc(0)
    for (let life = 0; life < 4; life++) {
      const count = random.between(1, 25)
      for (let index = 0; index < count; index++)
        await fixture.append([`${life} ${index}`], {}, life)
      if (random.chance(0.5)) await fixture.world.run(fixture.log.flush())
      if (random.chance(0.5)) fixture.directory.writeCheckpoints()
      const durable = fixture.log.recoveryPoint
      expected = await fixture.readAll()
      fixture.crash()
      const left = await fixture.readAll()
      if (!expected.subarray(0, left.length).equals(left)) t.fail(`seed ${seed}: not a prefix`)
      if (fixture.log.logEndOffset < durable) t.fail(`seed ${seed}: lost below ${durable}`)
      const end = fixture.log.endOffsetFor(life)
      const { latestLeaderEpoch } = fixture.log
      if (latestLeaderEpoch === life && end.endOffset !== fixture.log.logEndOffset) t.fail('epoch')
    }
  }
  t.pass('60 seeds')
})

t.test('a segment replaced half way is finished or undone', async (t) => {
  const fixture = await filled()
  const bytes = await fixture.readAll()
  const [first, second] = fixture.files('.log') as [string, string]
  await fixture.restart(() => {
    const { disk } = fixture
    const merged = Buffer.concat([
      disk.readFile(`${logPath}/${first}`),
      disk.readFile(`${logPath}/${second}`),
    ])
    const swap = disk.open(`${logPath}/${first}.swap`, 'create')
    swap.write([merged], 0)
    swap.close()
    disk.open(`${logPath}/${second}.deleted`, 'create').close()
  })
  t.ok((await fixture.readAll()).equals(bytes))
  t.notOk(fixture.files('.log').includes(second), 'the swap held both')
  t.strictSame([...fixture.files('.swap'), ...fixture.files('.deleted')], [])
  await fixture.restart(() => {
    fixture.disk.open(`${logPath}/${first}.cleaned`, 'create').close()
    fixture.disk.open(`${logPath}/${first}.swap`, 'create').close()
  })
  t.ok((await fixture.readAll()).equals(bytes))
  t.strictSame([...fixture.files('.swap'), ...fixture.files('.cleaned')], [])
})

t.test('a directory: partitions, deletion, identity', async (t) => {
  const fixture = await filled()
  const { directory, disk } = fixture
  t.equal(directory.readMetaProperties(), null)
  directory.writeMetaProperties({ version: 1, clusterId: 'c', nodeId: 3, directoryId: 'd' })
  t.strictSame(directory.readMetaProperties(), {
    version: 1,
    clusterId: 'c',
    nodeId: 3,
    directoryId: 'd',
  })
  t.equal(
    disk.readFile(`${logPath}/partition.metadata`).toString(),
    `version: 0\ntopic_id: ${fixture.log.topicId}`,
  )
  for (const name of ['x-1.0123-delete', 'y-0-stray', '__cluster_metadata-0', 'no partition']) {
    disk.makeDirectory(`/data/${name}`)
  }
  t.match(directory.partitions(), [
    { name: 'orders-0', topic: 'orders', partition: 0, topicId: fixture.log.topicId },
  ])
  await fixture.world.runFor(10)
  t.notOk(disk.exists('/data/x-1.0123-delete'))
  fixture.log.delete()
  t.equal(directory.partitions().length, 0)
  await fixture.world.runFor(100_000)
  t.notOk(disk.list('/data').some(({ name }) => name.endsWith('-delete')))
  directory.writeCheckpoints()
  t.equal(disk.readFile('/data/recovery-point-offset-checkpoint').toString(), '0\n0\n')
})

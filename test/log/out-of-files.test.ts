/** The process may open no more files for a while: a log waits or refuses, and neither fails nor forgets. */
import t, { type Test } from 'tap'
import { encodeControlBatch } from '../../protocol/records/control.ts'
import { LogDirectory } from '../../src/log/log-directory.ts'
import type { DiskOperation } from '../simulator/memory-disk.ts'
import { SimulatedWorld } from '../simulator/simulated-world.ts'
import { Story } from './compaction-story.ts'
import { answer, directoryPath, Fixture, logPath } from './log-fixture.ts'

const durable = { flushMessages: 1, segmentBytes: 300 }

async function values(fixture: Fixture): Promise<string[]> {
  const found = (await fixture.readAll()).toString('latin1').matchAll(/key of <\d+>.(<\d+>)/gs)
  return [...found].map(([, value]) => `${value}`)
}

/** No file can be opened, where one of these operations is done on a name like this; but for the first times on each. */
function exhaust(
  fixture: Fixture,
  operations: readonly DiskOperation[],
  { name = /./, code = 'EMFILE', passed = 0 } = {},
): void {
  const times = new Map<string, number>()
  fixture.disk.fault = (operation, path) => {
    if (!operations.includes(operation) || !name.test(path)) return undefined
    const time = times.get(path) ?? 0
    times.set(path, time + 1)
    return time < passed ? undefined : code
  }
}

/** Appends without waiting; counts those that are acknowledged. */
class Appends {
  readonly expected: string[] = []
  readonly written: Promise<void>[] = []
  acknowledged = 0
  refused = 0
  readonly #fixture: Fixture

  constructor(fixture: Fixture) {
    this.#fixture = fixture
  }

  async append(count: number): Promise<void> {
    for (let n = 0; n < count; n++) {
      const value = `<${this.expected.length}>`
      try {
        const leaderEpoch = this.expected.length
        const { written } = this.#fixture.log.append(this.#fixture.batch([value]), leaderEpoch)
        this.written.push(written.then(() => void this.acknowledged++))
        this.expected.push(value)
      } catch (error) {
        t.match(error, answer('KAFKA_STORAGE_ERROR'))
        this.refused++
      }
      await this.#fixture.world.runFor(300)
    }
  }
}

function isWell(t: Test, fixture: Fixture): void {
  t.equal(fixture.directory.failure, null)
  const lines = fixture.lines.filter((line) => /offline|out of use|syncing a log/.test(line))
  t.strictSame(lines, [])
}

t.test('what is synced before it is acknowledged waits, and is durable then', async (t) => {
  // What is made or written by itself before it is opened to be synced is opened then.
  const kinds: readonly [DiskOperation, RegExp, number][] = [
    ['syncDirectory', /./, 0],
    ['open', /leader-epoch-checkpoint/, 0],
    ['open', /\.snapshot$/, 1],
    ['open', /(time)?index$/, 1],
  ]
  for (const code of ['EMFILE', 'ENFILE']) {
    for (const [operation, name, passed] of kinds) {
      const what = `${operation} ${name} ${code}`
      const fixture = new Fixture({ config: durable })
      const appends = new Appends(fixture)
      await appends.append(1)
      exhaust(fixture, [operation], { name, code, passed })
      await appends.append(8)
      const { acknowledged, refused, expected } = appends
      // The batches tell of producers as well: nobody waits until a snapshot is durable.
      const isAwaited = !name.source.includes('snapshot')
      t.equal(acknowledged < 9, isAwaited, `${acknowledged} were acknowledged, ${what}`)
      t.equal(refused, 0, what)
      t.equal(fixture.log.logEndOffset, acknowledged, `no others can be read, ${what}`)
      fixture.disk.fault = undefined
      await fixture.world.run(Promise.all(appends.written))
      t.equal(fixture.log.logEndOffset, expected.length, what)
      await appends.append(3)
      await fixture.world.run(Promise.all(appends.written))
      isWell(t, fixture)
      t.strictSame(await values(fixture.crash()), expected, what)
    }
  }
})

t.test('segments that go while their sync waits are not missed', async (t) => {
  const fixture = new Fixture({ config: { segmentBytes: 300, retentionBytes: 0 } })
  for (let n = 0; n < 8; n++) await fixture.append([`<${n}>`])
  exhaust(fixture, ['open'], { name: /(time)?index$/, passed: 0 })
  const flushed = fixture.log.flush()
  await fixture.world.runFor(1_000)
  t.equal(fixture.log.recoveryPoint, 0)
  fixture.disk.fault = undefined
  fixture.log.updateHighWatermark(8)
  t.ok(fixture.log.deleteOldSegments() > 0)
  await fixture.world.run(flushed)
  t.equal(fixture.log.recoveryPoint, 8)
  await fixture.append(['<8>'])
  isWell(t, fixture)
})

t.test('a log that waits is closed all the same, and is checked by the next start', async (t) => {
  const fixture = new Fixture({ config: durable })
  exhaust(fixture, ['syncDirectory'])
  const { written } = fixture.log.append(fixture.batch(['<0>']), 0)
  const refused = t.rejects(written, { code: 'EMFILE' })
  await fixture.world.runFor(5_000)
  await fixture.restart(() => {
    fixture.disk.fault = undefined
  })
  await refused
  t.notOk(fixture.directory.isClean)
  t.strictSame(await values(fixture), ['<0>'])
})

t.test('a sync that was tried and failed is not tried again, whatever it says', async (t) => {
  for (const name of [/\.log$/, /leader-epoch-checkpoint/]) {
    const fixture = new Fixture({ config: durable })
    exhaust(fixture, ['sync'], { name })
    const { written } = fixture.log.append(fixture.batch(['<0>']), 0)
    await t.rejects(fixture.world.run(written), { code: 'EMFILE' })
    fixture.disk.fault = undefined
    const refused = async () => {
      await fixture.world.run(fixture.log.append(fixture.batch(['<1>']), 0).written)
    }
    await t.rejects(refused(), { code: 'EMFILE' }, 'its partition is fenced')
  }
})

t.test(
  'an aborted transaction is written to its index as soon as that can be opened',
  async (t) => {
    for (const isNoted of [false, true]) {
      const fixture = new Fixture({ config: { segmentBytes: 400 } })
      const abort = (producerId: number): Promise<unknown> => {
        const batch = encodeControlBatch({
          records: [{ type: 'abort', value: { coordinatorEpoch: 0 } }],
          timestamp: fixture.now,
          producer: { id: producerId, epoch: 0 },
        })
        return fixture.world.run(fixture.log.append(batch, 0, 'coordinator').written)
      }
      const begin = (producerId: number) =>
        fixture.append(['<0>'], {
          ...{ producerId, producerEpoch: 0, baseSequence: 0, isTransactional: true },
        })
      await begin(1)
      await begin(2)
      if (isNoted) await abort(1)
      exhaust(fixture, ['open'], { name: /\.txnindex$/ })
      if (!isNoted) await abort(1)
      await abort(2)
      const aborted = fixture.log.reader.abortedTransactions(0, 100)
      t.equal(aborted.length, 2)
      t.equal(fixture.files('.txnindex').length, isNoted ? 1 : 0)
      isWell(t, fixture)
      fixture.disk.fault = undefined
      // The segment ends, and others follow.
      for (let n = 0; n < 6; n++) await fixture.append([`<${n}>`])
      await fixture.restart()
      t.ok(fixture.directory.isClean)
      t.strictSame(fixture.log.reader.abortedTransactions(0, 100), aborted)
      t.strictSame(fixture.kill().log.reader.abortedTransactions(0, 100), aborted)
    }
  },
)

t.test('an empty segment is replaced once there is a file for the next', async (t) => {
  const fixture = new Fixture()
  exhaust(fixture, ['open'])
  t.throws(() => fixture.log.skipTo(1_000), { code: 'EMFILE' })
  t.throws(() => fixture.log.truncateFullyAndStartAt(0), { code: 'EMFILE' })
  t.throws(() => fixture.log.append(fixture.batch(['<1>']), 0), answer('KAFKA_STORAGE_ERROR'))
  fixture.disk.fault = undefined
  fixture.log.skipTo(1_000)
  t.match(await fixture.append(['<2>']), { baseOffset: 1_000 })
  isWell(t, fixture)
  await fixture.restart()
  t.strictSame(await values(fixture), ['<2>'])
  t.ok(fixture.disk.exists(`${logPath}/00000000000000001000.log`))
})

t.test('a directory for which no file can be opened is opened by the next try', async (t) => {
  for (const operation of ['syncDirectory', 'read', 'list'] as const) {
    const fixture = new Fixture()
    await fixture.append(['<0>'])
    await fixture.world.run(fixture.directory.close(7))
    exhaust(fixture, [operation], { name: /^\/data(\/\.kafka.*)?$/ })
    const { environment } = fixture.process
    const open = () => LogDirectory.open({ environment, path: directoryPath })
    t.throws(open, { code: 'EMFILE' }, operation)
    fixture.disk.fault = undefined
    const directory = open()
    t.equal(directory.failure, null)
    // What was removed, durably or not, is not believed again.
    t.equal(directory.isClean, operation !== 'syncDirectory', operation)
  }
})

t.test('a directory that could not be made durable is, once it is opened', async (t) => {
  for (let nth = 1; nth <= 4; nth++) {
    const { environment, disk } = new SimulatedWorld(nth).start('broker')
    let syncs = 0
    disk.fault = (operation) =>
      operation === 'syncDirectory' && ++syncs === nth ? 'EMFILE' : undefined
    t.throws(() => LogDirectory.open({ environment, path: '/a/b/c' }), { code: 'EMFILE' }, `${nth}`)
    disk.fault = undefined
    t.equal(LogDirectory.open({ environment, path: '/a/b/c' }).failure, null)
    disk.open('/a/b/c/x', 'create').close()
    disk.syncDirectory('/a/b/c')
    t.strictSame([...disk.snapshot('durable').keys()], ['/a/b/c/x'], `${nth}`)
  }
})

t.test('a segment that cannot be rolled takes what comes, until it can be', async (t) => {
  const rolled: readonly [DiskOperation, RegExp][] = [
    ['open', /leader-epoch-checkpoint|index|snapshot|0[1-9]\.log/],
    ['open', /\.snapshot/],
    ['open', /0[1-9]\.log/],
    ['syncDirectory', /./],
  ]
  for (const onDamage of ['refuse', 'cut'] as const) {
    for (const [operation, name] of rolled) {
      const what = `${onDamage} ${operation} ${name}`
      const fixture = new Fixture({ config: { segmentBytes: 300 }, onDamage })
      const appends = new Appends(fixture)
      await appends.append(1)
      exhaust(fixture, [operation], { name })
      await appends.append(6)
      fixture.disk.fault = undefined
      t.equal(appends.refused, 0, what)
      t.ok(fixture.files('.snapshot').length <= fixture.log.segmentCount, what)
      const { segmentCount } = fixture.log
      await appends.append(3)
      t.ok(fixture.log.segmentCount > segmentCount, what)
      await fixture.world.run(fixture.log.flush())
      isWell(t, fixture)
      t.strictSame(await values(fixture.crash()), appends.expected, what)
    }
  }
  const fixture = new Fixture({ config: { segmentIndexBytes: 24, indexIntervalBytes: 1 } })
  const appends = new Appends(fixture)
  exhaust(fixture, ['open'], { name: /0[1-9]\.log/ })
  await appends.append(6)
  t.ok(appends.refused > 0, 'but not more than its indexes can tell of')
})

t.test('a log is cut once there are files for it, and until then is what it was', async (t) => {
  const written = async () => {
    const fixture = new Fixture({ config: { segmentBytes: 300, indexIntervalBytes: 1 } })
    for (let n = 0; n < 7; n++) await fixture.append([`<${n}>`, `<${n} b>`])
    return fixture
  }
  for (let offset = 1; offset < 14; offset++) {
    const straight = await written()
    const end = straight.log.truncateTo(offset)
    const fixture = await written()
    const before = await values(fixture)
    for (let filesMax = 0; fixture.log.nextOffset !== end; filesMax++) {
      fixture.disk.fault = (operation) =>
        operation === 'open' && fixture.disk.openPaths().length >= filesMax ? 'EMFILE' : undefined
      try {
        fixture.log.truncateTo(offset)
      } catch (error) {
        t.match(error, { code: 'EMFILE' })
        fixture.disk.fault = undefined
        t.strictSame(await values(fixture), before, `as it was, with ${filesMax}`)
      }
    }
    fixture.disk.fault = undefined
    t.equal(fixture.log.truncateTo(offset), end)
    await fixture.append(['next'])
    await straight.append(['next'])
    isWell(t, fixture)
    t.strictSame(await values(fixture), await values(straight))
    await fixture.restart()
    t.strictSame(await values(fixture), await values(straight))
    t.notMatch(fixture.lines.join('\n'), /error/)
  }
})

t.test('what cannot be compacted for want of files is compacted later', async (t) => {
  for (const operation of ['open', 'syncDirectory'] as const) {
    const story = new Story(3)
    const { fixture } = story
    await story.write(80)
    await story.settle()
    const kept = (await story.stored()).length
    for (let at = 0; at < 12; at++) {
      let times = 0
      fixture.disk.fault = (one) => (one === operation && times++ === at ? 'EMFILE' : undefined)
      await fixture.world.run(story.compactor.compactOne())
      fixture.disk.fault = undefined
      isWell(t, fixture)
      t.equal(story.compactor.uncleanable.size, 0, `${operation} ${at}`)
    }
    await fixture.world.run(story.compactor.compactOne())
    t.ok((await story.stored()).length < kept)
    const open = fixture.disk.openPaths()
    t.ok(open.length <= 2, `${open}`)
    const before = await story.stored()
    fixture.kill()
    story.begin()
    t.strictSame(await story.stored(), before)
  }
})

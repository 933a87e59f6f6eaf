/** What is read after an unclean end, and what is not, and that nothing below has to be right for it. */
import t from 'tap'
import * as header from '../../protocol/records/batch.ts'
import { encodeBatch } from '../../protocol/records/record.ts'
import { Fixture, filled, logPath, marker, overwrite } from './log-fixture.ts'

const abort = (producerId: number): Buffer => marker(false, { producerId })
const commit = (producerId: number): Buffer => marker(true, { producerId })

t.test('after an unclean end only what lies above the recovery point is read', async (t) => {
  const config = { segmentBytes: 100_000, indexIntervalBytes: 500 }
  const file = `${logPath}/${'0'.repeat(20)}.log`
  const isDamageSeen = ({ lines }: Fixture) => lines.some((line) => /header of a batch/.test(line))
  for (const how of ['kill', 'crash'] as const) {
    for (const what of ['all is well', 'no index', 'a wrong index', 'no snapshot', 'an abort']) {
      const fixture = await filled(300, { config, seed: 3 })
      if (what === 'an abort') {
        const begun = { producerId: 9, producerEpoch: 0, baseSequence: 600, isTransactional: true }
        await fixture.append(['given up', 'too'], begun)
        await fixture.world.run(fixture.log.append(abort(9), 0, 'coordinator').written)
      }
      await fixture.world.run(fixture.log.advance())
      const point = fixture.log.nextOffset
      t.equal(fixture.log.recoveryPoint, point)
      fixture.directory.logs.writeCheckpoints()
      const last = { producerId: 8, producerEpoch: 0, baseSequence: 0 }
      await fixture.append(['above it', 'and more'], last, 4)
      if (how === 'crash') await fixture.world.run(fixture.log.flush())
      const bytes = await fixture.readAll()
      // The offset of the first batch.
      fixture.disk.flipBit(file, 60)
      const { disk } = fixture
      const index = file.replace('.log', '.index')
      if (what === 'no index') disk.remove(index)
      if (what === 'a wrong index') {
        const opened = disk.open(index, 'write')
        opened.write([Buffer.alloc(4, 1)], opened.size() - 4)
        opened.syncNow()
      }
      if (what === 'no snapshot') {
        for (const name of fixture.files('.snapshot')) disk.remove(`${logPath}/${name}`)
      }
      disk.syncDirectory(logPath)
      fixture[how]()
      t.equal(isDamageSeen(fixture), what !== 'all is well', `${how}, ${what}: what is looked at`)
      t.equal(fixture.log.logEndOffset, point + 2)
      t.ok((await fixture.readAll()).equals(bytes), 'damage below is found when it is read')
      t.ok(isDamageSeen(fixture))
      t.equal(fixture.log.latestLeaderEpoch, 4)
      t.equal(fixture.log.leaderEpochAt(0), 0)
      t.match(await fixture.append(['above it', 'and more'], last, 4), { isDuplicate: true })
      const aborted = fixture.log.reader.abortedTransactions(0, point)
      t.equal(aborted.length, what === 'an abort' ? 1 : 0)
    }
  }
})

/** What an entry in the middle of an index may claim, of 600 offsets; null: four more than is right. */
const wrongNumbers = [-1, -2147483648, 2147483647, 60_000, 3, 0, 599, null]

t.test(
  'below the recovery point no entry of an index keeps a record from being read',
  async (t) => {
    const config = { segmentBytes: 100_000, indexIntervalBytes: 500 }
    const fields = [
      { suffix: '.index', entryBytes: 8, at: 0 },
      { suffix: '.index', entryBytes: 8, at: 4 },
      { suffix: '.timeindex', entryBytes: 12, at: 0 },
      { suffix: '.timeindex', entryBytes: 12, at: 4 },
      { suffix: '.timeindex', entryBytes: 12, at: 8 },
    ] as const
    for (const { suffix, entryBytes, at } of fields) {
      for (const number of wrongNumbers) {
        for (const how of ['kill', 'restart', 'restart, truncate'] as const) {
          const what = `${number} at ${at} of ${suffix}, ${how}`
          const fixture = new Fixture({ config })
          for (let index = 0; index < 300; index++) {
            const batch = encodeBatch({ records: [record(index), record(index)] })
            await fixture.world.run(fixture.log.append(batch, 0).written)
          }
          await fixture.world.run(fixture.log.advance())
          fixture.directory.logs.writeCheckpoints()
          const bytes = await fixture.readAll()
          const found = await lookUpAll(fixture, bytes)
          const damage = () => {
            const path = `${logPath}/${fixture.files(suffix)[0]}`
            const entries = fixture.disk.stat(path).size / entryBytes
            // A binary search comes upon the one in the middle first.
            const where = Math.floor(entries / 2) * entryBytes + at
            const wrong = Buffer.alloc(4)
            wrong.writeInt32BE(number ?? fixture.disk.readFile(path).readInt32BE(where) + 4)
            overwrite(fixture, path, wrong, where)
          }
          if (how === 'kill') {
            damage()
            fixture.kill()
          } else {
            await fixture.restart(damage)
          }
          if (how === 'restart, truncate') {
            // Also such that the wrong entry is the last that stays.
            for (let end = 400; end >= 20; end--) fixture.log.truncateTo(end)
            t.equal(fixture.log.logEndOffset, 20, what)
            const left = await fixture.readAll()
            t.ok(left.equals(bytes.subarray(0, left.length)) && left.length > 0, what)
            t.equal((await fixture.append(['goes on'])).baseOffset, 20, what)
            continue
          }
          for (let offset = 598; offset >= 0; offset -= 4) {
            const { firstOffset } = await fixture.read(offset)
            if (firstOffset !== offset) t.fail(`${what}: ${firstOffset} for ${offset}`)
          }
          t.ok((await fixture.readAll()).equals(bytes), what)
          t.strictSame(await lookUpAll(fixture, bytes), found, what)
        }
      }
    }
  },
)

/** Timestamps rise, each that of some batches, up to one that is far ahead; then they go back. */
const record = (index: number) => {
  const ahead = index < 120 ? Math.floor(index / 7) * 10 : index === 120 ? 1e6 : index % 3
  return { timestamp: 1e12 + ahead, key: null, value: Buffer.from(`value ${index}`) }
}

/** What is found for the timestamp of each batch, and that of none. */
async function lookUpAll(fixture: Fixture, bytes: Buffer): Promise<unknown[]> {
  const timestamps = new Set([...header.batches(bytes)].map((at) => header.maxTimestamp(bytes, at)))
  const found: unknown[] = [fixture.log.logEndOffset]
  for (const timestamp of timestamps) {
    found.push(await fixture.world.run(fixture.log.reader.offsetForTimestamp(timestamp)))
    found.push(await fixture.world.run(fixture.log.reader.offsetForTimestamp(timestamp - 1)))
  }
  return found
}

t.test('a recovery point moves without a snapshot where producers have transactions', async (t) => {
  const config = { segmentBytes: 130_000, indexIntervalBytes: 500 }
  const fixture = await filled(300, { config })
  const advance = async () => {
    await fixture.world.run(fixture.log.advance())
    t.equal(fixture.log.recoveryPoint, fixture.log.nextOffset)
    fixture.directory.logs.writeCheckpoints()
    return fixture.files('.snapshot')
  }
  const taken = await advance()
  t.strictSame(taken, [`${'600'.padStart(20, '0')}.snapshot`])
  const transaction = { producerId: 5, producerEpoch: 0, isTransactional: true }
  await fixture.append(['x'.repeat(17_000)], { ...transaction, baseSequence: 0 })
  t.strictSame(await advance(), taken, 'one is open; that from before tells where to begin')
  fixture.kill()
  t.ok(fixture.log.hasOpenTransaction(5, 0), 'and what came after it is read')
  await fixture.world.run(fixture.log.append(commit(5), 0, 'coordinator').written)
  await fixture.append(['x'.repeat(17_000)])
  t.strictSame(await advance(), taken, 'one has ended')
  fixture.kill()
  t.equal(fixture.log.logEndOffset, 603)
  t.notOk(fixture.log.hasOpenTransaction(5, 0))
})

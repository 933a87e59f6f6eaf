/**
 * An index of aborted transactions that lacks its last entries looks as one that never had them: it is whole,
 * and durable, before nobody reads the batches any more.
 */
import t from 'tap'
import { Fixture, logPath, marker } from './log-fixture.ts'

const segmentBytes = 400

/** Transactions that were aborted, in several segments. */
async function withAborted(seed: number, transactions = 12): Promise<Fixture> {
  const fixture = new Fixture({ seed, config: { segmentBytes } })
  for (let baseSequence = 0; baseSequence < transactions; baseSequence++) {
    const begun = { producerId: 7, producerEpoch: 0, baseSequence, isTransactional: true }
    await fixture.append([`given up ${baseSequence}`], begun)
    const [key, value] = [Buffer.alloc(4), Buffer.from([0, 0, 0, 0, 0, 3])]
    const end = marker(false, { records: [{ timestamp: fixture.now, key, value }] })
    await fixture.world.run(fixture.log.append(end, 0, 'coordinator').written)
  }
  return fixture
}

const aborted = ({ log }: Fixture) => log.reader.abortedTransactions(0, log.logEndOffset)

t.test('what was read back is known after a loss of power, too', async (t) => {
  for (let seed = 1; seed <= 20; seed++) {
    const fixture = await withAborted(seed)
    const expected = aborted(fixture)
    t.equal(expected.length, 12)
    t.ok(fixture.files('.txnindex').length > 3)
    fixture.kill()
    await fixture.append(['one more'])
    await fixture.world.run(fixture.log.flush())
    t.equal(fixture.log.recoveryPoint, fixture.log.logEndOffset)
    fixture.directory.logs.writeCheckpoints()
    fixture.crash()
    t.strictSame(aborted(fixture), expected, `seed ${seed}`)
  }
})

t.test('so is what was restored, of a file that was gone', async (t) => {
  for (let seed = 1; seed <= 20; seed++) {
    const fixture = await withAborted(seed)
    const expected = aborted(fixture)
    const remove = () => {
      for (const name of fixture.files('.txnindex')) fixture.disk.remove(`${logPath}/${name}`)
      fixture.disk.syncDirectory(logPath)
    }
    await fixture.restart(remove)
    t.strictSame(aborted(fixture), expected)
    fixture.crash()
    t.strictSame(aborted(fixture), expected, `seed ${seed}`)
  }
})

/** What a client that keeps offsets may find, after a loss and once they may have expired. */
import t from 'tap'
import { CommittedPlace, judge, mayBe } from './committing-client.ts'
import type { Client, Stage } from './stage.ts'
import { Trace } from './trace.ts'
import { Violation } from './violation.ts'

/** The world at this time, in which offsets expire after ten minutes. */
function at(nowMs: number): Stage {
  const temper = { expiresOffsets: true, blows: { clockJump: 0 } }
  return { world: { nowMs }, temper, trace: new Trace(() => nowMs) } as unknown as Stage
}

t.test('what a loss has brought back expires from when it was sent', (t) => {
  const keeper = { name: 'keeper' } as Client
  const place = new CommittedPlace(0)
  place.sentMs.set(1, 1_000)
  place.sentMs.set(2, 400_000)
  place.acknowledged = 2
  const find = (nowMs: number, offset: number, losses: number) =>
    judge(at(nowMs), keeper, { topic: 'topic', place, offset, losses })
  t.throws(() => find(450_000, 1, 0), Violation, 'nothing was lost')
  find(450_000, 1, 1)
  t.equal(place.acknowledged, 1)
  t.equal(mayBe(at(600_999), place, -1, 1), false)
  t.equal(mayBe(at(601_000), place, -1, 1), true, 'seed 114911: that of 2 is over only later')
  t.end()
})

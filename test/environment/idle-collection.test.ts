/** When V8 is asked to collect buffers that nobody needs any more, and when it is left alone. */
import t from 'tap'
import { IdleCollection } from '../../src/environment/node/idle-collection.ts'

const mb = 1024 * 1024

t.test('V8 is nudged once a peak is over, and not for what is in use', async (t) => {
  let bytes = 0
  let nudges = 0
  const collection = new IdleCollection({ measure: () => bytes, nudge: () => nudges++ })
  const lookAt = (megabytes: number) => {
    bytes = megabytes * mb
    nudges = 0
    collection.look()
    return nudges > 0
  }
  t.notOk(lookAt(30))
  t.notOk(lookAt(30))
  t.notOk(lookAt(300), 'it rises')
  t.notOk(lookAt(600), 'and rises')
  t.ok(lookAt(601), 'it is level')
  t.notOk(lookAt(35), 'that was garbage')
  t.notOk(lookAt(36))
  t.notOk(lookAt(600))
  t.ok(lookAt(600))
  const again = Array.from({ length: 200 }, () => lookAt(600)).flatMap((is, at) => (is ? [at] : []))
  t.same(again.slice(0, 4), [1, 4, 9, 18], 'what is in use is looked at less and less often')
  t.ok(again.length < 12)
  t.notOk(lookAt(40), 'it was given back')
  t.notOk(lookAt(200))
  t.ok(lookAt(200))
})

/** What `npm run bench -- tables` lands: records of the size and shape that its figures speak of, and a sink that takes them. */
import t from 'tap'
import { sinkAlone } from './sink-alone.ts'
import { recordText, shapes } from './table-records.ts'

t.test('a record is told by its number alone', async (t) => {
  for (const shape of shapes) {
    t.equal(recordText(shape, 17), recordText(shape, 17))
    t.not(recordText(shape, 17), recordText(shape, 18))
  }
})

t.test('events have about 1 KB, flights four numbers', async (t) => {
  const count = 500
  let bytes = 0
  for (let number = 0; number < count; number++) {
    const event = JSON.parse(recordText('events', number)) as { number: number }
    t.equal(event.number, number)
    bytes += recordText('events', number).length
    const flight = JSON.parse(recordText('flights', number)) as { row: number }
    t.strictSame(Object.keys(flight), ['row', 'delay', 'distance', 'time'])
  }
  t.ok(bytes / count > 800 && bytes / count < 1200, `${bytes / count} bytes`)
})

t.test('the sink lands them, and tells where its time goes', async (t) => {
  for (const shape of shapes) {
    const cost = await sinkAlone(shape, 2000)
    t.equal(cost.records, 2000)
    t.ok(cost.takeSeconds > 0 && cost.convertSeconds > 0 && cost.commitSeconds > 0)
  }
})

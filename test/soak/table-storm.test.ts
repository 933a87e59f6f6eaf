/** The judge of the storm over a table says what is wrong with one, whatever has made it so. */
import t from 'tap'
import { json, newPlace, record, Trial } from '../connect/delta-trial.ts'
import {
  connector,
  isEachOffsetOnce,
  landedCount,
  recordText,
  topic,
  verifyTable,
} from './table-storm.ts'

const total = 40
const partition = { topic, partition: 0 }

async function land(
  location: string,
  name: string,
  ids: readonly number[],
  change = '',
): Promise<void> {
  const trial = new Trial({
    ...{ name, 'table.path': location, 'kafka.partition.column': 'p' },
    ...{ 'kafka.offset.column': 'o', 'kafka.key.column': 'k' },
  })
  await trial.start([partition])
  const records = ids.map((id) => {
    const value = json(JSON.parse(recordText(id, total).replace('"carrier":"UA"', change || '$&')))
    return record(id, value, { key: String(id) })
  })
  await trial.read(new Map([[`${topic}-0`, records]]), total)
  await trial.commit()
}

const all = Array.from({ length: total }, (_, id) => id)
const acknowledged = new Uint8Array(total).fill(1)

t.test('a table as it should be', async (t) => {
  const location = newPlace()
  t.equal(await landedCount(location), 0)
  await land(location, connector, all)
  t.equal(await landedCount(location), total)
  t.match(await verifyTable(location, acknowledged), {
    ...{ rows: total, missing: 0, twice: 0, gaps: 0, wrong: 0 },
  })
})

t.test('records that are missing leave a gap, too', async (t) => {
  const location = newPlace()
  await land(
    location,
    connector,
    all.filter((id) => id !== 7 && id !== 8),
  )
  t.match(await verifyTable(location, acknowledged), { missing: 2, twice: 0, gaps: 2, wrong: 0 })
})

t.test('records that are there twice', async (t) => {
  const location = newPlace()
  await land(location, connector, all)
  await land(location, 'another', all.slice(0, 3))
  t.match(await verifyTable(location, acknowledged), { rows: 43, missing: 0, twice: 3, gaps: 0 })
})

t.test('values that were never written', async (t) => {
  const location = newPlace()
  await land(location, connector, all, '"carrier":"XX"')
  t.match(await verifyTable(location, acknowledged), { missing: 0, twice: 0, wrong: 14 })
})

t.test('what delta-rs counts', async (t) => {
  t.ok(isEachOffsetOnce('[0, 3, 3, 2]\n[1, 2, 2, 1]\n', 5))
  t.notOk(isEachOffsetOnce('[0, 3, 3, 2]\n', 5), 'a partition is missing')
  t.notOk(isEachOffsetOnce('[0, 4, 3, 2]\n[1, 1, 1, 0]\n', 5), 'a row is there twice')
  t.notOk(isEachOffsetOnce('[0, 3, 3, 3]\n[1, 2, 2, 1]\n', 5), 'an offset is missing')
})

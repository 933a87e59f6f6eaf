/** Small files of tables put together, and those deleted that nobody needs, while rows go on to land. */
import t from 'tap'
import { Maintenance } from '../../src/connect/topic-tables/maintenance.ts'
import type { Environment } from '../../src/environment/environment.ts'
import { LocalStorage } from '../../src/environment/node/local-storage.ts'
import { NodeRandom } from '../../src/environment/node/random.ts'
import { readSnapshot } from '../../src/tables/delta/snapshot.ts'
import { json, newPlace, record, rowsOf, Trial } from './delta-trial.ts'

const storageAt = (location: string) => new LocalStorage(location)
const dataFiles = async (location: string) =>
  (await storageAt(location).list('')).filter(({ name }) => name.endsWith('.parquet')).length

t.test('files are put together once there are many, and deleted a week later', async (t) => {
  const location = newPlace()
  const trial = new Trial({ 'table.path': location })
  await trial.start([{ topic: 'flights', partition: 0 }])
  const land = async (from: number, to: number) => {
    for (let offset = from; offset < to; offset++) {
      await trial.read(new Map([['flights-0', [record(offset, json({ id: offset }))]]]), 1)
      await trial.commit()
    }
  }
  const told: string[] = []
  let nowMs = Date.now()
  const clock = { now: () => nowMs, monotonic: () => 0 }
  const random = new NodeRandom()
  const log = { debug: (message: string) => told.push(message), warn: (m: string) => told.push(m) }
  const timers = { after: () => ({ cancel: () => undefined }) }
  const environment = { clock, random, log, timers } as unknown as Environment
  const table = { location, optimizes: true, vacuums: true }
  let version = 19
  const quarter = { float: () => 0.75, bytes: (length: number) => random.bytes(length) }
  const started = () =>
    new Maintenance(environment, { clock, random: quarter, storageAt }, () => [
      { ...table, version },
      { ...table, location: `${location}/none`, version: null },
    ])
  const maintenance = started()
  const files = async () => (await readSnapshot(storageAt(location))).files.size

  await land(0, 20)
  await maintenance.run()
  t.equal(await files(), 20, 'few are left alone')
  await land(20, 60)
  version = 59
  await Promise.all([maintenance.run(), land(60, 64)])
  t.ok((await files()) <= 6, 'many are one, beside those that came meanwhile')
  const ids = (await rowsOf(location)).map(({ id }) => Number(id)).sort((a, b) => a - b)
  t.strictSame(ids, [...Array(64).keys()])

  t.ok((await dataFiles(location)) > 60)
  nowMs += 8 * 24 * 3_600_000
  const again = started()
  await again.run()
  t.ok((await dataFiles(location)) > 60, 'a start is no time to vacuum')
  nowMs += 7 * 3_600_000
  await again.run()
  t.equal(await dataFiles(location), await files(), 'only what is of the table is there')
  t.strictSame(told, [])
  again.stop()
  maintenance.stop()
  await maintenance.run()
})

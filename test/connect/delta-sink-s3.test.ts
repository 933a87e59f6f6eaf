/** Records landed in tables of an object store: each once, whatever becomes of requests, and as the connector's settings say. */
import t from 'tap'
import { deltaSinkConfig, validateDeltaSink } from '../../src/connect/delta/delta-sink-config.ts'
import { NodeRandom } from '../../src/environment/node/random.ts'
import { s3Settings } from '../../src/tables/storage/s3-settings.ts'
import { S3Storage } from '../../src/tables/storage/s3-storage.ts'
import { type Fault, keys, ObjectStore, refused } from '../tables/storage/object-store.ts'
import { HurriedWorld, storageIn } from '../tables/storage/s3-world.ts'
import { json, record, rowsOf, Trial } from './delta-trial.ts'

const location = 's3://lake/landed/flights'
const partitions = [0, 1].map((partition) => ({ topic: 'flights', partition }))

t.test('each record lands once, whatever becomes of requests', async (t) => {
  const store = await ObjectStore.start()
  t.teardown(() => store.stop())
  const log = new Map(
    partitions.map(({ partition }) => [
      `flights-${partition}`,
      Array.from({ length: 60 }, (_, i) =>
        record(i, json({ text: `${partition}/${i}` }), { kafkaPartition: partition }),
      ),
    ]),
  )
  const random = new NodeRandom()
  const faults: readonly Fault[] = [
    ...(['lost', 'unheard', 'truncated', 'late'] as const),
    ...[refused(503, 'SlowDown'), refused(500, 'InternalError')],
  ]
  let met = 0
  store.fault = () => {
    if (random.float() > 0.3) return null
    met++
    return faults[Math.floor(random.float() * faults.length)]!
  }
  const settings = { 'table.path': 's3://lake/landed/${topic}', 'table.commit.rows': '15' }
  let failures = 0
  for (let isWhole = false; !isWhole; ) {
    const trial = new Trial(settings, (at) => storageIn(store, new HurriedWorld(), {}, at))
    try {
      await trial.start(partitions)
      while (await trial.read(log, 5)) if (random.float() < 0.4) await trial.commit()
      const allowed = await trial.commit()
      isWhole = allowed.length === 2
    } catch (error) {
      failures++
      if (failures > 50) throw error
    }
    // A request of the task that failed arrives while its heir is at work, or before.
    for (const arrive of store.late.splice(0)) arrive()
  }
  store.fault = () => null
  const rows = await rowsOf(location, storageIn(store, new HurriedWorld(), {}, location))
  const found = rows.map(({ text }) => text)
  t.same(
    found.sort(),
    [...log.values()]
      .flat()
      .map(({ value }) => (value as Map<string, string>).get('text'))
      .sort(),
  )
  t.ok(met > 0, `${met} faults`)
})

t.test("who asks, by the connector's settings or the worker's variables", async (t) => {
  const store = await ObjectStore.start()
  t.teardown(() => store.stop())
  const world = new HurriedWorld()
  const theirs = {
    AWS_ENDPOINT_URL: 'http://127.0.0.1:9',
    AWS_ACCESS_KEY_ID: 'X',
    AWS_SECRET_ACCESS_KEY: 'Y',
  }
  const ours = {
    'table.storage.endpoint': store.endpoint,
    'table.storage.region': 'test-1',
    'table.storage.access.key.id': keys.AWS_ACCESS_KEY_ID,
    'table.storage.secret.access.key': keys.AWS_SECRET_ACCESS_KEY,
    'table.storage.session.token': keys.AWS_SESSION_TOKEN,
  }
  const trial = new Trial({ 'table.path': location, ...ours }, (at, variables) => {
    const settings = s3Settings(at, { ...theirs, AWS_SESSION_TOKEN: 'Z', ...variables }, () => null)
    return new S3Storage(settings, world)
  })
  await trial.start(partitions)
  await trial.read(new Map([['flights-0', [record(0, json({ a: 1 }))]]]), 10)
  await trial.commit()
  t.same(await rowsOf(location, storageIn(store, world, {}, location)), [{ a: 1 }])
  const values = deltaSinkConfig.validate(
    new Map(Object.entries({ 'table.path': location, ...ours })),
  )
  const text = JSON.stringify(values)
  t.notOk(text.includes(keys.AWS_SECRET_ACCESS_KEY) || text.includes(keys.AWS_SESSION_TOKEN))
  const wrong = new Map([['table.path', 's3://${topic}_x/y']])
  const [path] = validateDeltaSink(wrong, deltaSinkConfig.validate(wrong))
  t.match(path!.errors, [/topic_x is no name of a bucket/])
})

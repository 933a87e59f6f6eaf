/** Topics that are tables by their settings: each record once, through crashes, changes of settings and topics made anew. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { describeConfigs } from '../../src/client/admin/configs.ts'
import { listGroups } from '../../src/client/admin/groups.ts'
import { createPartitions, deleteRecords, deleteTopics } from '../../src/client/admin/topics.ts'
import { Producer } from '../../src/client/producer.ts'
import type { TopicTable } from '../../src/config/table-configs.ts'
import { nullable } from '../../src/connect/delta/column-types.ts'
import { admitted } from '../../src/connect/topic-tables/admission.ts'
import { BacklogLog } from '../../src/connect/topic-tables/backlog.ts'
import type { Logger } from '../../src/environment/environment.ts'
import { LocalStorage } from '../../src/environment/node/local-storage.ts'
import { newTable } from '../../src/tables/delta/new-table.ts'
import { readSnapshot } from '../../src/tables/delta/snapshot.ts'
import { Transaction } from '../../src/tables/delta/transaction.ts'
import { ended, killAll, start } from '../broker-process.ts'
import { start as command } from '../cli/running-broker.ts'
import { ObjectStore } from '../tables/storage/object-store.ts'
import { HurriedWorld, storageIn } from '../tables/storage/s3-world.ts'
import { rowsOf } from './delta-trial.ts'
import {
  alter,
  environment,
  fast,
  flights,
  ids,
  make,
  numbers,
  produce,
  produceAtOnce,
  told,
  within,
} from './topic-table-trial.ts'
import { until } from './worker-process.ts'

t.setTimeout(180_000)
t.teardown(killAll)

t.test('a topic is a table from its first record on, whatever is killed when', async (t) => {
  const directory = t.testdir({})
  const data = join(directory, 'kafka')
  const location = join(directory, 'kafka-tables/flights')
  let broker = await start(data)
  t.strictSame(await told(broker), [])
  await make(broker, 'flights', {})
  await produce(broker, 'flights', flights(0, 100))
  t.equal(await alter(broker, 'flights', fast), null)
  await until('100 rows', async () => (await ids(location)).length === 100)
  const [row] = await rowsOf(location)
  t.match(row, {
    origin: 'SFO',
    kafka_partition: Number,
    kafka_offset: Number,
    kafka_timestamp: String,
  })

  for (const round of [1, 2, 3]) {
    void produce(broker, 'flights', flights(round * 100, round * 100 + 100)).catch(() => undefined)
    await delay(round * 60)
    broker.child.kill('SIGKILL')
    await ended(broker)
    broker = await start(data)
    const have = await within(broker, async (cluster) => {
      const { listOffsets } = await import('../../src/client/offsets.ts')
      const queries = [0, 1].map((partition) => ({ topic: 'flights', partition, timestamp: -1 }))
      return (await listOffsets(cluster, queries)).reduce((sum, { offset }) => sum + offset, 0)
    })
    await until(`${have} rows`, async () => (await ids(location)).length >= have)
    const coordinates = (await rowsOf(location)).map(
      (one) => `${one['kafka_partition']}-${one['kafka_offset']}`,
    )
    t.equal(new Set(coordinates).size, have, 'each record')
    t.equal(coordinates.length, have, 'and each once')
  }
  await until('none behind', async () => (await told(broker))[0]?.lag === 0)
  t.match(await told(broker), [{ topic: 'flights', state: 'RUNNING', error: null, location }])
  const page = await (await fetch(`${broker.http}/metrics`)).text()
  t.match(page, /millrace_topic_table_up\{topic="flights"\} 1\n/)
  t.match(page, /millrace_topic_table_lag_records\{topic="flights"\} 0\n/)
  const listed = await command(['tables', 'list', '--connect', broker.http]).ended
  t.match(listed.stdout, /flights +RUNNING +\d+ +0 +\S*kafka-tables\/flights\n/)
  broker.child.kill('SIGTERM')
  t.equal(await ended(broker), 0)
})

t.test('settings are checked, shown and taken back', async (t) => {
  const directory = t.testdir({})
  const broker = await start(join(directory, 'kafka'))
  const [made] = await make(broker, 'a', { 'table.enable': 'perhaps' })
  t.match(made?.error, { error: { name: 'INVALID_CONFIG' }, message: /either true or false/ })
  await make(broker, 'a', {})
  const refused: readonly (readonly [Record<string, string>, RegExp])[] = [
    [{ 'table.format': 'iceberg' }, /table.format: String must be one of: delta/],
    [{ 'table.location': '../elsewhere' }, /tables lie below .*kafka-tables \(table.dir\)/],
    [{ 'table.location': '/etc' }, /tables lie below/],
    [{ 'table.location': '.' }, /tables lie below/],
    [{ 'table.location': 'gs://bucket/a' }, /a directory or s3:.*, and no other URL/],
    [{ 'table.location': 's3://bucket/a' }, /tables lie below/],
    [{ 'table.partition.by': 'week(at)' }, /week is none of date, year, month, hour/],
    [{ 'table.partition.by': 'a,a' }, /a comes twice/],
    [{ 'table.schema': 'id long' }, /neither inferred, registry nor JSON/],
    [
      { 'table.schema': '{"type":"struct","fields":[{"name":"x","type":"int"}]}' },
      /unknown type int/,
    ],
    [{ 'table.commit.interval.ms': '1' }, /at least 100/],
    [{ 'table.kafka.columns': 'partition,ofset' }, /String must be one of: topic, partition/],
    [{ 'table.dead.letter.topic': 'a b' }, /must be the name of a topic/],
    [{ 'table.dead.letter.topic': '__consumer_offsets' }, /takes no dead letters/],
    [{ 'table.enabled': 'true' }, /Unknown topic config name: table.enabled/],
  ]
  for (const [changes, message] of refused) {
    t.match(await alter(broker, 'a', changes), { error: { name: 'INVALID_CONFIG' }, message })
  }
  await make(broker, 'connect-offsets', {})
  t.match(await alter(broker, 'connect-offsets', fast), {
    message: /connect-offsets holds state of .* and is not kept as a table/,
  })
  t.match(await make(broker, '_schemas', fast), [{ error: { message: /_schemas holds state/ } }])
  t.equal(await alter(broker, 'a', { ...fast, 'table.location': 'by-${topic}/x' }), null)
  t.match(await alter(broker, 'a', { 'table.partition.by': 'origin' }), {
    message: /table.partition.by: a table stays partitioned as it is. With another table.location/,
  })
  const [described] = await within(broker, (cluster) =>
    describeConfigs(cluster, [{ type: 'topic', name: 'a' }], { documentation: true }),
  )
  const enabled = described?.entries.find(({ name }) => name === 'table.enable')
  t.match(enabled, { value: 'true', documentation: /rows of a table too, each once/ })
  const location = join(directory, 'kafka-tables/by-a/x')
  await produce(broker, 'a', flights(0, 10))
  await until('10 rows', async () => (await ids(location)).length === 10)

  t.equal(await alter(broker, 'a', { 'table.enable': null }), null)
  await until('no table', async () => (await told(broker)).length === 0)
  await until(
    'no group',
    async () => (await within(broker, (cluster) => listGroups(cluster))).length === 0,
  )
  await produce(broker, 'a', flights(10, 20))
  t.equal((await ids(location)).length, 10, 'nothing lands while it is off')
  t.equal(await alter(broker, 'a', { 'table.partition.by': 'origin' }), null)
  t.equal(await alter(broker, 'a', { 'table.partition.by': null }), null)
  t.equal(await alter(broker, 'a', { 'table.enable': 'true' }), null)
  await until('20 rows', async () => (await ids(location)).length === 20)
  t.strictSame(await ids(location), numbers(0, 20), 'what came meanwhile lands, and nothing twice')
  broker.child.kill('SIGTERM')
  t.equal(await ended(broker), 0)
})

t.test('tables lie in an object store where the node says so', async (t) => {
  const directory = t.testdir({})
  const store = await ObjectStore.start()
  t.teardown(() => store.stop())
  const more = ['--override', 'table.dir=s3://lake/kafka/']
  const broker = await start(join(directory, 'kafka'), more, store.variables)
  for (const location of ['s3://lake/other', 's3://lake/kafka/../x', '../x', 's3://lake/kafka'])
    t.match(await make(broker, 'o', { ...fast, 'table.location': location }), [
      { error: { message: /tables lie below s3:\/\/lake\/kafka \(table.dir\)/ } },
    ])
  await make(broker, 'o', { ...fast, 'table.key.mode': 'upsert' })
  await make(broker, 'p', { ...fast, 'table.location': 's3://lake/kafka/deep/${topic}' })
  const place = 's3://lake/kafka/o'
  const rows = async (at: string) => {
    const storage = storageIn(store, new HurriedWorld(), {}, at)
    const found = await rowsOf(at, storage).catch(() => [])
    return found.map(({ id }) => id as number).sort((a, b) => a - b)
  }
  await produce(broker, 'o', flights(0, 6))
  await until('6 rows', async () => (await rows(place)).length === 6)
  await produce(broker, 'o', [...flights(100, 103), null])
  await until('5 rows', async () => (await rows(place)).join() === '4,5,100,101,102')
  await produce(broker, 'p', flights(0, 4))
  await until('4 rows', async () => (await rows('s3://lake/kafka/deep/p')).length === 4)
  t.match(
    (await told(broker)).map(({ topic, state }) => `${topic} ${state}`),
    ['o RUNNING', 'p RUNNING'],
  )
  broker.child.kill('SIGTERM')
  t.equal(await ended(broker), 0)
})

t.test('partitions come, the table moves, the topic is made anew', async (t) => {
  const directory = t.testdir({})
  const broker = await start(join(directory, 'kafka'))
  const place = (name: string) => join(directory, 'kafka-tables', name)
  await make(broker, 'b', fast)
  await produce(broker, 'b', flights(0, 10))
  await until('10 rows', async () => (await ids(place('b'))).length === 10)
  await within(broker, (cluster) => createPartitions(cluster, new Map([['b', 3]])))
  await within(broker, async (cluster) => {
    const producer = new Producer(cluster)
    producer.add({ topic: 'b', partition: 2, key: null, value: Buffer.from('{"id":10}') })
    await producer.close()
  })
  await until('11 rows', async () => (await ids(place('b'))).length === 11)
  t.equal(await alter(broker, 'b', { 'table.location': 'moved' }), null)
  await until('all of them there', async () => (await ids(place('moved'))).length === 11)

  await within(broker, (cluster) => deleteTopics(cluster, ['b']))
  await until('no table', async () => (await told(broker)).length === 0)
  await make(broker, 'b', { ...fast, 'table.location': 'moved' })
  await produce(broker, 'b', flights(100, 105))
  await until('old and new', async () => (await ids(place('moved'))).length === 16)
  t.strictSame(await ids(place('moved')), [...numbers(0, 11), ...numbers(100, 105)])
  await produceAtOnce(broker, 'b', flights(200, 204))
  await until('what was committed', async () => (await ids(place('moved'))).length === 20)
  await until('no marker is behind', async () => (await told(broker))[0]?.lag === 0)
  t.notMatch(broker.log(), /There is no table of/)
  rmSync(place('moved'), { recursive: true })
  await produce(broker, 'b', flights(300, 302))
  const again = [...numbers(100, 105), ...numbers(200, 204), ...numbers(300, 302)]
  await until('it begins anew', async () => (await ids(place('moved'))).join() === again.join())
  t.match(
    broker.log(),
    /"offsetsThatHadLanded":\d+,"msg":"There is no table of b any more: a new one is begun with what/,
  )
  broker.child.kill('SIGTERM')
  t.equal(await ended(broker), 0)
})

t.test('each key has one row where the settings say so', async (t) => {
  const directory = t.testdir({})
  const broker = await start(join(directory, 'kafka'))
  const location = join(directory, 'kafka-tables/k')
  await make(broker, 'k', { ...fast, 'table.key.mode': 'upsert' })
  await produce(broker, 'k', flights(0, 6))
  await until('6 rows', async () => (await ids(location)).length === 6)
  // Keys are numbered from 0 again: the first three get new values, the fourth goes.
  await produce(broker, 'k', [...flights(100, 103), null])
  const wanted = [4, 5, 100, 101, 102]
  await until('5 rows', async () => (await ids(location)).join() === wanted.join())
  const [row] = (await rowsOf(location)).filter(({ id }) => id === 4)
  t.match(row, { kafka_key: 'key 4', origin: 'SFO' })
  broker.child.kill('SIGTERM')
  t.equal(await ended(broker), 0)
})

t.test(
  'a record that fits no row stops one table, until it may be left out or has a place to go',
  async (t) => {
    const directory = t.testdir({})
    const broker = await start(join(directory, 'kafka'))
    await make(broker, 'good', fast)
    await make(broker, 'bad', fast)
    await make(broker, 'inner', { ...fast, 'table.location': 'good/within' })
    await produce(broker, 'good', flights(0, 4))
    await produce(broker, 'bad', ['{"id":1}', 'no JSON', '{"id":2}', '[3]', '{"id":4}'])
    const state = async (topic: string) => (await told(broker)).find((one) => one.topic === topic)
    await until('it fails', async () => (await state('bad'))?.state === 'FAILED')
    t.match(
      (await state('bad'))?.error,
      /bad-1 at offset 0: the record cannot be read: JSON has.* without such records where the topic has table.dead.letter.topic/,
    )
    t.match(await state('inner'), {
      state: 'FAILED',
      error: /lies within .*good, the table of good/,
    })
    await until(
      'the other lands',
      async () => (await ids(join(directory, 'kafka-tables/good'))).length === 4,
    )
    t.equal(await alter(broker, 'bad', { 'table.dead.letter.topic': 'bad-ones' }), null)
    await until(
      'it lands',
      async () => (await ids(join(directory, 'kafka-tables/bad'))).length === 3,
    )
    t.strictSame(await ids(join(directory, 'kafka-tables/bad')), [1, 2, 4])
    const letters = await command([
      ...['consume', 'bad-ones', '--from-beginning', '--max-messages', '2', '--json'],
      ...['--bootstrap-server', `127.0.0.1:${broker.port}`],
    ]).ended
    t.match(letters.stdout, /__connect.errors.exception.message/)
    t.match(await state('bad'), {
      leftOut: 2,
      leftOutReason: /bad-1 at offset 1: The value is no object, .*: table.value.format=string/,
    })

    await make(broker, 'skips', { ...fast, 'table.errors.tolerance': 'all' })
    await produce(broker, 'skips', ['{"id":1}', 'no JSON', '{"id":1.5}', '[3]'])
    await until('they are left out', async () => (await state('skips'))?.leftOut === 2)
    const page = await (await fetch(`${broker.http}/metrics`)).text()
    t.match(page, /millrace_topic_table_left_out_records_total\{topic="skips"\} 2\n/)
    const listed = await command(['tables', 'list', '--connect', broker.http]).ended
    t.match(listed.stdout, /skips: 2 records without a row, the last: skips-1 at offset/)
    t.match(broker.log(), /A record of skips has no row in its table: it is left out/)

    await make(broker, 'spaced', fast)
    const spaced = join(directory, 'kafka-tables/spaced')
    await produce(broker, 'spaced', ['{"id":1,"in it":{"full name":"x"}}'])
    await until('it fails', async () => (await state('spaced'))?.state === 'FAILED')
    t.match(
      (await state('spaced'))?.error,
      /the name "in it" has a character that needs columnMapping: table.properties=delta.columnM/,
    )
    await alter(broker, 'spaced', { 'table.properties': 'delta.columnMapping.mode=name' })
    await until('it lands', async () => (await ids(spaced)).length === 1)
    t.match(await rowsOf(spaced), [{ 'in it': { 'full name': 'x' } }])
    await produce(broker, 'spaced', ['{"id":2,"all":[{"of it":99999999999999999999}]}'])
    await until('it fails', async () => (await state('spaced'))?.state === 'FAILED')
    t.match(
      (await state('spaced'))?.error,
      /spaced-0 at offset 1: the record .*: all\[\]\.of it: 99999999999999999999 is out of the range/,
    )

    await make(broker, 'whole', fast)
    const whole = join(directory, 'kafka-tables/whole')
    await produce(broker, 'whole', ['{"id":1}'])
    await until('it lands', async () => (await ids(whole)).length === 1)
    await produce(broker, 'whole', ['{"id":1.5}'])
    await until('it fails', async () => (await state('whole'))?.state === 'FAILED')
    t.match((await state('whole'))?.error, /id cannot hold number 1.5: .* no long of Delta becomes/)
    broker.child.kill('SIGTERM')
    t.equal(await ended(broker), 0)
  },
)

t.test('of two topics that want one place the one whose rows lie there keeps it', async (t) => {
  const directory = t.testdir({})
  const data = join(directory, 'kafka')
  const place = join(directory, 'kafka-tables/finance/first')
  let broker = await start(data)
  const one = async (topic: string) => (await told(broker)).find((each) => each.topic === topic)
  await make(broker, 'first', { ...fast, 'table.location': 'finance/first' })
  await produce(broker, 'first', flights(0, 4))
  await until('it lands', async () => (await ids(place)).length === 4)
  await make(broker, 'around', { ...fast, 'table.location': 'finance' })
  await make(broker, 'twin', {
    ...{ ...fast, 'table.location': 'finance/first', 'table.key.mode': 'upsert' },
  })
  await produce(broker, 'twin', flights(100, 104))
  const onlyTheFirstLands = async (have: number) => {
    await until('all are told', async () => (await told(broker)).length === 3)
    await produce(broker, 'first', flights(have, have + 4))
    await until('it lands on', async () => (await ids(place)).length === have + 4)
    t.equal((await one('first'))?.state, 'RUNNING')
    t.match(await one('around'), {
      state: 'FAILED',
      error: /finance has .*finance\/first in it, the table of first/,
    })
    t.match(await one('twin'), { state: 'FAILED', error: /finance\/first is the table of first/ })
  }
  await onlyTheFirstLands(4)
  broker.child.kill('SIGKILL')
  await ended(broker)
  broker = await start(data)
  await onlyTheFirstLands(8)

  t.equal(await alter(broker, 'around', { 'table.enable': null }), null)
  t.equal(await alter(broker, 'first', { 'table.enable': null }), null)
  await until('only one is left', async () => (await told(broker)).length === 1)
  await until('it is refused', async () => (await one('twin'))?.state === 'FAILED')
  t.match(await one('twin'), { error: /finance\/first is the table of first/ })
  t.strictSame(await ids(place), numbers(0, 12), 'also where it is off the rows are not touched')

  await within(broker, (cluster) => deleteTopics(cluster, ['first']))
  await until('it goes on', async () => (await ids(place)).length === 16)
  broker.child.kill('SIGTERM')
  t.equal(await ended(broker), 0)
})

t.test('a table that is set back gets again what came since, and is told as it is', async (t) => {
  const directory = t.testdir({})
  const data = join(directory, 'kafka')
  const often = ['--override', 'connect.offset.flush.interval.ms=500']
  let broker = await start(data, often)
  const place = join(directory, 'kafka-tables/r')
  await make(broker, 'r', { ...fast, 'table.maintenance': '' })
  for (const round of [0, 1, 2]) {
    await produce(broker, 'r', flights(round * 4, round * 4 + 4))
    await until('it lands', async () => (await ids(place)).length === round * 4 + 4)
  }
  const { version } = await readSnapshot(new LocalStorage(place), 0)
  const back = await command(['tables', 'restore', place, '--version', String(version)]).ended
  t.match(back.stdout, /Partition \d of r lands again from offset \d+ on/)
  await until('all are there again', async () => (await ids(place)).length === 12)
  await produce(broker, 'r', flights(12, 14))
  await until('it goes on', async () => (await ids(place)).length === 14)
  t.strictSame(await ids(place), numbers(0, 14), 'each once')

  broker.child.kill('SIGTERM')
  t.equal(await ended(broker), 0)
  broker = await start(data)
  await until('it is seen that all is there', async () => {
    const [one] = await told(broker)
    return one?.state === 'RUNNING' && one.lag === 0
  })
  const restored = await command(['tables', 'restore', place, '--version', '0', '--json']).ended
  t.match(JSON.parse(restored.stdout), { landsAgain: [{ appId: /^topic-table\/.*\/r\/\d$/ }] })
  await produce(broker, 'r', flights(14, 16))
  await until('old and new', async () => (await ids(place)).length === 16)
  t.strictSame(await ids(place), numbers(0, 16), 'also where records come first')
  broker.child.kill('SIGTERM')
  t.equal(await ended(broker), 0)
})

t.test('what retention may take before it is in the table is told', async (t) => {
  const directory = t.testdir({})
  const broker = await start(join(directory, 'kafka'))
  const place = join(directory, 'kafka-tables/late')
  const state = async () => (await told(broker)).find(({ topic }) => topic === 'late')
  const doctor = () =>
    command([
      ...['doctor', '--connect', broker.http],
      ...['--bootstrap-server', `127.0.0.1:${broker.port}`],
    ]).ended
  await make(broker, 'late', { ...fast, 'retention.ms': '7200000' })
  await produce(broker, 'late', flights(0, 4))
  await until('4 rows', async () => (await ids(place)).length === 4)
  await until('none behind', async () => (await state())?.lag === 0)
  t.match(await state(), { lost: 0, oldestMs: null, dueMs: null })
  t.match((await doctor()).stdout, /^ok {4}tables: 1 topic kept as tables, all land$/m)

  const before = Date.now()
  await produce(broker, 'late', ['no JSON', 'nor this', 'nor that', '{'])
  await until('it fails', async () => (await state())?.state === 'FAILED')
  await until('it is told since when', async () => (await state())?.oldestMs !== null)
  const found = (await state())!
  t.ok(found.oldestMs! >= before && found.oldestMs! <= Date.now())
  t.equal(found.dueMs, found.oldestMs! + 7_200_000)
  t.equal(found.lag, 4)
  const page = await (await fetch(`${broker.http}/metrics`)).text()
  t.match(page, /millrace_topic_table_up\{topic="late"\} 0\n/)
  t.match(page, /millrace_topic_table_retention_due_timestamp_seconds\{topic="late"\} \d+/)
  const failed = await doctor()
  t.equal(failed.code, 1)
  t.match(
    failed.stdout,
    /^fail {2}tables: the table of late is not written, 4 records behind: late-/m,
  )
  t.match(
    failed.stdout,
    /^warn {2}tables: late, 4 records behind: from .* on retention may delete/m,
  )

  await within(broker, (cluster) =>
    deleteRecords(
      cluster,
      [0, 1].map((partition) => ({ topic: 'late', partition, offset: 3 })),
    ),
  )
  await until('it is told that some are gone', async () => (await state())?.lost === 2)
  t.match(
    (await doctor()).stdout,
    /^fail {2}tables: 2 offsets of late were deleted before they were/m,
  )
  const listed = await command(['tables', 'list', '--connect', broker.http]).ended
  t.match(listed.stdout, /late: 2 offsets deleted before they were in the table/)

  await alter(broker, 'late', { 'table.errors.tolerance': 'all' })
  await produce(broker, 'late', flights(4, 6))
  await until('it goes on', async () => (await ids(place)).length === 6)
  t.match(await state(), { state: 'RUNNING', lost: 2 }, 'and is not forgotten')
  t.match(broker.log(), /2 offsets of late are in no row: the topic lost them before/)
  broker.child.kill('SIGTERM')
  t.equal(await ended(broker), 0)
})

t.test('a backlog is told in the log, more often where retention comes near', async (t) => {
  const lines: string[] = []
  const level = (name: string) => (message: string) => void lines.push(`${name} ${message}`)
  let now = 1_000_000_000
  const log = new BacklogLog({
    clock: { now: () => now, monotonic: () => now },
    log: { warn: level('warn'), error: level('error') } as unknown as Logger,
  })
  const backlog = { topic: 'a', lag: 3, lost: 0, oldestMs: now, dueMs: now + 4 * 3_600_000 }
  const passed = (minutes: number, more = {}) => {
    for (let minute = 0; minute < minutes; minute++) {
      now += 60_000
      log.tell([{ ...backlog, ...more }])
    }
    return lines.splice(0)
  }
  t.match(passed(61), [/^warn The table of a is behind, and from .* retention/, /^warn/])
  t.equal(passed(119).length, 1)
  t.match(passed(30), [/^error .* retention/, /^error/, /^error/])
  t.match(passed(2, { lost: 7, oldestMs: null, dueMs: null }), [
    'error 7 offsets of a were deleted before they were in its table',
  ])
  t.match(passed(90, { dueMs: null }), [/^warn The table of a is behind$/])
})

t.test('dead letters that come back are refused, however long their way', async (t) => {
  const directory = t.testdir({})
  const tableTo = (topic: string, deadLetters: string): TopicTable => ({
    ...{ topic, topicId: topic, partitionCount: 1, location: join(directory, topic) },
    ...{ refusal: null, texts: new Map([['table.dead.letter.topic', deadLetters]]) },
  })
  const tables = [
    tableTo('a', 'b'),
    tableTo('b', 'c'),
    tableTo('c', 'a'),
    tableTo('self', 'self'),
    tableTo('before', 'a'),
    tableTo('well', 'letters'),
    tableTo('none', ''),
  ]
  const answered = await admitted(tables, {
    tables: {
      ...{ clock: environment.clock, random: environment.random },
      storageAt: (location) => new LocalStorage(location),
    },
    isRunning: () => false,
  })
  t.match(Object.fromEntries(answered.map(({ topic, refusal }) => [topic, refusal])), {
    a: 'Its dead letters come back to it: a → b → c → a (table.dead.letter.topic)',
    b: 'Its dead letters come back to it: b → c → a → b (table.dead.letter.topic)',
    c: /c → a → b → c/,
    self: 'It is its own table.dead.letter.topic',
    ...{ before: null, well: null, none: null },
  })
})

t.test('who is first is the same in whatever order topics are told', async (t) => {
  const directory = t.testdir({})
  const place = (name: string) => join(directory, name)
  const table = (topic: string, topicId: string, name: string): TopicTable => ({
    ...{ topic, topicId, partitionCount: 1, location: place(name), refusal: null },
    texts: new Map(),
  })
  const tables = [
    table('outer', '3', 'x'),
    table('inner', '1', 'x/y/z'),
    table('same', '2', 'x/y/z'),
    table('alone', '4', 'x-y'),
  ]
  const environmentOf = {
    ...{ clock: environment.clock, random: environment.random },
    storageAt: (location: string) => new LocalStorage(location),
  }
  const refusedOf = async (wanted: readonly TopicTable[], running: readonly string[] = []) =>
    (
      await admitted(wanted, {
        tables: environmentOf,
        isRunning: ({ topic }) => running.includes(topic),
      })
    )
      .flatMap(({ topic, refusal }) => (refusal === null ? [] : topic))
      .sort()
  t.strictSame(await refusedOf(tables), ['outer', 'same'], 'the lower id')
  t.strictSame(await refusedOf(tables.toReversed()), ['outer', 'same'])
  t.strictSame(await refusedOf(tables, ['same']), ['inner', 'outer'], 'the one that is running')
  t.strictSame(await refusedOf(tables.toReversed(), ['outer']), ['inner', 'same'])

  const storage = new LocalStorage(place('x/y/z'))
  const { clock, random } = environment
  const transaction = Transaction.creating(
    { clock, random, storage },
    newTable({ fields: [nullable('id', { kind: 'int64' })] }, { clock, random }),
  )
  transaction.progress('topic-table/0/same/0', 1n)
  await transaction.commit({ operation: 'STREAMING UPDATE', parameters: {} })
  t.strictSame(await refusedOf(tables, ['outer']), ['inner', 'outer'], 'whose rows lie there')
})

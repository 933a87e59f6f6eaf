/** Connectors in a broker's own process: over its HTTP port, in their thread, and there again after `kill -9`. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { createTopics } from '../../src/client/admin/topics.ts'
import { Cluster } from '../../src/client/cluster.ts'
import { Producer } from '../../src/client/producer.ts'
import { createNodeEnvironment } from '../../src/environment/node/environment.ts'
import { ended, killAll, type Started, start } from '../broker-process.ts'
import { start as command } from '../cli/running-broker.ts'

t.setTimeout(120_000)
t.teardown(killAll)

const environment = createNodeEnvironment({ log: { level: 'silent' } })
const settings = ['connect.offset.flush.interval.ms=100'].flatMap((one) => ['--override', one])

async function produce({ port }: Started, values: readonly string[]): Promise<void> {
  const cluster = new Cluster(environment, { bootstrap: [{ host: '127.0.0.1', port }] })
  await createTopics(cluster, [
    { name: 'lines', partitions: 2, replicationFactor: 1, configs: new Map() },
  ])
  const producer = new Producer(cluster)
  for (const value of values)
    producer.add({ topic: 'lines', key: Buffer.from(value), value: Buffer.from(value) })
  await producer.close()
  cluster.close()
}

async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let round = 0; round < 800; round++) {
    if (await isSo()) return
    await delay(25)
  }
  throw new Error(`not so within 20 s: ${what}`)
}

const linesOf = (path: string) =>
  existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : []
const numbered = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, at) => `line ${from + at}`)

t.test('a connector outlives the broker that it was made in', async (t) => {
  const directory = t.testdir({ kafka: {} })
  const target = join(directory, 'out.txt')
  const data = join(directory, 'kafka')
  const first = await start(data, settings)
  const url = `${first.http}/connectors`
  t.strictSame(await (await fetch(url)).json(), [], 'to look starts nothing')
  t.notMatch(await (await fetch(`${first.http}/metrics`)).text(), /kafka_connect_/)
  const config = {
    'connector.class': 'FileStreamSink',
    topics: 'lines',
    file: target,
    'key.converter': 'StringConverter',
    'value.converter': 'StringConverter',
  }
  await produce(first, numbered(0, 100))
  const made = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'out', config }),
  })
  t.equal(made.status, 201)
  await until('100 lines', () => linesOf(target).length === 100)
  const form = await fetch(url, { method: 'POST', body: new URLSearchParams({ name: 'x' }) })
  t.equal(form.status, 415, 'a form of a web page makes no connector')
  const hostile = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"name":"deep","config":'.padEnd(900_000, '['),
  })
  t.equal(hostile.status, 400)

  await delay(300)
  first.child.kill('SIGKILL')
  await ended(first)
  const second = await start(data, settings)
  await produce(second, numbered(100, 200))
  await until('200 lines', () => new Set(linesOf(target)).size === 200)
  const status = await fetch(`${second.http}/connectors/out/status`)
  t.match(await status.json(), {
    connector: { state: 'RUNNING', worker_id: /^127\.0\.0\.1:\d+$/ },
    tasks: [{ id: 0, state: 'RUNNING' }],
  })
  second.child.kill('SIGTERM')
  t.equal(await ended(second), 0)

  const third = await start(data, settings)
  const cli = async (...words: string[]) => {
    const { code, stdout, stderr } = await command([...words, '--connect', third.http]).ended
    return [code, stdout + stderr]
  }
  await until('it runs again', async () =>
    /RUNNING +1\/1/.test(String((await cli('connectors', 'list'))[1])),
  )
  t.match(await cli('connectors', 'describe', 'out'), [0, /task 0 +RUNNING/])
  t.match(await cli('connectors', 'offsets', 'out', '--json'), [0, /"kafka_topic":"lines"/])
  const doctor = () => cli('doctor', '--bootstrap-server', `127.0.0.1:${third.port}`)
  t.match(await doctor(), [0, /^ok {4}connectors: 1 connector, none has failed$/m])
  const page = await (await fetch(`${third.http}/metrics`)).text()
  for (const line of [
    'worker_connector_count 1',
    'worker_task_count 1',
    'worker_connector_running_task_count{connector="out"} 1',
    'connector_status{connector="out",status="running"} 1',
    'connector_task_status{connector="out",task="0",status="running"} 1',
    'sink_task_partition_count{connector="out",task="0"} 2',
  ])
    t.match(page, `\nkafka_connect_${line}\n`)
  await fetch(`${third.http}/connectors/broken/config`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ...config, file: join(directory, 'none/out.txt') }),
  })
  await until('it fails', async () => (await doctor())[0] === 1)
  t.match(await doctor(), [
    1,
    /^fail {2}connectors: task 0 of broken has failed: .*none.out.txt.*\n +`millrace connectors restart broken --failed`/m,
  ])
  await fetch(`${third.http}/connectors/broken`, { method: 'DELETE' })
  t.match(await cli('connectors', 'pause', 'none'), [1, /Connector none not found/])
  const bare = join(directory, 'bare.json')
  writeFileSync(bare, JSON.stringify(config))
  t.match(await cli('connectors', 'create', bare), [1, /beside its name: \{"name": "orders"/])
  t.match(await cli('connectors', 'restart', 'out'), [0, 'out restarted\n'])
  await produce(third, numbered(200, 250))
  await until('250 lines', () => linesOf(target).length >= 250)
  t.strictSame(linesOf(target).sort(), numbered(0, 250).sort(), 'each once')
  t.equal((await fetch(`${third.http}/connectors/out`, { method: 'DELETE' })).status, 204)
  third.child.kill('SIGTERM')
  t.equal(await ended(third), 0)
})

t.test('nobody from elsewhere can make one, unless that was asked for', async (t) => {
  const open = (more: readonly string[]) =>
    start(t.testdir(), ['--override', 'http.listeners=http://0.0.0.0:0', ...more])
  const closed = await open(['--override', 'offsets.topic.replication.factor=3'])
  t.equal((await fetch(`${closed.http}/connectors`)).status, 404)
  const { port } = closed
  const cluster = new Cluster(environment, { bootstrap: [{ host: '127.0.0.1', port }] })
  const configs = new Map([['table.enable', 'true']])
  await createTopics(cluster, [{ name: 't', partitions: 1, replicationFactor: 1, configs }])
  cluster.close()
  const doctor = await command([
    ...['doctor', '--connect', closed.http, '--bootstrap-server', `127.0.0.1:${port}`],
  ]).ended
  t.equal(doctor.code, 1)
  t.match(
    doctor.stdout,
    /^fail {2}settings: broker 1: no group can work: offsets.topic.replication.factor=3 with 1 b/m,
  )
  t.match(doctor.stdout, /^warn {2}tables: the table of t has not begun/m)
  closed.child.kill('SIGTERM')
  await ended(closed)
  const asked = await open(['--override', 'connect.enable=true'])
  t.strictSame(await (await fetch(`${asked.http}/connectors`)).json(), [])
  asked.child.kill('SIGTERM')
  t.equal(await ended(asked), 0)
})

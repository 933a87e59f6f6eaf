/** Two workers of one group, as processes of their own: work is shared, requests find their worker, and nothing is lost when one goes. */
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startBroker } from '../cli/running-broker.ts'
import { ask, startWorker, until } from './worker-process.ts'

t.setTimeout(170_000)

interface Told {
  readonly connector: { readonly state: string; readonly worker_id: string }
  readonly tasks: readonly { readonly state: string; readonly worker_id: string }[]
}

t.test('a group of two', async (t) => {
  const directory = t.testdir({ kafka: {} })
  const { address, stop } = await startBroker(join(directory, 'kafka'), {
    'group.initial.rebalance.delay.ms': '0',
  })
  t.teardown(stop)
  const [input, output] = [join(directory, 'in.txt'), join(directory, 'out.txt')]
  const settings = {
    'bootstrap.servers': address,
    'group.id': 'workers',
    'key.converter': 'org.apache.kafka.connect.storage.StringConverter',
    'value.converter': 'org.apache.kafka.connect.storage.StringConverter',
    'config.storage.topic': 'configs',
    'offset.storage.topic': 'offsets',
    'status.storage.topic': 'statuses',
    'config.storage.replication.factor': '1',
    'offset.storage.replication.factor': '1',
    'status.storage.replication.factor': '1',
    'offset.storage.partitions': '1',
    'status.storage.partitions': '1',
    'offset.flush.interval.ms': '200',
    'scheduled.rebalance.max.delay.ms': '1000',
  }
  const first = await startWorker('distributed', directory, settings)
  const second = await startWorker('distributed', directory, settings)
  for (const { child } of [first, second]) t.teardown(() => child.interrupt())
  const told = async (url: string, name: string): Promise<Told | null> => {
    const { status, body } = await ask(`${url}/connectors/${name}/status`)
    return status === 200 ? body : null
  }
  const isRunning = async (url: string, name: string, tasks: number, workers: number) => {
    const status = await told(url, name)
    const all = status?.tasks ?? []
    return (
      status?.connector.state === 'RUNNING' &&
      all.length === tasks &&
      all.every(({ state }) => state === 'RUNNING') &&
      new Set(all.map(({ worker_id: worker }) => worker)).size === workers
    )
  }
  const lines = () =>
    existsSync(output) ? readFileSync(output, 'utf8').split('\n').slice(0, -1) : []
  writeFileSync(input, 'one\ntwo\n')
  const source = { 'connector.class': 'FileStreamSource', topic: 'lines', file: input }
  const sink = {
    'connector.class': 'FileStreamSink',
    topics: 'lines',
    file: output,
    'tasks.max': '2',
  }
  for (const [at, name, config] of [
    [first, 'in', source],
    [second, 'out', sink],
  ] as const) {
    const made = await ask(`${at.url}/connectors`, 'POST', { name, config })
    t.equal(made.status, 201, JSON.stringify(made.body))
  }
  await until('the sink has a task on each', () => isRunning(first.url, 'out', 2, 2))
  await until('the source runs', () => isRunning(second.url, 'in', 1, 1))
  await until('lines are out', () => lines().join() === 'one,two')

  for (const { url } of [first, second]) {
    t.equal((await ask(`${url}/connectors/in/restart`, 'POST')).status, 204)
    t.equal((await ask(`${url}/connectors/out/tasks/0/restart`, 'POST')).status, 204)
    t.equal((await ask(`${url}/connectors/out/tasks/1/restart`, 'POST')).status, 204)
    t.equal((await ask(`${url}/connectors/out/restart?includeTasks=true`, 'POST')).status, 202)
  }
  await until('all run again', () => isRunning(first.url, 'out', 2, 2))
  // Whoever is no worker configures no tasks.
  const forged = await ask(`${first.url}/connectors/out/tasks`, 'POST', [{ file: '/tmp/evil' }])
  t.equal(forged.status, 400)
  t.match(forged.body.message, /missing required signature/)

  const healthy = await ask(`${first.url}/health`)
  t.match(healthy, { status: 200, body: { status: 'healthy', message: /ready to handle/ } })
  const loggers = (url: string) => ask(`${url}/admin/loggers/root`)
  const quiet = { level: 'WARN' }
  const asked = await ask(`${first.url}/admin/loggers/root?scope=cluster`, 'PUT', quiet)
  t.equal(asked.status, 204)
  await until(
    'the other logs less, too',
    async () => (await loggers(second.url)).body.level === 'WARN',
  )

  const narrow = { ...sink, 'tasks.max': '1' }
  t.equal((await ask(`${second.url}/connectors/out/config`, 'PUT', narrow)).status, 200)
  await until('one task is left', () => isRunning(first.url, 'out', 1, 1))
  t.equal((await ask(`${first.url}/connectors/in/stop`, 'PUT')).status, 204)
  await until('the source has stopped', async () => {
    const status = await told(second.url, 'in')
    return status?.connector.state === 'STOPPED' && status.tasks.length === 0
  })
  const kept = await ask(`${second.url}/connectors/in/offsets`)
  t.strictSame(kept.body.offsets, [{ partition: { filename: input }, offset: { position: 8 } }])
  const back = { offsets: [{ partition: { filename: input }, offset: { position: 4 } }] }
  t.equal((await ask(`${second.url}/connectors/in/offsets`, 'PATCH', back)).status, 200)
  // A sink may write again what it had not committed when it was restarted, as it may in Kafka.
  const before = lines()
  t.equal((await ask(`${first.url}/connectors/in/resume`, 'PUT')).status, 202)
  await until(
    'the second line came again',
    () => lines().join() === [...before, 'two'].join(),
  ).catch(async (error: Error) => {
    const states = [await told(first.url, 'in'), await told(second.url, 'out')]
    throw new Error(`${error.message}: ${before} | ${lines()} | ${JSON.stringify(states)}`)
  })

  first.child.interrupt()
  t.equal((await first.child.ended).code, 0)
  appendFileSync(input, 'three\n')
  await until('the other has it all', async () => {
    const isAll = await isRunning(second.url, 'out', 1, 1)
    return isAll && (await isRunning(second.url, 'in', 1, 1))
  })
  await until('the third line is out', () => lines().at(-1) === 'three')
  t.equal((await ask(`${second.url}/connectors/out`, 'DELETE')).status, 204)
  await until('nothing is told of it', async () => (await told(second.url, 'out')) === null)
  second.child.interrupt()
  const { code, stdout } = await second.child.ended
  t.equal(code, 0)
  t.notMatch(stdout, /nobody looks at/)
})

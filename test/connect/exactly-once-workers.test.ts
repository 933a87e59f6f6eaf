/** Workers of a group that are killed while their sources write in transactions (KIP-618): each line of a file once. */
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { Cluster } from '../../src/client/cluster.ts'
import { Consumer } from '../../src/client/consumer.ts'
import type { IsolationLevel } from '../../src/client/offsets.ts'
import { Transaction } from '../../src/client/transaction.ts'
import { signatureAlgorithm, signed } from '../../src/connect/runtime/distributed/signatures.ts'
import { createNodeEnvironment } from '../../src/environment/node/environment.ts'
import { startBroker } from '../cli/running-broker.ts'
import { ask, type RunningWorker, startWorker, until } from './worker-process.ts'

t.setTimeout(170_000)

t.test('workers are killed, tasks move and become fewer', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-killed-'))
  const { address, stop } = await startBroker(join(directory, 'kafka'), {
    'group.initial.rebalance.delay.ms': '0',
  })
  const cluster = new Cluster(createNodeEnvironment({ log: { level: 'silent' } }), {
    bootstrap: [{ host: '127.0.0.1', port: Number(address.split(':')[1]) }],
  })
  const workers: RunningWorker[] = []
  t.teardown(async () => {
    for (const { child } of workers) child.kill()
    cluster.close()
    await stop()
    rmSync(directory, { recursive: true, force: true })
  })
  const converter = 'org.apache.kafka.connect.storage.StringConverter'
  const begin = async () => {
    const worker = await startWorker('distributed', directory, {
      ...{ 'bootstrap.servers': address, 'group.id': 'once' },
      ...{ 'key.converter': converter, 'value.converter': converter },
      ...{ 'config.storage.topic': 'configs', 'config.storage.replication.factor': '1' },
      ...{ 'offset.storage.topic': 'offsets', 'offset.storage.replication.factor': '1' },
      ...{ 'status.storage.topic': 'statuses', 'status.storage.replication.factor': '1' },
      ...{ 'offset.storage.partitions': '1', 'status.storage.partitions': '1' },
      ...{ 'exactly.once.source.support': 'enabled', 'scheduled.rebalance.max.delay.ms': '500' },
      ...{ 'session.timeout.ms': '6000', 'heartbeat.interval.ms': '500' },
    })
    workers.push(worker)
    return worker
  }
  /** All that is in a topic of one partition, once there is as much. */
  const read = async (topic: string, count: number, isolation: IsolationLevel) => {
    const consumer = new Consumer(cluster, { isolation })
    await cluster.topic(topic)
    consumer.assign([{ topic, partition: 0, offset: 'earliest' }])
    const rows: [string, string][] = []
    for (let idle = 0; idle < (rows.length < count ? 300 : 5); idle++)
      for (const { records } of await consumer.poll({ timeoutMs: 100 })) {
        idle = 0
        rows.push(...records.map(({ key, value }): [string, string] => [`${key}`, `${value}`]))
      }
    await consumer.close()
    return rows
  }
  const told = async (name: string) =>
    (await ask(`${workers.at(-1)!.url}/connectors/${name}/status`)).body
  const input = join(directory, 'in.txt')
  const lines: string[] = []
  const append = (count: number) => {
    const more = Array.from({ length: count }, (_, at) => `line ${lines.length + at}`)
    lines.push(...more)
    appendFileSync(input, more.map((line) => `${line}\n`).join(''))
  }
  append(1000)
  await begin()
  await begin()
  const source = {
    ...{ 'connector.class': 'FileStreamSource', topic: 'lines', file: input },
    ...{ 'batch.size': 100, 'exactly.once.support': 'required' },
  }
  const made = await ask(`${workers[1]!.url}/connectors/in/config`, 'PUT', source)
  t.equal(made.status, 201, JSON.stringify(made.body))
  const datagen = (tasks: number) =>
    ask(`${workers.at(-1)!.url}/connectors/many/config`, 'PUT', {
      ...{ 'connector.class': 'DatagenSource', 'kafka.topic': 'many', rate: 200 },
      ...{ 'tasks.max': tasks, 'transaction.boundary': 'interval' },
      'transaction.boundary.interval.ms': 300,
    })
  t.equal((await datagen(3)).status, 201)
  /** On workers that live: who was killed is told to run for a while. */
  const runs = async (name: string, tasks: number) => {
    const { tasks: all = [] } = await told(name)
    const live = workers.map(({ url }) => url.slice('http://'.length))
    const isRunning = ({ state, worker_id: worker }: { state: string; worker_id: string }) =>
      state === 'RUNNING' && live.includes(worker)
    return all.length === tasks && all.every(isRunning)
  }
  for (let round = 0; round < 2; round++) {
    await until('both run', async () => (await runs('in', 1)) && (await runs('many', 3)))
    append(3000)
    const { tasks } = await told('in')
    const victim = workers.find(({ url }) => url === `http://${tasks[0].worker_id}`)!
    victim.child.kill()
    workers.splice(workers.indexOf(victim), 1)
    append(500)
    await begin()
  }
  await until('it goes on', async () => (await runs('in', 1)) && (await runs('many', 3)))
  t.equal((await datagen(1)).status, 200)
  const rows = await read('lines', lines.length, 'read_committed')
  t.strictSame(
    rows.map(([, value]) => value),
    lines,
  )
  await until('one task is left', () => runs('many', 1))
  const configs = await read('configs', 1, 'read_uncommitted')
  const counts = configs.filter(([key]) => key === 'tasks-fencing-many').map(([, value]) => value)
  t.strictSame([counts[0], counts.at(-1)], ['{"task-count":3}', '{"task-count":1}'])
  const forged = await ask(`${workers[0]!.url}/connectors/in/fence`, 'PUT')
  t.equal(forged.status, 400)
  t.match(forged.body.message, /missing required signature/)
  const [, kept] = configs.findLast(([key]) => key === 'session-key')!
  const key = Buffer.from(JSON.parse(kept).key, 'base64')
  const fenced = await fetch(`${workers[0]!.url}/connectors/in/fence`, {
    method: 'PUT',
    headers: signed('', { key, algorithm: signatureAlgorithm, createdMs: 0 }),
  })
  t.equal(fenced.status, 204, 'without a body, which workers of Apache Kafka could not read')
  // As a leader does that follows: the one before it writes no settings any more, until it leads again.
  const follower = new Transaction(cluster, { transactionalId: 'connect-cluster-once' })
  await follower.open()
  const refused = await datagen(1)
  t.equal(refused.status, 409)
  t.match(refused.body.message, /could not write to the config topic/)
  t.equal((await datagen(1)).status, 200)
})

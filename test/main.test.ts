/** The process itself: it starts, keeps its promises over `kill -9` and SIGTERM, and refuses what is wrong. */
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import t from 'tap'
import { createTopics } from '../src/client/admin/topics.ts'
import { Cluster } from '../src/client/cluster.ts'
import { Consumer } from '../src/client/consumer.ts'
import { Producer } from '../src/client/producer.ts'
import { createNodeEnvironment } from '../src/environment/node/environment.ts'
import { argumentsFor, ended, killAll, run, start } from './broker-process.ts'

// Alone, too, it has the time that `npm test` gives it: it starts processes one after the other.
t.setTimeout(180_000)

const environment = createNodeEnvironment({ log: { level: 'silent' } })
t.teardown(killAll)

const clusterAt = (port: number) =>
  new Cluster(environment, { bootstrap: [{ host: '127.0.0.1', port }] })

async function produce(port: number, values: readonly string[]): Promise<void> {
  const cluster = clusterAt(port)
  const producer = new Producer(cluster)
  await Promise.all(
    values.map((value) =>
      producer.send({
        topic: 'kept',
        key: Buffer.from(value),
        value: Buffer.from(value),
        headers: [],
      }),
    ),
  )
  await producer.close()
  cluster.close()
}

/** Reads `count` records in a group, commits and leaves. */
async function consume(port: number, groupId: string, count: number): Promise<string[]> {
  const cluster = clusterAt(port)
  const consumer = new Consumer(cluster, { groupId, autoOffsetReset: 'earliest' })
  consumer.subscribe(['kept'])
  const values: string[] = []
  while (values.length < count) {
    for (const { records } of await consumer.poll({ timeoutMs: 1000 })) {
      for (const { value } of records) values.push(String(value))
    }
  }
  await consumer.commit()
  await consumer.close()
  cluster.close()
  return values.sort()
}

t.test('what was acknowledged is there after kill -9 and after a stop', async (t) => {
  const directory = t.testdir()
  const batch = (name: string) => Array.from({ length: 500 }, (_, at) => `${name}-${1000 + at}`)
  const first = await start(directory)
  const cluster = clusterAt(first.port)
  await createTopics(cluster, [
    { name: 'kept', partitions: 3, replicationFactor: 1, configs: new Map() },
  ])
  cluster.close()
  await produce(first.port, batch('a'))
  t.strictSame(await consume(first.port, 'readers', 500), batch('a'))
  first.child.kill('SIGKILL')
  await ended(first)

  const second = await start(directory)
  await produce(second.port, batch('b'))
  t.strictSame(
    await consume(second.port, 'readers', 500),
    batch('b'),
    'the group goes on where it was',
  )
  second.child.kill('SIGTERM')
  t.equal(await ended(second), 0)
  t.ok(existsSync(`${directory}/.kafka_cleanshutdown`), 'the stop was clean')

  const third = await start(directory)
  t.strictSame(await consume(third.port, 'others', 1000), [...batch('a'), ...batch('b')])
  third.child.kill('SIGTERM')
  t.equal(await ended(third), 0)
})

t.test('a start after kill -9 opens every log, and can be ended in the middle', async (t) => {
  const directory = t.testdir()
  const first = await start(directory)
  const cluster = clusterAt(first.port)
  await createTopics(cluster, [
    { name: 'kept', partitions: 150, replicationFactor: 1, configs: new Map() },
  ])
  cluster.close()
  const values = Array.from({ length: 3000 }, (_, at) => `v-${10_000 + at}`)
  await produce(first.port, values)
  first.child.kill('SIGKILL')
  await ended(first)

  const second = run(argumentsFor(directory))
  while (!second.log().includes('leading the metadata quorum')) await once(second.child, 'text')
  second.child.kill('SIGTERM')
  t.equal(await ended(second), 0, second.log())

  const third = await start(directory)
  t.strictSame(await consume(third.port, 'readers', 3000), values)
  third.child.kill('SIGTERM')
  t.equal(await ended(third), 0)
  t.ok(existsSync(`${directory}/.kafka_cleanshutdown`))
})

t.test('log directories that cannot be used stop the start with a reason', async (t) => {
  const directory = t.testdir({ file: 'no directory', damaged: { 'meta.properties': 'x' } })
  const refused = async (logDirs: string, message: RegExp) => {
    const process = run(argumentsFor(logDirs))
    t.equal(await ended(process), 1)
    t.match(process.log(), message)
  }
  const ofAnother = `${directory}/another`
  mkdirSync(ofAnother)
  writeFileSync(`${ofAnother}/meta.properties`, 'version=1\ncluster.id=c\nnode.id=5\n')
  writeFileSync(`${ofAnother}/.kafka_cleanshutdown`, '{"version":0,"brokerEpoch":7}')
  await Promise.all([
    refused(`${directory}/file`, /log directory \S+\/file cannot be used: ENOTDIR/),
    refused(`${directory}/damaged`, /meta\.properties .*restore it from a copy/),
    refused(ofAnother, /another belongs to node 5; node\.id is 1 here/),
    process.platform === 'linux' && refused('/proc/nope', /\/proc\/nope cannot be used: ENOENT/),
  ])
  t.strictSame(readdirSync(ofAnother), ['.kafka_cleanshutdown', 'meta.properties'], 'untouched')
})

t.test('a second broker on the same directory is refused', async (t) => {
  const directory = t.testdir()
  const first = await start(directory)
  await t.rejects(start(directory), { message: /is in use by process \d+.*set log\.dirs/ })
  first.child.kill('SIGTERM')
  t.equal(await ended(first), 0)
})

t.test('health is told over HTTP', async (t) => {
  const broker = await start(t.testdir())
  const ready = await fetch(`${broker.http}/health/ready`)
  t.equal(ready.status, 200)
  t.strictSame(await ready.json(), { status: 'ready' })
  t.equal((await fetch(`${broker.http}/health/live`)).status, 200)
  const metrics = await fetch(`${broker.http}/metrics`)
  t.match(await metrics.text(), /^kafka_server_kafkaserver_brokerstate 3$/m)
  t.equal((await fetch(`${broker.http}/nothing`)).status, 404)
  t.equal((await fetch(`${broker.http}/health/live`, { method: 'POST' })).status, 405)
  broker.child.kill('SIGTERM')
  t.equal(await ended(broker), 0)
})

t.test('wrong settings stop the start by name', async (t) => {
  const directory = t.testdir()
  const refused = async (args: readonly string[], message: RegExp, env = {}, code = 1) => {
    const process = run(['--override', `log.dirs=${directory}/never`, ...args], env)
    t.equal(await ended(process), code)
    t.match(process.log(), message)
  }
  await Promise.all([
    refused(['--override', 'log.retension.ms=1'], /Did you mean log\.retention\.ms\?/),
    refused(['--override', 'num.partitions=none'], /num\.partitions: Not a number of type INT/),
    refused(
      ['--override', 'log.roll.ms=0'],
      /Invalid value 0 for configuration log\.roll\.ms: Value must be at least 1/,
    ),
    refused(['--override', 'max.connections.per.ip=0'], /can be set to zero only if/),
    refused(['--override', 'log.retention.hours=0'], /log\.retention\.ms must be unlimited \(-1\)/),
    refused([], /Unknown setting lisseners \(from the variable KAFKA_LISSENERS\)/, {
      KAFKA_LISSENERS: 'x',
    }),
    refused(['missing.properties'], /cannot read missing\.properties: there is no such file/),
    refused(['--override', 'listeners=SSL://:1'], /SSL, which this version does not offer/),
    refused(
      ['--override', 'authorizer.class.name=A'],
      /has org\.apache\.kafka\.metadata\.authorizer\.StandardAuthorizer only/,
    ),
    refused(['--override', 'process.roles=broker'], /process\.roles/),
    refused(['--override', 'controller.quorum.voters=1@a:1,2@b:1'], /several nodes/),
    refused(['--frobnicate'], /Unknown option --frobnicate/, {}, 2),
    refused(['a.properties', 'b.properties'], /a second properties file/, {}, 2),
  ])
  t.notOk(existsSync(`${directory}/never`), 'nothing was made')
})

t.test('a properties file is taken, and a busy port is told', async (t) => {
  const directory = t.testdir()
  const blocker = createServer()
  blocker.listen(0, '127.0.0.1')
  await once(blocker, 'listening')
  const { port } = blocker.address() as { port: number }
  const file = `${directory}/server.properties`
  writeFileSync(
    file,
    [
      'process.roles=broker,controller',
      'node.id=7',
      'controller.quorum.bootstrap.servers=localhost:9093',
      `listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://:9093`,
      'controller.listener.names=CONTROLLER',
      'listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT',
      `log.dirs=${directory}/data`,
      'num.io.threads=8',
      'http.listeners=',
    ].join('\n'),
  )
  const refused = run([file])
  t.equal(await ended(refused), 1)
  t.match(
    refused.log(),
    /listeners: cannot listen on PLAINTEXT:.*EADDRINUSE.*--override listeners=/,
  )
  blocker.close()
  await once(blocker, 'close')
  const broker = run([file])
  while (!broker.log().includes('is ready on')) await once(broker.child, 'text')
  t.match(broker.log(), /no effect here.*num\.io\.threads|num\.io\.threads.*no effect here/)
  t.match(broker.log(), /"nodeId":7/)
  broker.child.kill('SIGTERM')
  t.equal(await ended(broker), 0)
})

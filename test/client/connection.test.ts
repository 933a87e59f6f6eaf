/** The wire as a client meets it: versions, order, time limits, peers that are gone or speak something else. */
import t, { type Test } from 'tap'
import { apis } from '../../protocol/apis.ts'
import { Cluster } from '../../src/client/cluster.ts'
import { addressOf, Connection } from '../../src/client/connection.ts'
import {
  ConnectionError,
  UnreachableError,
  UnsupportedVersionError,
} from '../../src/client/failures.ts'
import { SimulatedWorld } from '../simulator/simulated-world.ts'
import { ScriptedBroker } from './scripted-broker.ts'

const options = { clientId: 'test', connectTimeoutMs: 1000, requestTimeoutMs: 2000 }
const endpoint = { host: 'broker', port: 9092 }

async function withBroker(
  t: Test,
  run: (parts: {
    t: Test
    world: SimulatedWorld
    broker: ScriptedBroker
    open: () => Promise<Connection>
  }) => Promise<void>,
): Promise<void> {
  const world = new SimulatedWorld(1)
  const { environment } = world.start('broker')
  const client = world.start('client').environment
  await world.run(
    (async () => {
      const broker = await ScriptedBroker.start(environment, 'broker')
      await run({ t, world, broker, open: () => Connection.open(client, endpoint, options) })
    })(),
  )
}

t.test('the highest version that both speak', (t) =>
  withBroker(t, async ({ t, broker, open }) => {
    broker.versionMax.set('Metadata', 9)
    broker.versionMax.set('Produce', -1)
    const connection = await open()
    t.equal(connection.versionOf(apis.metadata), 9)
    t.equal(connection.versionOf(apis.metadata, { versionMax: 5 }), 5)
    t.equal(connection.versionOf(apis.metadata, { versionMin: 10 }), undefined)
    t.equal(connection.versionOf(apis.produce), undefined, 'an API that it lacks')
    await t.rejects(connection.call(apis.metadata, { topics: [] }, { versionMin: 12 }), {
      name: 'UnsupportedVersionError',
      message: 'Metadata v12 or later is needed, but the broker at broker:9092 has v0 to v9',
    })
    await t.rejects(
      connection.call(apis.produce, { acks: 1, timeoutMs: 1, topicData: [] }),
      UnsupportedVersionError,
    )
  }),
)

t.test('an old broker answers the question for versions in version 0', (t) =>
  withBroker(t, async ({ t, broker, open }) => {
    broker.versionMax.set('ApiVersions', 2)
    const connection = await open()
    t.same(
      broker.received.map(({ version }) => version),
      [4, 2],
      'asked again with what it has',
    )
    t.equal(connection.rangeOf(apis.apiVersions.key)?.max, 2)
  }),
)

t.test('answers belong to requests in order, however many are under way', (t) =>
  withBroker(t, async ({ t, world, broker, open }) => {
    const connection = await open()
    broker.answers.listGroups = async ({ statesFilter }) => {
      await new Promise<void>((resolve) =>
        world.start(`pause${broker.received.length}`).environment.timers.after(50, resolve),
      )
      return { errorCode: 0, groups: [{ groupId: statesFilter[0]!, protocolType: '' }] }
    }
    const names = Array.from({ length: 20 }, (_, index) => `g${index}`)
    const answers = await Promise.all(
      names.map((name) => connection.call(apis.listGroups, { statesFilter: [name] })),
    )
    t.same(
      answers.map(({ groups }) => groups[0]?.groupId),
      names,
    )
    t.equal(connection.inFlight, 0)
  }),
)

t.test('what is not answered in time ends the connection, and all that waits on it', (t) =>
  withBroker(t, async ({ t, broker, open }) => {
    broker.answers.listGroups = () => 'silence'
    const connection = await open()
    const first = connection.call(apis.listGroups, {}, { timeoutMs: 100 })
    const second = connection.call(apis.listGroups, {})
    await t.rejects(first, { message: 'broker:9092 did not answer ListGroups within 100 ms' })
    await t.rejects(second, ConnectionError)
    t.notOk(connection.isOpen)
    await t.rejects(connection.call(apis.listGroups, {}), ConnectionError, 'and stays so')
  }),
)

t.test('a broker that goes away', (t) =>
  withBroker(t, async ({ t, broker, open }) => {
    const connection = await open()
    broker.answers.listGroups = () => 'close'
    await t.rejects(connection.call(apis.listGroups, {}), /connection to broker:9092 lost/)
    const other = await open()
    const waiting = connection.isOpen ? null : other.call(apis.metadata, { topics: [] })
    other.close()
    await t.rejects(waiting!, /the connection was closed/)
  }),
)

t.test('peers that are no broker', async (t) => {
  const world = new SimulatedWorld(2)
  const { environment } = world.start('web')
  const client = world.start('client').environment
  await world.run(
    (async () => {
      await environment.network.listen({ host: 'web', port: 80 }, (stream) => {
        stream.onClose = () => undefined
        stream.onDrain = () => undefined
        stream.onData = () => stream.write([Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')])
      })
      await t.rejects(Connection.open(client, { host: 'web', port: 80 }, options), {
        message: "web:80 does not speak Kafka's protocol",
      })
      await t.rejects(
        Connection.open(client, { host: 'web', port: 81 }, options),
        /cannot connect to web:81: connection refused/,
      )
    })(),
  )
  t.equal(addressOf({ host: '::1', port: 1 }), '[::1]:1')
})

t.test('bootstrap: the first server that answers, or an error that names them all', async (t) => {
  const world = new SimulatedWorld(3)
  const { environment } = world.start('broker')
  const client = world.start('client').environment
  await world.run(
    (async () => {
      const broker = await ScriptedBroker.start(environment, 'broker')
      broker.topics.set('orders', [1, 1])
      const cluster = new Cluster(client, { bootstrap: [{ host: 'broker', port: 1 }, endpoint] })
      t.same((await cluster.topic('orders')).partitions.length, 2)
      t.equal(cluster.metadata.nameOf('ordersAAAAAAAAAAAAAAAA'), 'orders')
      await t.rejects(cluster.topic('none'), /topic none: This broker does not host/)
      await t.rejects(cluster.leader('orders', 2), /orders has 2 partitions and no partition 2/)
      cluster.close()
      await t.rejects(cluster.topic('other'), /closed/)
      const lost = new Cluster(client, {
        bootstrap: [
          { host: 'broker', port: 1 },
          { host: 'broker', port: 2 },
        ],
        bootstrapTimeoutMs: 300,
      })
      const before = client.clock.monotonic()
      await t.rejects(lost.nodes(), UnreachableError)
      await t.rejects(lost.nodes(), /cannot connect to any of broker:1, broker:2: .*refused/)
      t.ok(client.clock.monotonic() - before >= 600, 'it tried on for as long as it was told')
    })(),
  )
})

t.test('requests go where they belong: the controller and coordinators move', async (t) => {
  const world = new SimulatedWorld(4)
  const client = world.start('client').environment
  await world.run(
    (async () => {
      const one = await ScriptedBroker.start(world.start('one').environment, 'one')
      const two = await ScriptedBroker.start(world.start('two').environment, 'two')
      const nodes = [
        { nodeId: 1, host: 'one', port: 9092 },
        { nodeId: 2, host: 'two', port: 9092 },
      ]
      one.nodes = nodes
      two.nodes = nodes
      let coordinator = 1
      one.answers.findCoordinator = two.answers.findCoordinator = () => ({
        coordinators: [{ key: 'g', ...nodes[coordinator - 1]!, errorCode: 0, errorMessage: null }],
      })
      one.answers.heartbeat = () => {
        coordinator = 2
        return { errorCode: 16 }
      }
      two.answers.heartbeat = () => ({ errorCode: 0 })
      const cluster = new Cluster(client, { bootstrap: [{ host: 'one', port: 9092 }] })
      await cluster.retrying('beat', async () => {
        const answer = await cluster.callCoordinator({ type: 'group', id: 'g' }, apis.heartbeat, {
          groupId: 'g',
          generationId: 1,
          memberId: 'm',
        })
        cluster.checkCoordinator('group', 'g', answer.errorCode)
      })
      t.equal(one.requests('heartbeat').length, 1)
      t.equal(two.requests('heartbeat').length, 1)
      cluster.close()
    })(),
  )
})

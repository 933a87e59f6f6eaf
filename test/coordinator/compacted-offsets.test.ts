/** A broker whose `__consumer_offsets` is compacted while groups commit: nothing they know is lost. */
import t from 'tap'
import { Broker } from '../../src/broker.ts'
import { createTopics } from '../../src/client/admin/topics.ts'
import { Cluster } from '../../src/client/cluster.ts'
import { commitOffsets, fetchCommitted } from '../../src/client/offsets.ts'
import { BrokerConfig } from '../../src/config/broker-config.ts'
import { SimulatedWorld } from '../simulator/simulated-world.ts'

const settings = new Map([
  ['listeners', 'PLAINTEXT://:9092'],
  ['log.dirs', '/data'],
  ['offsets.topic.num.partitions', '1'],
  ['offsets.topic.segment.bytes', '1048576'],
  ['log.cleaner.backoff.ms', '500'],
  ['log.cleaner.min.cleanable.ratio', '0.1'],
])
const partitions = 200
const rounds = 120

t.test('offsets outlast compaction, and a kill after it', async (t) => {
  const compactions: string[] = []
  const world = new SimulatedWorld(3, {
    onLog: (line) => {
      if (/compacted a log.*__consumer_offsets/.test(line)) compactions.push(line)
      if (/ (error|warn) /.test(line)) t.fail(line)
    },
  })
  let process = world.start('broker')
  process.disk.makeDirectory('/data')
  const { environment } = world.start('client')
  const start = () =>
    Broker.start({
      environment: process.environment,
      config: new BrokerConfig(settings),
      isDevelopment: true,
      onFatal: (error) => t.fail(error.message),
    })
  const play = async () => {
    let broker = await start()
    const bootstrap = [{ host: 'broker', port: 9092 }]
    const cluster = new Cluster(environment, { bootstrap, bootstrapTimeoutMs: 0 })
    await createTopics(cluster, [
      { name: 'orders', partitions, replicationFactor: 1, configs: new Map() },
    ])
    const nobody = { groupId: 'group', memberId: '', generationId: -1, groupInstanceId: null }
    const committed = (round: number) =>
      Array.from({ length: partitions }, (_, partition) => ({
        topic: 'orders',
        partition,
        offset: round * 1000 + partition,
      }))
    for (let round = 1; round <= rounds; round++) {
      await commitOffsets(cluster, nobody, committed(round))
    }
    await new Promise<void>((resolve) => void environment.timers.after(3000, resolve))
    t.ok(compactions.length > 0, `${compactions.length} compactions`)
    for (const isKilled of [false, true]) {
      if (isKilled) world.kill(process)
      else await broker.stop()
      if (!isKilled) world.kill(process)
      process = world.start('broker')
      broker = await start()
      const found = await fetchCommitted(cluster, 'group', null)
      const offsets = found.map(({ topic, partition, offset }) => ({ topic, partition, offset }))
      offsets.sort((a, b) => a.partition - b.partition)
      t.strictSame(offsets, committed(rounds))
    }
    cluster.close()
    await broker.stop()
  }
  await world.run(play())
})

/** Offsets of a Delta sink moved over REST: whatever is refused or cut short, no row comes twice or is left out. */
import t from 'tap'
import { Consumer } from '../../src/client/consumer.ts'
import { deltaSink } from '../../src/connect/delta/delta-sink.ts'
import { DiskError } from '../../src/environment/disk.ts'
import { LocalStorage } from '../../src/environment/node/local-storage.ts'
import { NodeRandom } from '../../src/environment/node/random.ts'
import { readSnapshot } from '../../src/tables/delta/snapshot.ts'
import { newPlace, rowsOf } from './delta-trial.ts'
import { WorkerTrial } from './worker-trial.ts'

t.setTimeout(120_000)

t.test('a refusal leaves the table where it is', async (t) => {
  let isBroken = false
  class FailingStorage extends LocalStorage {
    override async putIfAbsent(name: string, bytes: Uint8Array): Promise<boolean> {
      if (isBroken) throw new DiskError('EIO', name)
      return super.putIfAbsent(name, bytes)
    }
  }
  const plugin = deltaSink({
    clock: { now: () => Date.now(), monotonic: () => 0 },
    random: new NodeRandom(),
    storageAt: (location) => new FailingStorage(location),
  })
  const trial = await WorkerTrial.start([plugin])
  t.teardown(() => trial.stop())
  const location = newPlace()
  const txn = async () => {
    const { transactions, version } = await readSnapshot(new LocalStorage(location))
    return [version, transactions.get('e3/rows/0')?.version]
  }
  const at = '/connectors/e3/offsets'
  const patch = (partition: number, offset: number | null, topic = 'rows') =>
    trial.ask('PATCH', at, {
      offsets: [
        {
          partition: { kafka_topic: topic, kafka_partition: partition },
          offset: offset === null ? null : { kafka_offset: offset },
        },
      ],
    })
  const ids = async () => (await rowsOf(location)).map(({ id }) => Number(id)).sort()
  const untilIds = async (wanted: readonly number[]) => {
    const found = async () => (await ids().catch(() => [])).join()
    await trial.until(`rows ${wanted}`, async () => (await found()) === wanted.join())
  }
  await trial.topic('rows')
  await trial.produce('rows', ['{"id":0}', '{"id":1}', '{"id":2}'])
  await trial.ask('POST', '/connectors', {
    name: 'e3',
    config: {
      'connector.class': plugin.className,
      topics: 'rows',
      'table.path': location,
      'value.converter': 'JsonConverter',
      'value.converter.schemas.enable': false,
    },
  })
  await untilIds([0, 1, 2])
  await trial.until('committed', async () => {
    const { body } = await trial.ask('GET', at)
    return body.offsets[0]?.offset.kafka_offset === 3
  })
  await trial.ask('PUT', '/connectors/e3/stop')
  const before = await txn()
  t.equal(before[1], 3n)

  // A task that did not stop, as the coordinator sees it.
  const left = new Consumer(trial.cluster, { groupId: 'connect-e3' })
  left.subscribe(['rows'])
  while (left.assignment.length === 0) await left.poll({ timeoutMs: 100 })
  const busy = { status: 500, body: { message: /have not stopped completely yet/ } }
  t.match(await trial.ask('DELETE', at), busy)
  t.match(await patch(0, 0), busy)
  t.match(await patch(0, null), busy)
  t.strictSame(await txn(), before, 'while the group has a member')
  await left.close()

  const started = Date.now()
  const none = { status: 400, body: { message: /There is no partition/ } }
  t.match(await patch(7, 1), none)
  t.match(await patch(-1, null), none)
  t.match(await patch(0, 1, 'elsewhere'), none)
  t.match(await patch(0, -1), { status: 400, body: { message: /cannot be negative/ } })
  t.ok(Date.now() - started < 5_000, 'at once')
  t.strictSame(await txn(), before, 'what there is not')

  isBroken = true
  t.match(await trial.ask('DELETE', at), { status: 500, body: { message: /Try again/ } })
  isBroken = false
  t.strictSame((await trial.ask('GET', at)).body, { offsets: [] })
  t.strictSame(await txn(), before, 'cut short between the group and the table')
  await trial.ask('PUT', '/connectors/e3/resume')
  await trial.produce('rows', ['{"id":3}'])
  await untilIds([0, 1, 2, 3])

  await trial.ask('PUT', '/connectors/e3/stop')
  isBroken = true
  await trial.ask('DELETE', at)
  isBroken = false
  const again = await trial.ask('DELETE', at)
  t.match(again, { status: 200, body: { message: /reset successfully/ } })
  t.equal((await txn())[1], 0n, 'asking again completes it')
  t.equal((await patch(0, 3)).status, 200)
  t.equal((await txn())[1], 3n)
  await trial.ask('PUT', '/connectors/e3/resume')
  await untilIds([0, 1, 2, 3, 3])

  await trial.ask('PATCH', '/connectors/e3/config', {
    transforms: 'route',
    'transforms.route.type': 'RegexRouter',
    'transforms.route.regex': 'x',
    'transforms.route.replacement': 'y',
  })
  await trial.ask('PUT', '/connectors/e3/stop')
  const kept = (await trial.ask('GET', at)).body
  const routed = await txn()
  t.match(await trial.ask('DELETE', at), { status: 400, body: { message: /several tables/ } })
  t.strictSame((await trial.ask('GET', at)).body, kept, 'the group is as it was, too')
  t.strictSame(await txn(), routed)
})

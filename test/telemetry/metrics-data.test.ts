/** What clients push, read back: whole, damaged at every byte, and made to be costly. */
import t from 'tap'
import type { Clock } from '../../src/environment/environment.ts'
import { decodeMetricsData, MalformedMetrics } from '../../src/telemetry/metrics-data.ts'
import { ReceivedMetrics, type Sample } from '../../src/telemetry/received-metrics.ts'
import { field, type Metric, metricsData, number, varint } from './protobuf.ts'

const metrics: readonly Metric[] = [
  {
    name: 'org.apache.kafka.producer.record.queue.time.avg',
    points: [{ value: 1.25, attributes: { 'node.id': -3, ratio: 0.5, ok: true, topic: 'ä' } }],
  },
  {
    name: 'org.apache.kafka.producer.record.send.total',
    points: [
      { value: -(2 ** 40), isInteger: true },
      { value: 7, isInteger: true },
    ],
    sum: { isDelta: true, isMonotonic: true },
  },
]

t.test('values, names and attributes are what was pushed', async (t) => {
  const { resource, measurements, isCut } = decodeMetricsData(metricsData(metrics, { group: 'g' }))
  t.equal(isCut, false)
  t.strictSame(resource, [['group', 'g']])
  const [gauge, ...sums] = measurements
  t.strictSame(gauge, {
    name: 'org.apache.kafka.producer.record.queue.time.avg',
    attributes: [
      ['node.id', '-3'],
      ['ratio', '0.5'],
      ['ok', 'true'],
      ['topic', 'ä'],
    ],
    value: 1.25,
    isCounter: false,
    isDelta: false,
  })
  t.match(sums, [
    { value: -(2 ** 40), isCounter: true, isDelta: true },
    { value: 7, isCounter: true, isDelta: true },
  ])
  const others = Buffer.concat([number(9, -1), field(3, 'later versions'), metricsData(metrics)])
  t.equal(decodeMetricsData(others).measurements.length, 3, 'unknown fields are passed over')
  t.strictSame(decodeMetricsData(Buffer.alloc(0)).measurements, [])
})

t.test('damage is refused or read, whatever it is', async (t) => {
  const whole = metricsData(metrics, { group: 'g' })
  let refused = 0
  const read = (bytes: Buffer) => {
    try {
      decodeMetricsData(bytes)
    } catch (error) {
      if (!(error instanceof MalformedMetrics)) throw error
      refused++
    }
  }
  for (let at = 0; at < whole.length; at++) {
    read(whole.subarray(0, at))
    for (const bits of [0x01, 0x80, 0xff]) {
      const damaged = Buffer.from(whole)
      damaged[at] = (damaged[at] as number) ^ bits
      read(damaged)
    }
  }
  t.ok(refused > whole.length, `${refused} refused`)
  t.throws(() => decodeMetricsData(Buffer.alloc(30, 0xff)), MalformedMetrics)
  t.throws(() => decodeMetricsData(Buffer.concat([varint(10), varint(2 ** 50)])), MalformedMetrics)
})

t.test('the cost of a push has a limit', async (t) => {
  const empty = Buffer.alloc(1024 * 1024, Buffer.from([0x0a, 0x00]))
  t.equal(decodeMetricsData(empty).isCut, true, 'half a million fields')
  const points = Array.from({ length: 3_000 }, (_, value) => ({ value }))
  const many = decodeMetricsData(metricsData([{ name: 'many', points }]))
  t.equal(many.measurements.length, 1_000)
  t.equal(many.isCut, true)
  const attributes = Object.fromEntries(points.slice(0, 100).map(({ value }) => [`a${value}`, 'x']))
  const long = [{ value: 1, attributes: { ...attributes, b: 'x' } }]
  const [one] = decodeMetricsData(
    metricsData([{ name: 'n'.repeat(9_000), points: long }]),
  ).measurements
  t.equal(one?.attributes.length, 16)
  t.equal(one?.name.length, 256)
})

class StoppedClock implements Clock {
  nowMs = 0
  now = () => this.nowMs
  monotonic = () => this.nowMs
}

const client = (id: string, clientId = 'me') => {
  return { clientInstanceId: id, clientId, attributes: [], intervalMs: 1_000 }
}

const samplesOf = (received: ReceivedMetrics): Sample[] =>
  [...received.clients()].flatMap(({ samples }) => [...samples])

const pushed = (...all: readonly Metric[]) => decodeMetricsData(metricsData(all))

t.test('names and labels are those that Prometheus allows', async (t) => {
  const received = new ReceivedMetrics(new StoppedClock())
  const attributes = { 'client-id': 'x', client_id: 'faked', __name__: 'y', '9': 'z', __proto: 'p' }
  const points = [{ value: 1, attributes }]
  received.take(
    client('id'),
    pushed(
      { name: 'org.apache.kafka.consumer.a-b.total', points, sum: { isMonotonic: true } },
      { name: 'org.apache.kafka.consumer.a-b.total', points: [{ value: 2 }] },
      { name: 'other{"}\n', points: [{ value: 3 }], sum: { isMonotonic: true } },
    ),
  )
  const known = { client_id: 'me', client_instance_id: 'id' }
  t.strictSame(samplesOf(received), [
    {
      name: 'kafka_client_consumer_a_b_total',
      isCounter: true,
      labels: { x_9: 'z', x_name__: 'y', x_proto: 'p', ...known },
      value: 1,
    },
    { name: 'kafka_client_consumer_a_b_total_value', isCounter: false, labels: known, value: 2 },
    { name: 'kafka_client_other_____total', isCounter: true, labels: known, value: 3 },
  ])
})

t.test('differences add up, values take the place of those before', async (t) => {
  const clock = new StoppedClock()
  const received = new ReceivedMetrics(clock)
  const of = (value: number, isDelta: boolean) =>
    pushed({ name: 'sent', points: [{ value }], sum: { isDelta, isMonotonic: true } })
  for (const value of [5, 6]) received.take(client('a'), of(value, true))
  for (const value of [5, 6]) received.take(client('b'), of(value, false))
  t.strictSame(
    samplesOf(received).map(({ value }) => value),
    [11, 6],
  )
  clock.nowMs = 59_999
  received.take(client('b'), of(9, false))
  clock.nowMs = 60_000
  t.strictSame(
    samplesOf(received).map(({ value }) => value),
    [9],
    'one has been silent',
  )
})

t.test('many clients, or clients with many values, have what there is room for', async (t) => {
  const received = new ReceivedMetrics(new StoppedClock())
  const one = pushed({ name: 'one', points: [{ value: 1 }] })
  for (let at = 0; at < 1_200; at++) received.take(client(`client-${at}`), one)
  t.equal([...received.clients()].length, 1_000)
  t.equal(received.clientsDropped, 200)
  const points = Array.from({ length: 1_500 }, (_, at) => ({ value: at, attributes: { at } }))
  for (let at = 0; at < 25; at++)
    received.take(client(`large-${at}`), pushed({ name: 'n', points }))
  t.equal(samplesOf(received).length, 20_000)
  t.equal(received.pushesCut, 25)
  t.ok(
    samplesOf(received).every(({ name }) => name === 'kafka_client_n'),
    'the newest ones',
  )
})

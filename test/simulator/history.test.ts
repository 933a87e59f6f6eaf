/** What the history takes from readers whose fetch may be older than a loss, and what it does not excuse. */
import t from 'tap'
import { History, type PartitionHistory, type ProducerPromise } from './history.ts'
import { Places } from './reading-clients.ts'
import { Trace } from './trace.ts'
import { Violation } from './violation.ts'

const forever = Number.POSITIVE_INFINITY
const place = { topic: 'topic', partition: 0 }

/** One partition, whose `known` first records were acknowledged, and a reader that has been given none. */
function setUp(known: number) {
  const topics = { isDurable: false, retentionMs: forever, retentionBytes: forever }
  const history = new History(new Map([['topic', topics]]))
  const producer: ProducerPromise = { name: 'producer', isIdempotent: true, hasGap: false }
  const partition = history.partition('topic', 0)
  const send = (sequence: number) =>
    history.send({
      producer,
      sequence,
      topic: 'topic',
      value: `${sequence}`,
      key: null,
      timestamp: 0,
    })
  for (let offset = 0; offset < known; offset++) history.acknowledge(send(offset), 0, offset)
  const places = new Places({ history, trace: new Trace(() => 0) }, 'reader')
  places.begin(partition)
  const take = (offset: number, sequence: number): boolean => {
    const headers = [] as const
    const record = { offset, timestamp: 0, key: null, value: Buffer.from(`${sequence}`), headers }
    const nextOffset = offset + 1
    return places.take({
      ...place,
      records: [record],
      nextOffset,
      highWatermark: nextOffset,
      leaderEpoch: 0,
    })
  }
  return { history, partition, places, send, take }
}

/** The power is lost, and an audit finds the partition to end at `end`. */
function losePower(history: History, partition: PartitionHistory, held: number, end: number): void {
  history.held(partition, held)
  history.mayLose(partition, 0)
  history.audit(partition, { start: 0, end, offsets: new Set(Array(end).keys()) })
}

t.test('what was fetched before a loss of which nobody knew is void', async (t) => {
  const { history, partition, places, send, take } = setUp(2)
  for (const sequence of [2, 3]) send(sequence)
  // The third record was written and fetched, but nobody has been told of it when it is lost.
  losePower(history, partition, 3, 2)
  t.equal(partition.truncations, 0, 'nothing that was known is gone')
  t.notOk(take(2, 2))
  t.equal(partition.records.size, 2)
  places.begin(partition)
  t.ok(
    take(2, 3),
    'another record has its offset, which the reader is given once it has begun anew',
  )
  t.throws(() => take(2, 2), Violation)
})

t.test('where nothing was lost, what was fetched before has to agree', async (t) => {
  const { history, partition, send, take } = setUp(3)
  for (const sequence of [3, 4, 5]) send(sequence)
  losePower(history, partition, 3, 3)
  t.equal(partition.losses, 0)
  t.throws(() => take(2, 3), /2 of topic-0 was record 2 of producer and is record 3 of producer/)
  t.ok(take(3, 4))
  t.throws(() => take(5, 5), /was given 5 of topic-0 after 3/)
})

t.test('losses are counted anew after every audit', async (t) => {
  const { history, partition, take } = setUp(2)
  losePower(history, partition, 5, 2)
  t.equal(partition.losses, 1)
  losePower(history, partition, 2, 2)
  t.equal(partition.losses, 1)
  t.notOk(take(1, 1), 'a reader that began before any of them has to begin anew')
  losePower(history, partition, 2, 1)
  t.equal(partition.losses, 2)
  t.equal(partition.truncations, 1)
})

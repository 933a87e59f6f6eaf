/** The rows of committed offsets against a map of objects, with changes that are taken back. */
import t from 'tap'
import {
  type CommittedOffset,
  PartitionOffsets,
} from '../../../src/coordinator/group/partition-offsets.ts'
import { Timeline } from '../../../src/coordinator/timeline.ts'
import { SeededRandom } from '../../simulator/random.ts'

t.test('rows say what was set, and what was set before where that is taken back', async (t) => {
  const random = new SeededRandom(7)
  const timeline = new Timeline()
  const rows = new PartitionOffsets(timeline)
  let expected = new Map<number, CommittedOffset & { order: number }>()
  let [kept, position] = [expected, timeline.position]
  const check = (step: number) => {
    const told = new Map([...rows].sort(([a], [b]) => a - b))
    t.same(told, new Map([...expected].sort(([a], [b]) => a - b)), `${step}`)
    t.same(new Set(rows.keys()), new Set(expected.keys()))
    t.equal(rows.size, expected.size)
    for (let partition = 0; partition < 8; partition++) {
      t.equal(rows.has(partition), expected.has(partition))
      t.equal(rows.orderOf(partition), expected.get(partition)?.order ?? -1)
      t.same(rows.get(partition), expected.get(partition))
    }
  }
  for (let step = 0; step < 2000; step++) {
    const partition = Math.floor(random.float() * 8)
    const what = random.float()
    // Settled changes cannot be taken back, and nothing before them.
    timeline.isSettled = step < 200
    if (what < 0.6) {
      const offset = {
        offset: Math.floor(random.float() * 2 ** 50),
        leaderEpoch: Math.floor(random.float() * 3) - 1,
        metadata: random.float() < 0.8 ? '' : `m${step}`,
        commitTimestampMs: 1.7e12 + step,
        expireTimestampMs: random.float() < 0.9 ? -1 : step,
        topicId: random.float() < 0.9 ? 'AAAAAAAAAAAAAAAAAAAAAQ' : 'AAAAAAAAAAAAAAAAAAAAAA',
      }
      rows.set(partition, offset, step)
      expected = new Map(expected).set(partition, { ...offset, order: step })
    } else if (what < 0.9) {
      rows.delete(partition)
      expected = new Map(expected)
      expected.delete(partition)
    } else if (what < 0.95 || timeline.isSettled) {
      timeline.forget(timeline.position)
      ;[kept, position] = [expected, timeline.position]
    } else {
      timeline.unwind(position)
      expected = kept
    }
    if (timeline.isSettled) [kept, position] = [expected, timeline.position]
    if (step % 10 === 0) check(step)
  }
})

t.test('whatever the order in which partitions come, one more costs the same', (t) => {
  const random = new SeededRandom(8)
  const count = 50_000
  const ascending = Array.from({ length: count }, (_, partition) => partition)
  const shuffled = ascending.map((partition) => ({ partition, at: random.float() }))
  shuffled.sort((a, b) => a.at - b.at)
  const orders = {
    ascending,
    descending: ascending.toReversed(),
    shuffled: shuffled.map(({ partition }) => partition),
  }
  const committed = {
    ...{ leaderEpoch: -1, metadata: '', commitTimestampMs: 1, expireTimestampMs: -1 },
    topicId: 'AAAAAAAAAAAAAAAAAAAAAQ',
  }
  const isThere = (rows: PartitionOffsets, expected: readonly number[]): boolean => {
    const keys = [...rows.keys()]
    return (
      keys.length === expected.length &&
      rows.size === expected.length &&
      expected.every((partition, at) => keys[at] === partition) &&
      expected.every((partition) => rows.get(partition)?.offset === partition)
    )
  }
  for (const [name, partitions] of Object.entries(orders)) {
    const timeline = new Timeline()
    const rows = new PartitionOffsets(timeline)
    const { user: before } = process.cpuUsage()
    for (const partition of partitions) rows.set(partition, { ...committed, offset: partition }, 1)
    const ms = (process.cpuUsage().user - before) / 1000
    // Each took a move of all that stood behind it: minutes.
    t.ok(ms < 3_000, `${name}: ${ms} ms`)
    t.ok(isThere(rows, ascending))
    const { position } = timeline
    for (const partition of partitions) if (partition % 3 > 0) rows.delete(partition)
    const left = ascending.filter((partition) => partition % 3 === 0)
    t.ok(isThere(rows, left))
    t.notOk(rows.has(1))
    for (const partition of left) rows.delete(partition)
    t.same([...rows], [])
    timeline.unwind(position)
    t.ok(isThere(rows, ascending))
  }
  t.end()
})

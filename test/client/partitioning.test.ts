/** Keys and partitions go where Kafka's own classes send them: the expected values were printed by the Java client 4.3.1. */
import t from 'tap'
import { type Assignment, rangeAssignor, roundRobinAssignor } from '../../src/client/assignors.ts'
import { murmur2, partitionOfKey, StickyPartition } from '../../src/client/partitioner.ts'

t.test('murmur2, and the partition among seven', async (t) => {
  const vectors: [hex: string, hash: number, partition: number][] = [
    ['', 275646681, 2],
    ['61', -1563381124, 5],
    ['6162', 316155434, 0],
    ['616263', 479470107, 4],
    ['61626364', -1323649548, 5],
    ['6162636465', 461995741, 4],
    ['3231', -973932308, 3],
    ['666f6f626172', -790332482, 0],
    ['6b65792d30', 29210041, 0],
    ['612d6c6974746c652d6269742d6c6f6e672d737472696e67', -985981536, 1],
    ['612d6c6974746c652d6269742d6c6f6e6765722d737472696e67', -1486304829, 0],
    [
      '6c6b6a683233346c68396669756839307932336f697568736166756a6861646f66323239706872396831396838396838',
      -58897971,
      3,
    ],
    ['d0bad0bbd18ed187', 2122343024, 4],
    ['e697a5e69cace8aa9e', 1431860170, 6],
    ['00', 375494588, 0],
    ['fffefd', 998637092, 5],
    ['ffffffff', 644171429, 6],
    ['00000000000080', 1434700668, 2],
  ]
  for (const [hex, hash, partition] of vectors) {
    const key = Buffer.from(hex, 'hex')
    t.equal(murmur2(key), hash, `hash of ${hex}`)
    t.equal(partitionOfKey(key, 7), partition, `partition of ${hex}`)
  }
  t.equal(murmur2(Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))), -1948347274)
})

t.test('records without a key stick until the batch is full', async (t) => {
  const sticky = new StickyPartition()
  const random = () => 0
  t.equal(sticky.current([0, 1, 2], random), 0)
  t.equal(sticky.current([0, 1, 2], random), 0)
  sticky.batchFull(2, [0, 1, 2], random)
  t.equal(sticky.current([0, 1, 2], random), 0, "another partition's batch says nothing")
  sticky.batchFull(0, [0, 1, 2], random)
  t.equal(sticky.current([0, 1, 2], random), 1, 'never the same again')
  t.equal(sticky.current([0, 2], random), 0, 'it moves when its partition has no leader')
  sticky.batchFull(0, [0], random)
  t.equal(sticky.current([0], random), 0, 'a single partition is kept')
})

t.test('assignors', async (t) => {
  const counts = new Map([
    ['a', 5],
    ['b', 3],
    ['c', 1],
  ])
  const members = (instanceOfM3: string | null) => [
    { memberId: 'm3', groupInstanceId: instanceOfM3, topics: ['b'] },
    { memberId: 'm2', groupInstanceId: null, topics: ['a', 'b'] },
    { memberId: 'm1', groupInstanceId: null, topics: ['a', 'b', 'c'] },
  ]
  const flat = (assignment: Assignment) =>
    Object.fromEntries(
      Array.from(assignment, ([member, topics]) => [
        member,
        topics
          .flatMap(({ topic, partitions }) =>
            partitions.map((partition) => `${topic}-${partition}`),
          )
          .sort()
          .join(' '),
      ]),
    )
  t.same(flat(rangeAssignor.assign(members(null), counts)), {
    m1: 'a-0 a-1 a-2 b-0 c-0',
    m2: 'a-3 a-4 b-1',
    m3: 'b-2',
  })
  t.same(
    flat(rangeAssignor.assign(members('i'), counts)),
    { m1: 'a-0 a-1 a-2 b-1 c-0', m2: 'a-3 a-4 b-2', m3: 'b-0' },
    'a static member comes first',
  )
  for (const instance of [null, 'i'])
    t.same(flat(roundRobinAssignor.assign(members(instance), counts)), {
      m1: 'a-0 a-2 a-4 b-2 c-0',
      m2: 'a-1 a-3 b-0',
      m3: 'b-1',
    })
  t.same(
    flat(rangeAssignor.assign(members(null), new Map())),
    { m1: '', m2: '', m3: '' },
    'topics that are not there yet give nobody anything',
  )
})

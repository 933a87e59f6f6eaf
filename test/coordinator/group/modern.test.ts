/** What the types of groups share: hashes, assignments, the steps from one to the next. */
import t from 'tap'
import {
  type Assignment,
  assignmentFrom,
  isSubset,
  overlaps,
  ownedFrom,
  ownedSince,
  ownedTopicPartitionsOf,
  sameAssignment,
  sameOwned,
  topicPartitionsOf,
} from '../../../src/coordinator/group/modern/assignment.ts'
import { MetadataHashes, topicHash } from '../../../src/coordinator/group/modern/metadata-hash.ts'
import { stepsBetween, withFree } from '../../../src/coordinator/group/modern/reconciliation.ts'
import { xxh3 } from '../../../src/coordinator/group/modern/xxh3.ts'
import { StoryTopics } from './story-topics.ts'

/** By the reference implementation: of as many bytes, the i-th of them (37 i + length) mod 256. */
const references: [length: number, hash: bigint][] = [
  [0, 3244421341483603138n],
  [1, -2220562881957146901n],
  [2, -8423063192921792099n],
  [3, 2710804805751176058n],
  [4, -6339365420627350307n],
  [5, -5204118940410430450n],
  [8, -5443545448923551020n],
  [9, -2427571269076696205n],
  [16, -763150005265265093n],
  [17, 6856207885408997065n],
  [64, -6871223794874571880n],
  [65, -7317612312548578855n],
  [128, -2022037504762693982n],
  [129, -5775721886554965900n],
  [200, -4471021557188391342n],
  [240, 4220664201677083226n],
  [241, 2080784511356283038n],
  [1023, -8151635243748171253n],
  [1024, -1143396297070524393n],
  [1025, 5838108112136038452n],
  [4096, 4735419265722213202n],
]

t.test('xxh3 as its reference implementation, in all its cases', async (t) => {
  for (const [length, expected] of references) {
    const input = Buffer.from(Array.from({ length }, (_, i) => (37 * i + length) & 0xff))
    t.equal(xxh3(input), expected, `of ${length} bytes`)
  }
})

t.test("a topic's hash is Kafka's", async (t) => {
  const racks = ['rack-2', 'r1']
  const hash = topicHash('orders', 'AAECAwQFBgcICQoLDA0ODw', [racks, racks, racks])
  t.equal(hash, 8447978475992792938n, 'as its Utils.computeTopicHash has it')
})

t.test('the hash of topics follows what they look like, and nothing else', async (t) => {
  const topics = new StoryTopics()
  const hashes = new MetadataHashes(topics)
  const change = (changes: Parameters<MetadataHashes['onTopicsChanged']>[0]) =>
    hashes.onTopicsChanged(changes)
  t.equal(hashes.of(['a']), 0n, 'a topic that does not exist')
  change(topics.create('a', 3))
  const one = hashes.of(['a'])
  t.not(one, 0n)
  t.equal(hashes.of(['a', 'missing']), one)
  change(topics.create('b', 1))
  t.equal(hashes.of(['b', 'a']), hashes.of(['a', 'b']), 'whatever the order')
  change(topics.create('a', 4))
  t.not(hashes.of(['a']), one, 'more partitions')
  change(topics.create('a', 3, ['r2', 'r1']))
  const racks = hashes.of(['a'])
  t.not(racks, one, 'racks')
  change(topics.create('a', 3, ['r1', 'r2']))
  t.equal(hashes.of(['a']), racks, 'whatever their order')
  change(topics.delete(['a']))
  t.equal(hashes.of(['a']), 0n)
})

const of = (topics: Record<string, number[]>): Assignment =>
  assignmentFrom(Object.entries(topics).map(([topicId, partitions]) => ({ topicId, partitions })))

t.test('assignments: there and back, compared, with epochs', async (t) => {
  const assignment = of({ a: [2, 0, 1], b: [], c: [5] })
  t.same(topicPartitionsOf(assignment), [
    { topicId: 'a', partitions: [0, 1, 2] },
    { topicId: 'c', partitions: [5] },
  ])
  t.ok(sameAssignment(assignment, of({ c: [5], a: [0, 1, 2] })))
  t.notOk(sameAssignment(assignment, of({ a: [0, 1, 2] })))
  t.notOk(sameAssignment(assignment, of({ a: [0, 1, 3], c: [5] })))
  const owned = ownedSince(assignment, 7)
  const recorded = ownedTopicPartitionsOf(owned)
  t.same(recorded[0], { topicId: 'a', partitions: [0, 1, 2], assignmentEpochs: [7, 7, 7] })
  t.ok(sameOwned(ownedFrom(recorded, 1), owned))
  const old = recorded.map((topic) => ({ ...topic, assignmentEpochs: null }))
  t.equal(ownedFrom(old, 4).get('c')?.get(5), 4, 'records of before epochs were recorded')
  t.equal(ownedFrom(old, -2).get('c')?.get(5), 0, 'of a static member that was away')
  t.notOk(sameOwned(ownedFrom(old, 4), owned))
  t.ok(isSubset([{ topicId: 'a', partitions: [1] }], owned))
  t.notOk(isSubset([{ topicId: 'a', partitions: [1, 9] }], owned))
  t.ok(overlaps([{ topicId: 'a', partitions: [1, 9] }], owned))
  t.notOk(overlaps([{ topicId: 'b', partitions: [0] }], owned))
})

t.test('the steps to a target: keep, revoke, take what is free, wait for the rest', async (t) => {
  const owned = ownedSince(of({ a: [0, 1], b: [0] }), 3)
  const target = of({ a: [1, 2, 3], c: [0] })
  const steps = stepsBetween(
    owned,
    target,
    (topicId, partition) => topicId === 'a' && partition === 3,
  )
  t.same(topicPartitionsOf(steps.kept), [{ topicId: 'a', partitions: [1] }])
  t.same(topicPartitionsOf(steps.revoked), [
    { topicId: 'a', partitions: [0] },
    { topicId: 'b', partitions: [0] },
  ])
  t.same(topicPartitionsOf(steps.free), [
    { topicId: 'a', partitions: [2] },
    { topicId: 'c', partitions: [0] },
  ])
  t.ok(steps.hasUnreleased)
  const next = withFree(steps, 5)
  t.same(ownedTopicPartitionsOf(next), [
    { topicId: 'a', partitions: [1, 2], assignmentEpochs: [3, 5] },
    { topicId: 'c', partitions: [0], assignmentEpochs: [5] },
  ])
  t.equal(owned.get('a')?.size, 2, 'what it had is unchanged')
})

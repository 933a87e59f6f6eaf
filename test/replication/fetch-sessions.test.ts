/** The rules of KIP-227, one case each: who gets a session, what it remembers, what it refuses. */
import t from 'tap'
import { decode, encode } from '../../protocol/codec.ts'
import { type FetchRequest, fetchRequest } from '../../protocol/messages/fetch.ts'
import { type FetchContext, FetchSessions } from '../../src/replication/fetch-sessions.ts'
import { SeededRandom } from '../simulator/random.ts'

const topicA = 'aaaaaaaaaaaaaaaaaaaaaA'
const topicB = 'bbbbbbbbbbbbbbbbbbbbbA'

interface Asked {
  id?: number
  epoch?: number
  /** By topic (a name, or an id from version 13 on): index and offset. */
  partitions?: Record<string, Record<number, number>>
  forget?: Record<string, number[]>
}

function request(version: number, { id = 0, epoch = 0, partitions = {}, forget = {} }: Asked) {
  const named = (topic: string) =>
    version >= 13 ? { topic: '', topicId: topic } : { topic, topicId: topicA }
  const table = fetchRequest
  return decode(
    table,
    version,
    encode(table, version, {
      maxWaitMs: 500,
      minBytes: 1,
      sessionId: id,
      sessionEpoch: epoch,
      topics: Object.entries(partitions).map(([topic, offsets]) => ({
        ...named(topic),
        partitions: Object.entries(offsets).map(([index, fetchOffset]) => ({
          partition: Number(index),
          fetchOffset,
          partitionMaxBytes: 1000,
        })),
      })),
      forgottenTopicsData: Object.entries(forget).map(([topic, indexes]) => ({
        ...named(topic),
        partitions: indexes,
      })),
    }),
  ) as FetchRequest
}

class Fixture {
  nowMs = 0
  readonly sessions: FetchSessions
  constructor(slotsMax = 10) {
    const clock = { now: () => this.nowMs, monotonic: () => this.nowMs }
    this.sessions = new FetchSessions({ clock, random: new SeededRandom(1), slotsMax })
  }

  ask(asked: Asked, version = 12, isFollower = false): FetchContext {
    return this.sessions.context(request(version, asked), version, isFollower)
  }

  /** Opens a session with `size` partitions and returns its id; 0 where it got none. */
  open(size = 1, { version = 12, isFollower = false } = {}): number {
    const offsets = Object.fromEntries(Array.from({ length: size }, (_, index) => [index, 0]))
    const topic = version >= 13 ? topicA : 'a'
    return this.ask({ partitions: { [topic]: offsets } }, version, isFollower).sessionId()
  }
}

const read = (context: FetchContext): string[] =>
  [...context.partitions].map((p) => `${p.topic || p.topicId}-${p.index}@${p.fetchOffset}`)

t.test('a full request opens a session; later ones carry only what changes', async (t) => {
  const f = new Fixture()
  const full = f.ask({ partitions: { a: { 0: 5, 1: 6 }, b: { 0: 7 } } })
  t.equal(full.error, null)
  t.same(read(full), ['a-0@5', 'a-1@6', 'b-0@7'])
  t.equal(f.sessions.size, 0, 'the session begins with the answer')
  const id = full.sessionId()
  t.ok(id > 0)
  t.equal(f.sessions.size, 1)
  t.equal(f.sessions.partitionCount, 3)

  const second = f.ask({ id, epoch: 1, partitions: { a: { 1: 60 }, c: { 4: 0 } } })
  t.same(read(second), ['a-0@5', 'a-1@60', 'b-0@7', 'c-4@0'])
  t.equal(second.sessionId(), id)
  const third = f.ask({ id, epoch: 2, forget: { a: [0], c: [4], d: [9] } })
  t.same(read(third), ['a-1@60', 'b-0@7'])
})

t.test('partitions that brought records go to the end', async (t) => {
  const f = new Fixture()
  const id = f.open(3)
  const context = f.ask({ id, epoch: 1 })
  const [first] = context.partitions
  if (first === undefined) return
  context.told(first, { errorCode: 0, highWatermark: 9, logStartOffset: 0 }, 100)
  t.same(read(f.ask({ id, epoch: 2 })), ['a-1@0', 'a-2@0', 'a-0@0'])
})

t.test('an answer leaves out what the session knows already', async (t) => {
  const f = new Fixture()
  const full = f.ask({ partitions: { a: { 0: 5 } } })
  const [partition] = full.partitions
  if (partition === undefined) return
  t.notOk(full.omits(partition, -1, -1), 'a full answer names every partition')
  full.told(partition, { errorCode: 0, highWatermark: 5, logStartOffset: 0 }, 0)
  const id = full.sessionId()

  const next = f.ask({ id, epoch: 1 })
  t.ok(next.omits(partition, 5, 0))
  t.notOk(next.omits(partition, 6, 0), 'the high watermark moved')
  t.notOk(next.omits(partition, 5, 1), 'the log start moved')
  next.told(partition, { errorCode: 6, highWatermark: -1, logStartOffset: -1 }, 0)
  t.notOk(f.ask({ id, epoch: 2 }).omits(partition, 5, 0), 'told again once the error is over')
})

t.test('what a session refuses', async (t) => {
  const cases: [string, string, (f: Fixture, id: number) => FetchContext][] = [
    ['unknown id', 'FETCH_SESSION_ID_NOT_FOUND', (f, id) => f.ask({ id: id + 1, epoch: 1 })],
    ['no id', 'FETCH_SESSION_ID_NOT_FOUND', (f) => f.ask({ id: 0, epoch: 1 })],
    ['epoch ahead', 'INVALID_FETCH_SESSION_EPOCH', (f, id) => f.ask({ id, epoch: 2 })],
    [
      'ids in a session of names',
      'FETCH_SESSION_TOPIC_ID_ERROR',
      (f, id) => f.ask({ id, epoch: 1 }, 13),
    ],
  ]
  for (const [name, error, ask] of cases) {
    const f = new Fixture()
    const id = f.open()
    t.equal(ask(f, id).error?.name, error, name)
    t.equal(f.ask({ id, epoch: 1 }).error, null, `${name}: the session goes on`)
    t.equal(f.ask({ id, epoch: 1 }).error?.name, 'INVALID_FETCH_SESSION_EPOCH', 'sent twice')
  }
  const f = new Fixture()
  const id = f.open(1, { version: 13 })
  t.equal(f.ask({ id, epoch: 1 }, 12).error?.name, 'FETCH_SESSION_TOPIC_ID_ERROR')
  t.same(read(f.ask({ id, epoch: 1, partitions: { [topicB]: { 2: 8 } } }, 13)), [
    `${topicA}-0@0`,
    `${topicB}-2@8`,
  ])
})

t.test('a request that waited while its session moved on is told so', async (t) => {
  const f = new Fixture()
  const id = f.open()
  const waiting = f.ask({ id, epoch: 1 })
  t.equal(waiting.stale(), null)
  f.ask({ id, epoch: 2 })
  t.equal(waiting.stale()?.name, 'INVALID_FETCH_SESSION_EPOCH')
})

t.test('how a session ends', async (t) => {
  const f = new Fixture()
  const closed = f.open()
  const last = f.ask({ id: closed, epoch: -1, partitions: { a: { 0: 3 } } })
  t.same(read(last), ['a-0@3'])
  t.equal(last.sessionId(), 0, 'the final epoch reads without a session')
  t.equal(f.sessions.size, 0)

  const replaced = f.open()
  const anew = f.ask({ id: replaced, epoch: 0, partitions: { a: { 0: 3 } } })
  t.equal(f.sessions.size, 0)
  t.not(anew.sessionId(), replaced)
  t.equal(f.sessions.size, 1)

  const emptied = f.open(2)
  const nothing = f.ask({ id: emptied, epoch: 1, forget: { a: [0, 1] } })
  t.equal(nothing.sessionId(), 0, 'no partition is left')
  t.equal(f.ask({ id: emptied, epoch: 2 }).error?.name, 'FETCH_SESSION_ID_NOT_FOUND')
})

t.test('who may take the slot of whom', async (t) => {
  const minuteMs = 60_000
  const used = (f: Fixture, kept: number, nowMs: number) => {
    f.nowMs = nowMs - minuteMs
    f.ask({ id: kept, epoch: 1 })
    f.nowMs = nowMs
  }
  const cases: [string, boolean, (f: Fixture, kept: number) => number][] = [
    ['same size, all young', false, (f) => f.open(2)],
    ['larger, all young', false, (f) => f.open(3)],
    ['a follower takes a young consumer', true, (f) => f.open(1, { isFollower: true })],
    [
      'larger, grown up',
      true,
      (f, kept) => {
        used(f, kept, 3 * minuteMs)
        return f.open(3)
      },
    ],
    [
      'same size, grown up',
      false,
      (f, kept) => {
        used(f, kept, 3 * minuteMs)
        return f.open(2)
      },
    ],
    [
      'smaller, but the other is stale',
      true,
      (f) => {
        f.nowMs = 2 * minuteMs + 1
        return f.open(1)
      },
    ],
  ]
  for (const [name, wins, open] of cases) {
    const f = new Fixture(1)
    const id = open(f, f.open(2))
    t.equal(id > 0, wins, name)
    t.equal(f.sessions.size, 1)
  }
  const followers = new Fixture(1)
  followers.open(2, { isFollower: true })
  followers.nowMs = 2 * minuteMs
  t.equal(followers.open(9), 0, 'a consumer never takes a young follower')
  t.equal(followers.open(9, { isFollower: true }), 0)
  t.equal(new Fixture(0).open(1), 0, 'no slots, no sessions')
})

/**
 * What a share group has in flight, against an oracle that knows each record by itself and believes
 * nothing but what it was told.
 */
import t, { type Test } from 'tap'
import {
  acknowledgeType,
  runState,
  type StoredRun,
  type Verdict,
} from '../../../src/replication/share/delivery-run.ts'
import {
  type AcquiredRecords,
  type FetchedBatch,
  InFlight,
} from '../../../src/replication/share/in-flight.ts'
import { SeededRandom } from '../../simulator/random.ts'

const { accept, gap, reject, release, renew } = acknowledgeType
const lockMs = 1000

const batches = (...bounds: [number, number, boolean?][]): FetchedBatch[] =>
  bounds.map(([firstOffset, lastOffset, isAborted = false]) => ({
    firstOffset,
    lastOffset,
    isAborted,
  }))

const acquired = (firstOffset: number, lastOffset: number, deliveryCount = 1) => ({
  firstOffset,
  lastOffset,
  deliveryCount,
})

class Story {
  readonly inFlight = new InFlight()
  nowMs = 0
  limit = 5
  inFlightMax = 100

  constructor(startOffset = 0, stored: StoredRun[] = []) {
    this.inFlight.restore(startOffset, stored)
  }

  acquire(memberId: string, fetched: FetchedBatch[], options = {}): AcquiredRecords[] {
    return this.inFlight.acquire(fetched, {
      memberId,
      fetchOffset: this.inFlight.nextFetchOffset(),
      maxRecords: 500,
      inFlightMax: this.inFlightMax,
      isRecordLimit: false,
      deliveryCountLimit: this.limit,
      lockedUntilMs: this.nowMs + lockMs,
      ...options,
    })
  }

  say(memberId: string, firstOffset: number, lastOffset: number, type: number): Verdict | string {
    const range = { firstOffset, lastOffset }
    const refusal = this.inFlight.refusal(range, memberId)
    if (refusal !== null) return refusal.error
    return this.inFlight.acknowledge([{ ...range, type }], {
      deliveryCountLimit: this.limit,
      lockedUntilMs: this.nowMs + lockMs,
    })
  }

  settle(verdict: Verdict | string, isStored = true): void {
    if (typeof verdict === 'string') throw new Error(verdict)
    const at = { nowMs: this.nowMs, deliveryCountLimit: this.limit }
    this.inFlight.settle(verdict, isStored, at)
  }

  /** Says it, and it is stored. */
  tell(memberId: string, firstOffset: number, lastOffset: number, type: number): void {
    this.settle(this.say(memberId, firstOffset, lastOffset, type))
  }

  runs(): string[] {
    const names = Object.entries(runState)
    return this.inFlight
      .runs()
      .map(({ firstOffset, lastOffset, state, deliveryCount, memberId }) => {
        const name = names.find(([, value]) => value === state)?.[0]
        const owner = memberId === null ? '' : ` by ${memberId}`
        return `${firstOffset}-${lastOffset} ${name}${owner} ${deliveryCount}x`
      })
  }
}

t.test('records are given once, ended by their owner, and the start moves over them', async (t) => {
  const story = new Story()
  t.strictSame(story.acquire('a', batches([0, 4], [5, 9])), [acquired(0, 9)])
  t.strictSame(story.acquire('b', batches([0, 4], [5, 9])), [])
  t.equal(story.say('b', 0, 4, accept), 'INVALID_RECORD_STATE')
  t.equal(story.say('a', 8, 12, accept), 'INVALID_REQUEST')
  t.equal(story.say('a', 10, 12, accept), 'INVALID_REQUEST')
  const verdict = story.say('a', 0, 4, accept)
  t.equal(story.say('a', 3, 3, reject), 'INVALID_RECORD_STATE', 'one verdict at a time')
  t.equal(story.inFlight.startOffset, 0, 'not before it is stored')
  story.settle(verdict)
  t.equal(story.inFlight.startOffset, 5)
  story.tell('a', 7, 7, reject)
  story.tell('a', 8, 9, release)
  t.strictSame(story.runs(), ['5-6 acquired by a 1x', '7-7 archived 1x', '8-9 available 1x'])
  t.equal(story.inFlight.deliveryCompleteCount(), 1)
  t.equal(story.inFlight.nextFetchOffset(), 8)
  t.strictSame(story.acquire('b', batches([5, 9], [10, 12])), [acquired(8, 9, 2), acquired(10, 12)])
  story.tell('a', 5, 6, gap)
  t.equal(story.inFlight.startOffset, 8)
  t.equal(typeof story.say('a', 0, 4, accept), 'object', 'what has ended is passed over')
})

t.test('a verdict that could not be stored was never given', async (t) => {
  const story = new Story()
  story.acquire('a', batches([0, 9]))
  story.settle(story.say('a', 0, 4, accept), false)
  t.strictSame(story.runs(), ['0-9 acquired by a 1x'])
  const late = story.say('a', 0, 4, accept)
  story.nowMs = lockMs
  t.strictSame(story.inFlight.expire(story.nowMs, story.limit), [
    { firstOffset: 5, lastOffset: 9, deliveryState: runState.available, deliveryCount: 1 },
  ])
  story.settle(late, false)
  t.strictSame(story.runs(), ['0-9 available 1x'], 'its time was up meanwhile')
})

t.test('locks lapse unless they are renewed, and a member that leaves gives back', async (t) => {
  const story = new Story()
  story.acquire('a', batches([0, 9]))
  story.nowMs = 600
  story.tell('a', 5, 9, renew)
  t.equal(story.inFlight.firstLapseMs(), lockMs)
  story.inFlight.expire(lockMs, story.limit)
  t.strictSame(story.runs(), ['0-4 available 1x', '5-9 acquired by a 1x'])
  story.acquire('b', batches([0, 9]))
  story.settle(story.inFlight.releaseMember('a', story.limit))
  t.strictSame(story.runs(), ['0-4 acquired by b 2x', '5-9 available 1x'])
  t.equal(story.inFlight.firstLapseMs(), 1600)
})

t.test('what fails again and again is given in ever smaller parts, and then no more', async (t) => {
  const story = new Story()
  const fetched = batches([0, 7])
  const given: number[] = []
  while (!story.inFlight.isEmpty || given.length === 0) {
    const [part] = story.acquire('a', fetched)
    if (part === undefined) break
    given.push(part.lastOffset - part.firstOffset + 1)
    story.tell('a', part.firstOffset, part.lastOffset, release)
    if (given.length > 40) break
  }
  t.strictSame(given.slice(0, 4), [8, 8, 8, 4])
  t.strictSame(new Set(given.slice(4)), new Set([1, 2]))
  t.equal(story.inFlight.startOffset, 8, 'all were archived after their last delivery')
})

t.test('limits: of a request, in batches or to the record, and of all in flight', async (t) => {
  const story = new Story()
  story.inFlightMax = 12
  const fetched = batches([0, 4], [5, 9], [10, 14], [15, 19])
  t.strictSame(story.acquire('a', fetched, { maxRecords: 7 }), [acquired(0, 9)])
  t.strictSame(story.acquire('b', fetched, { maxRecords: 1, isRecordLimit: true }), [
    acquired(10, 10),
  ])
  t.ok(story.inFlight.canAcquire(12))
  t.strictSame(story.acquire('b', fetched), [acquired(11, 14)], 'the batch that reaches the limit')
  t.notOk(story.inFlight.canAcquire(12))
  t.strictSame(story.acquire('b', fetched), [])
  story.tell('a', 2, 6, release)
  t.ok(story.inFlight.canAcquire(12))
  t.strictSame(story.acquire('c', fetched, { maxRecords: 2 }), [acquired(2, 4, 2)])
  t.strictSame(story.acquire('c', fetched, { maxRecords: 1, isRecordLimit: true }), [
    acquired(5, 5, 2),
  ])
})

t.test('what the log does not have, and what was aborted, is nobody to wait for', async (t) => {
  const story = new Story(0)
  t.strictSame(story.acquire('a', batches([3, 5], [8, 9, true], [12, 13])), [
    acquired(3, 5),
    acquired(12, 13),
  ])
  t.equal(story.inFlight.startOffset, 3)
  story.tell('a', 3, 5, release)
  t.strictSame(story.acquire('b', batches([5, 5], [8, 9, true])), [acquired(5, 5, 2)], 'compacted')
  story.tell('b', 5, 5, accept)
  t.equal(story.inFlight.startOffset, 12)
  story.inFlight.forgetBefore(13)
  t.strictSame(story.runs(), ['13-13 acquired by a 1x'])
  story.inFlight.forgetBefore(40)
  t.strictSame([story.inFlight.startOffset, story.inFlight.nextOffset], [40, 40])
  t.strictSame(story.acquire('a', batches([38, 44])), [acquired(40, 44)])
})

t.test('what was stored is where it begins, and what was not is delivered', async (t) => {
  const stored = (first: number, last: number, deliveryState: number, deliveryCount: number) => ({
    firstOffset: first,
    lastOffset: last,
    deliveryState,
    deliveryCount,
  })
  const story = new Story(10, [
    stored(10, 11, runState.acknowledged, 1),
    stored(15, 19, runState.archived, 5),
    stored(20, 21, runState.available, 3),
  ])
  t.strictSame(story.runs(), ['12-14 available 0x', '15-19 archived 5x', '20-21 available 3x'])
  t.strictSame(story.acquire('a', batches([10, 30])), [acquired(12, 14)])
  t.strictSame(story.acquire('a', batches([10, 30])), [acquired(20, 20, 4)])
  t.throws(() => new Story(10, [stored(8, 12, 0, 1)]), RangeError)
})

/** Each record of the log by itself. */
interface Known {
  state: 'new' | 'available' | 'held' | 'ended'
  deliveries: number
  memberId: string
  lockedUntilMs: number
  /** The type of the verdict on its way, if one is. */
  verdict: number | null
  verdictId: number
}

class Oracle {
  readonly known: Known[]

  constructor(count: number) {
    this.known = Array.from({ length: count }, () => ({
      state: 'new',
      deliveries: 0,
      memberId: '',
      lockedUntilMs: 0,
      verdict: null,
      verdictId: -1,
    }))
  }

  of(offset: number): Known {
    return this.known[offset] as Known
  }

  give(one: AcquiredRecords, memberId: string, lockedUntilMs: number, t: Test): void {
    for (let offset = one.firstOffset; offset <= one.lastOffset; offset++) {
      const record = this.of(offset)
      if (record.state !== 'new' && record.state !== 'available') {
        t.fail(`${offset} was given to ${memberId} while it was ${record.state}`)
      }
      record.deliveries++
      if (record.deliveries !== one.deliveryCount) t.fail(`${offset} was counted wrongly`)
      Object.assign(record, { state: 'held', memberId, lockedUntilMs })
    }
  }

  end(record: Known, type: number, limit: number): void {
    const isBack = type === release && record.deliveries < limit
    record.state = isBack ? 'available' : 'ended'
    record.verdict = null
  }
}

t.test('never to two at once, and every record until it has ended', async (t) => {
  for (let seed = 1; seed <= 150; seed++) {
    const random = new SeededRandom(seed)
    const below = (limit: number) => Math.floor(random.float() * limit)
    const members = ['a', 'b', 'c']
    const bounds: [number, number][] = []
    for (let offset = 0; offset < 120; ) {
      const size = 1 + below(12)
      bounds.push([offset, offset + size - 1])
      offset += size
    }
    const log = batches(...bounds)
    const end = (log.at(-1) as FetchedBatch).lastOffset + 1
    const oracle = new Oracle(end)
    const story = new Story()
    story.inFlightMax = 40
    story.limit = 2 + below(5)
    const underWay: { verdict: Verdict; id: number }[] = []
    let id = 0

    const acquire = (memberId: string) => {
      const from = story.inFlight.nextFetchOffset()
      const first = log.findIndex(({ lastOffset }) => lastOffset >= from)
      if (first < 0) return
      const fetched = log.slice(first, first + 1 + below(4))
      const options = { maxRecords: 1 + below(20), isRecordLimit: below(2) === 0 }
      for (const one of story.acquire(memberId, fetched, options)) {
        oracle.give(one, memberId, story.nowMs + lockMs, t)
      }
    }
    const acknowledge = (memberId: string, types: number[]) => {
      const mine = oracle.known.flatMap((record, offset) =>
        record.state === 'held' && record.memberId === memberId && record.verdict === null
          ? [offset]
          : [],
      )
      const first = mine[below(mine.length)]
      if (first === undefined) return
      let last = first
      while (mine.includes(last + 1) && below(4) !== 0) last++
      const type = types[below(types.length)] as number
      const verdict = story.say(memberId, first, last, type)
      if (typeof verdict === 'string') throw new Error(`seed ${seed}: ${verdict}`)
      id++
      for (let offset = first; offset <= last; offset++) {
        const record = oracle.of(offset)
        if (type === renew) record.lockedUntilMs = story.nowMs + lockMs
        else Object.assign(record, { verdict: type, verdictId: id })
      }
      if (type !== renew) underWay.push({ verdict, id })
    }
    const settle = (isStored: boolean) => {
      const [one] = underWay.splice(below(underWay.length), 1)
      if (one === undefined) return
      story.settle(one.verdict, isStored)
      for (const record of oracle.known) {
        if (record.verdictId !== one.id || record.verdict === null) continue
        if (isStored) oracle.end(record, record.verdict, story.limit)
        else if (record.lockedUntilMs <= story.nowMs) oracle.end(record, release, story.limit)
        record.verdict = null
      }
    }
    const lapse = () => {
      story.nowMs += below(900)
      story.inFlight.expire(story.nowMs, story.limit)
      for (const record of oracle.known) {
        const isHeld = record.state === 'held' && record.verdict === null
        if (isHeld && record.lockedUntilMs <= story.nowMs) {
          oracle.end(record, release, story.limit)
        }
      }
    }
    const check = () => {
      const { startOffset } = story.inFlight
      const isEnded = oracle.known.slice(0, startOffset).every(({ state }) => state === 'ended')
      if (!isEnded) t.fail(`seed ${seed}: the start moved over what has not ended`)
      if (startOffset < end && oracle.of(startOffset).state === 'ended') {
        t.fail(`seed ${seed}: the start stays where nothing is to be delivered`)
      }
      for (const run of story.inFlight.runs()) {
        for (let offset = run.firstOffset; offset <= run.lastOffset; offset++) {
          const record = oracle.of(offset)
          const expected =
            record.state === 'held'
              ? [runState.acquired]
              : record.state === 'ended'
                ? [runState.acknowledged, runState.archived]
                : [runState.available]
          const isAlike = (expected as number[]).includes(run.state)
          if (!isAlike || run.deliveryCount !== record.deliveries) {
            t.fail(`seed ${seed}: ${offset} is ${record.state}, not ${run.state}`)
          }
        }
      }
    }
    for (let step = 0; step < 400; step++) {
      const memberId = members[below(members.length)] as string
      const what = below(10)
      if (what < 4) acquire(memberId)
      else if (what < 7) acknowledge(memberId, [gap, accept, release, reject, renew])
      else if (what < 9) settle(below(4) !== 0)
      else lapse()
      check()
    }
    // From here on everybody is good: everything comes to its end.
    for (let round = 0; story.inFlight.startOffset < end && round < 4000; round++) {
      while (underWay.length > 0) settle(true)
      lapse()
      acquire('a')
      acknowledge('a', [accept])
      if (round % 20 === 0) check()
    }
    t.equal(story.inFlight.startOffset, end, `seed ${seed}`)
    const undelivered = oracle.known.filter(({ deliveries }) => deliveries === 0).length
    t.equal(undelivered, 0, 'each was delivered')
  }
})

/**
 * What happens where memory or time is short: who gets ahead, who is closed, and that a request which is
 * small on the wire and large once decoded is refused, whatever it asks.
 */
import t from 'tap'
import { type ApiRow, apis } from '../../protocol/apis.ts'
import { decodeRequest, decodeRequestHeader } from '../../protocol/frame.ts'
import { MalformedError, Reader } from '../../protocol/reader.ts'
import { defaultLimits, type LimitOptions } from '../../src/server/limits.ts'
import { LoopTurns, Weight } from '../../src/server/loop-turns.ts'
import { SendingPace } from '../../src/server/sending-pace.ts'
import { crowded } from '../hostile/attack.ts'
import { SimulatedWorld } from '../simulator/simulated-world.ts'
import { RawClient } from './raw-client.ts'
import { apiVersions, large, syncGroup, TestServer } from './test-server.ts'

interface Scene {
  readonly server: TestServer
  connect(): Promise<RawClient>
  sleep(ms: number): Promise<void>
}

async function simulated(
  seed: number,
  limits: Partial<LimitOptions>,
  story: (scene: Scene) => Promise<void>,
): Promise<void> {
  const world = new SimulatedWorld(seed)
  const { environment } = world.start('broker')
  const near = world.start('client').environment
  const tell = async () => {
    const server = await TestServer.start(environment, limits)
    const connect = () => RawClient.connect(near, server.listener.address)
    const sleep = (ms: number) =>
      new Promise<void>((resolve) => void near.timers.after(ms, resolve))
    await story({ server, connect, sleep })
  }
  await world.run(tell(), 86_400_000)
}

function connectMany(connect: Scene['connect'], count: number): Promise<RawClient[]> {
  return Promise.all(Array.from({ length: count }, connect))
}

t.test('every API: four million of the smallest elements are no request', async (t) => {
  for (const api of Object.values<ApiRow>(apis)) {
    const version = api.request.valid.max
    const frame = crowded(api, version, 4 * 1024 * 1024)
    if (frame === undefined) continue
    const body = frame.subarray(4)
    const reader = new Reader(body, 0, body.length, defaultLimits.decodedBytesMax)
    decodeRequestHeader(reader)
    const read = () => decodeRequest(api.request, version, reader)
    t.throws(read, MalformedError, `${api.name} version ${version}`)
  }
})

t.test('those who stop in mid-request give way to those who do not', async (t) => {
  await simulated(1, { queuedRequestBytesMax: 1_000_000 }, async ({ server, connect, sleep }) => {
    server.replyBytes = 1
    const request = large(1, 900_000)
    const stalled = await connectMany(connect, 4)
    for (const client of stalled) client.send(request.subarray(0, 100_000))
    await sleep(10_000)
    t.equal(server.counters.connectionsOpen, 4, 'nobody is closed while there is memory')
    const good = await connect()
    for (let at = 0; at < request.length; at += 150_000) {
      good.send(request.subarray(at, at + 150_000))
      await sleep(100)
    }
    t.equal(await good.correlationId(), 1)
    await sleep(1000)
    t.equal(server.counters.connectionsOpen, 1)
    t.equal(server.limits.unfinishedFrames.bytes, 0)
    t.match(server.warnings()[0], /arrives too slowly/)
  })
})

t.test('one byte at a time is too slow as well', async (t) => {
  const pace = new SendingPace()
  pace.begin(20_000, 0)
  t.notOk(pace.isSlow(1500), 'too early to tell')
  for (let ms = 100; ms <= 3000; ms += 100) pace.reach(20_000 + ms / 100, ms)
  t.ok(pace.isSlow(3000))
  pace.reach(400_000, 4000)
  t.notOk(pace.isSlow(4500), 'it has become faster')
  t.ok(pace.isSlow(6001), 'and stopped')
})

t.test('who does not read gives way to those who do', async (t) => {
  await simulated(2, { queuedRequestBytesMax: 8_000_000 }, async ({ server, connect, sleep }) => {
    server.replyBytes = 900_000
    const deaf = await connectMany(connect, 6)
    for (const client of deaf) {
      client.stream.pause()
      client.send(large(1), large(2))
    }
    await sleep(500)
    t.ok(server.limits.replyBytes.isExhausted)
    t.notOk(server.limits.replyBytes.isOverdrawn, 'no more than twice the limit at any time')
    const good = await connect()
    good.send(large(7))
    t.equal(await good.correlationId(), 7)
    await sleep(4000)
    t.notOk(server.limits.replyBytes.isExhausted)
    t.match(server.warnings().at(-1), /does not read its replies|hold more memory/)
    good.stream.destroy()
    for (const client of deaf) client.stream.destroy()
    await sleep(100)
    t.equal(server.limits.replyBytes.taken, 0, 'all is given back')
  })
})

t.test('requests that wait for others keep nobody from being served', async (t) => {
  await simulated(3, { queuedRequestBytesMax: 100_000 }, async ({ server, connect, sleep }) => {
    const [many, few, other] = await connectMany(connect, 3)
    few?.send(syncGroup(1, 10_000))
    for (let id = 0; id < 3; id++) many?.send(syncGroup(id, 12_000))
    await sleep(100)
    t.equal(server.limits.requestBytes.taken, 0)
    other?.send(apiVersions(5))
    t.equal(await other?.correlationId(), 5)
    t.equal(many?.isClosed, false)
    many?.send(syncGroup(4, 12_000))
    await many?.closed
    t.match(server.warnings(), [/requests that wait hold more memory/])
    for (const { resolve } of server.parked) resolve()
    t.equal(await few?.correlationId(), 1, 'the largest holder was closed, and nobody else')
    t.equal(server.limits.waitingBytes.taken, 0)
  })
})

t.test('what takes long is put off, and leaves time to others', async (t) => {
  let nowMs = 0
  const due: { atMs: number; callback: () => void }[] = []
  const timers = {
    after(delayMs: number, callback: () => void) {
      due.push({ atMs: nowMs + delayMs, callback })
      return { cancel() {} }
    },
    endOfTurn() {},
    nextTurn(callback: () => void) {
      this.after(0, callback)
    },
  }
  const turns = new LoopTurns({ now: () => nowMs, monotonic: () => nowMs })
  const done: string[] = []
  const work = (name: string, tookMs: number) => () => {
    nowMs += tookMs
    done.push(name)
  }
  const turn = () => {
    const { atMs, callback } = due.shift() as (typeof due)[number]
    nowMs = Math.max(nowMs, atMs)
    callback()
  }
  turns.putOff(work('a', 50), timers)
  turns.putOff(work('b', 3), timers)
  turns.putOff(work('c', 3), timers)
  const gone = work('gone', 1)
  turns.putOff(gone, timers)
  turns.forget(gone)
  turn()
  t.same(done, ['a'], 'one long one is a turn of its own')
  turn()
  t.same(done, ['a', 'b', 'c'], 'short ones share one')
  t.equal(due.length, 0)

  const weight = new Weight()
  weight.add(100)
  t.notOk(weight.isPutOff(0), 'once may be an accident')
  weight.add(100)
  t.ok(weight.isPutOff(0))
  weight.add(1)
  t.notOk(weight.isPutOff(0))
  weight.exceed(100)
  t.ok(weight.isPutOff(500), 'a flood comes in many pieces')
  t.notOk(weight.isPutOff(1200))
})

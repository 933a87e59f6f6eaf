/**
 * What happens where memory or time is short: who gets ahead, who is closed, and that a request which is
 * small on the wire and large once decoded is refused, whatever it asks.
 */
import t from 'tap'
import { type ApiRow, apis } from '../../protocol/apis.ts'
import { decodeRequest, decodeRequestHeader } from '../../protocol/frame.ts'
import { MalformedError, Reader } from '../../protocol/reader.ts'
import type { Network, Stream } from '../../src/environment/network.ts'
import { defaultLimits, type LimitOptions } from '../../src/server/limits.ts'
import { Credit, LoopTurns } from '../../src/server/loop-turns.ts'
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

/** Of which the test says what arrives. */
class ScriptedStream implements Stream {
  readonly local = { host: 'broker', port: 9092 }
  readonly remote = { host: 'client', port: 1 }
  onData: (chunk: Buffer) => void = () => undefined
  onClose: () => void = () => undefined
  onDrain: () => void = () => undefined
  readBytesMax = 0
  /** Whether the system takes what is written. */
  isOpen = true
  write = () => this.isOpen
  pause = () => undefined
  resume = () => undefined
  end = () => undefined
  destroy = () => this.onClose()
}

t.test('of a newcomer little is read at once, of others as much as can be used', async (t) => {
  const kib = 1024
  const world = new SimulatedWorld(5)
  const { environment } = world.start('broker')
  let accept: (stream: Stream) => void = () => undefined
  const network: Network = {
    ...environment.network,
    listen: async (address, onStream) => {
      accept = onStream
      return { address, close: async () => undefined }
    },
  }
  await world.run(
    (async () => {
      const server = await TestServer.start({ ...environment, network })
      const stream = new ScriptedStream()
      accept(stream)
      t.equal(stream.readBytesMax, kib)
      const thousand = Buffer.concat(Array.from({ length: 1000 }, (_, n) => apiVersions(n)))
      const requests = Buffer.concat(new Array(120).fill(thousand))
      let from = 0
      const bite = async (): Promise<number> => {
        const bytes = stream.readBytesMax
        stream.onData(requests.subarray(from, from + bytes))
        from += bytes
        await new Promise<void>((resolve) => environment.timers.nextTurn(resolve))
        return stream.readBytesMax / kib
      }
      const bites: number[] = []
      const { turns } = server.limits
      turns.putOff(() => undefined, new Credit(), environment.timers)
      await bite()
      await new Promise<void>((resolve) => void environment.timers.after(5, resolve))
      t.equal(stream.readBytesMax, 16 * kib, 'heard in its turn, it is no newcomer any more')
      for (let count = 0; count < 4; count++) bites.push(await bite())
      t.strictSame(bites, [32, 64, 128, 256])
      t.strictSame(
        server.done,
        Array.from(server.done, (_, n) => n % 1000),
      )
      t.ok(server.done.length > 5000, 'all that was read is answered')
      stream.isOpen = false
      for (let count = 0; count < 9; count++) bites.push(await bite())
      t.equal(bites.at(-1), 16, 'what cannot be used is not read')
      stream.destroy()
    })(),
    3_600_000,
  )
})

/** Turns of an event loop whose time passes when something takes time. */
class Loop {
  nowMs = 0
  readonly turns = new LoopTurns({ now: () => this.nowMs, monotonic: () => this.nowMs })
  #next: (() => void)[] = []
  #ending: (() => void)[] = []
  readonly timers = {
    after: () => ({ cancel() {} }),
    endOfTurn: (callback: () => void) => void this.#ending.push(callback),
    nextTurn: (callback: () => void) => void this.#next.push(callback),
    lineUp: (callback: () => void) => void this.#next.push(callback),
  }

  get isQuiet(): boolean {
    return this.#next.length === 0
  }

  turn(): void {
    for (const callback of this.#next.splice(0)) callback()
    for (const callback of this.#ending.splice(0)) callback()
  }

  /** A connection asks, and each request takes so long; gives how many were answered at once. */
  ask(credit: Credit, tookMs: number, count = 1): number {
    for (let answered = 0; answered < count; answered++) {
      if (!this.turns.mayGoOn(credit, this.nowMs)) return answered
      this.nowMs += tookMs
      this.turns.spend(credit, tookMs, this.nowMs, this.timers)
    }
    credit.earn()
    return count
  }

  trusted(): Credit {
    const credit = new Credit()
    for (let times = 0; times < 200; times++) {
      this.nowMs += 10
      this.ask(credit, 0.05)
      this.turn()
    }
    return credit
  }
}

t.test('who asks for little is heard at once, whatever others ask for', async (t) => {
  const loop = new Loop()
  const good = loop.trusted()
  t.ok(good.isTrusted)
  const flood = new Credit()
  const answered = loop.ask(flood, 0.1, 1000)
  t.ok(answered >= 5 && answered <= 15, `a part of the turn, not more: ${answered}`)
  t.ok(flood.isUsedUp)
  loop.turns.putOff(() => undefined, flood, loop.timers)
  t.equal(loop.ask(new Credit(), 0.1), 0, 'a newcomer waits behind those who do')
  t.equal(loop.ask(good, 0.1, 5), 5, 'the trusted one does not')
  t.equal(loop.ask(good, 15), 1)
  t.ok(good.isTrusted, 'an accident of the garbage collector changes nothing')
  loop.ask(good, 1, 1000)
  t.notOk(good.isTrusted, 'asking for much does')
})

t.test(
  'who was put off has a slice in each round, and newcomers do not wait for all',
  async (t) => {
    const loop = new Loop()
    const good = loop.trusted()
    const heard: string[] = []
    const putOff = (name: string, credit: Credit, tookMs: number) => {
      const callback = () => {
        heard.push(name)
        const began = loop.nowMs
        loop.ask(credit, tookMs, 100)
        if (loop.nowMs - began < 100 * tookMs) loop.turns.putOff(callback, credit, loop.timers)
      }
      loop.turns.putOff(callback, credit, loop.timers)
      return callback
    }
    const floods = Array.from({ length: 100 }, () => new Credit())
    for (const credit of floods) credit.spend(1, loop.nowMs)
    floods.forEach((credit, index) => {
      putOff(`flood ${index}`, credit, 0.1)
    })
    t.ok(floods.every(({ isUsedUp }) => isUsedUp))
    putOff('newcomer', new Credit(), 0.0001)
    loop.ask(good, 0.1)
    const beganMs = loop.nowMs
    loop.turn()
    t.ok(loop.nowMs - beganMs < 2, 'a bounded part of the turn')
    t.ok(heard.includes('newcomer'))
    while (heard.length < 300) loop.turn()
    t.equal(new Set(heard.slice(0, 210)).size, 101, 'all get on')
  },
)

t.test('those who send a little each are read a few in a turn', async (t) => {
  const loop = new Loop()
  loop.ask(loop.trusted(), 0.1)
  let resumed = 0
  const resume = () => {
    resumed++
    loop.turns.expectRead(1024)
  }
  for (let count = 0; count < 500; count++) {
    loop.turns.putOff(() => resume(), new Credit(), loop.timers)
  }
  loop.turn()
  t.ok(resumed >= 20 && resumed <= 40, `what the system takes to read ${resumed} is a millisecond`)
  while (!loop.isQuiet) loop.turn()
  t.equal(resumed, 500)
})

t.test('alone with the broker a connection may use long turns', async (t) => {
  const loop = new Loop()
  const only = new Credit()
  t.equal(loop.ask(only, 1, 100), 6)
  const goOn = () => loop.ask(only, 1, 100)
  loop.turns.putOff(goOn, only, loop.timers)
  loop.turns.forget(goOn)
  const beganMs = loop.nowMs
  loop.turn()
  t.equal(loop.nowMs, beganMs, 'who has gone is not heard')
  loop.turns.putOff(goOn, only, loop.timers)
  loop.turn()
  t.equal(loop.nowMs - beganMs, 6)
  t.ok(loop.isQuiet)
})

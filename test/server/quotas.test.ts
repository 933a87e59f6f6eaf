/** Quotas: the arithmetic by a clock that the test sets, the protocol over the simulated network. */
import t from 'tap'
import { apis } from '../../protocol/apis.ts'
import { decodeResponse, decodeResponseHeader } from '../../protocol/frame.ts'
import { Reader } from '../../protocol/reader.ts'
import { type LimitOptions, unlimitedListener } from '../../src/server/limits.ts'
import { ClientQuotas } from '../../src/server/quotas/client-quotas.ts'
import { ConnectionRates } from '../../src/server/quotas/connection-rates.ts'
import { QuotaTable } from '../../src/server/quotas/quota-table.ts'
import { defaultWindows, LimitedRate, Rate } from '../../src/server/quotas/rate.ts'
import { RequestMeter } from '../../src/server/quotas/request-meter.ts'
import { TokenBucket } from '../../src/server/quotas/token-bucket.ts'
import { SimulatedWorld } from '../simulator/simulated-world.ts'
import { RawClient } from './raw-client.ts'
import { apiVersions, listGroups, produce, TestServer } from './test-server.ts'

class HandClock {
  nowMs = 1_000_000
  readonly now = (): number => this.nowMs
  readonly monotonic = (): number => this.nowMs
}

t.test('a rate is taken over ten whole windows and the one that is not over', (t) => {
  const rate = new Rate(defaultWindows)
  t.equal(rate.perSecond(0), 0)
  rate.add(5000, 0)
  t.equal(rate.perSecond(0), 500, 'windows that were not there count')
  t.equal(rate.excessMs(500, 0), 0)
  t.equal(rate.excessMs(400, 0), 2500, '5000 in 12.5 s are 400 per second')
  rate.add(5000, 400)
  t.equal(rate.perSecond(400), 10_000 / 10.4, 'a window lasts a second')
  rate.add(1000, 9500)
  t.equal(rate.perSecond(9500), 11_000 / 10.5, 'whole windows that had nothing count too')
  t.equal(Math.round(rate.perSecond(11_399) * 11.399), 11_000)
  t.equal(rate.perSecond(11_400), 1000 / 10.9, 'the oldest one is over; what is left began at 9.5')
  t.notOk(rate.isIdle(20_499))
  t.ok(rate.isIdle(20_500))
  t.equal(rate.perSecond(20_500), 0)
  // As much as 2^20 for a minute, looked at all the time: it is never far off.
  let nowMs = 100_000
  for (let ms = 0; ms < 60_000; ms += 37) {
    rate.add(1000, nowMs)
    nowMs += 37
    if (ms > 20_000) t.ok(Math.abs(rate.perSecond(nowMs) * 0.037 - 1000) < 100)
  }
  t.end()
})

t.test('who waits as long as it is told stays within its quota', (t) => {
  for (const [limit, amount] of [
    [1000, 300],
    [1000, 4000],
    [50_000, 16_384],
  ] as const) {
    const rate = new LimitedRate(defaultWindows, limit)
    let nowMs = 0
    let sum = 0
    let countedMs = 0
    while (nowMs < 200_000) {
      const waitMs = rate.add(amount, nowMs)
      nowMs += waitMs + 1
      if (nowMs < 30_000) countedMs = nowMs
      else sum += amount
    }
    const reached = (sum * 1000) / (nowMs - countedMs)
    t.ok(Math.abs(reached / limit - 1) < 0.1, `${reached} of ${limit}`)
  }
  t.end()
})

t.test('a bucket is full at first, may be overdrawn, and fills again', (t) => {
  const bucket = new TokenBucket(defaultWindows, 2)
  t.equal(bucket.overdrawnMs(0), 0)
  bucket.take(22, 0)
  t.equal(bucket.overdrawnMs(0), 0, 'what all windows bring')
  bucket.take(5, 0)
  t.equal(bucket.overdrawnMs(0), 2500)
  t.equal(bucket.overdrawnMs(2000), 500)
  t.notOk(bucket.isIdle(2000))
  t.ok(bucket.isIdle(13_500))
  bucket.take(23, 1_000_000)
  t.equal(bucket.overdrawnMs(1_000_000), 500, 'and not fuller than full')
  t.end()
})

t.test('the most specific quota counts', (t) => {
  const all = [
    ['alice', 'app'],
    ['alice', null],
    ['alice', undefined],
    [null, 'app'],
    [null, null],
    [null, undefined],
    [undefined, 'app'],
    [undefined, null],
  ] as const
  // With and without each of those that count for less, and with those that are of others.
  for (let which = 0; which < 2 ** all.length; which++) {
    const table = new QuotaTable((limit) => ({ limit, isIdle: () => false }))
    table.setLimit('bob', 'app', 98)
    table.setLimit('alice', 'other', 99)
    const isSet = (index: number) => (which & (1 << index)) !== 0
    for (const [index, [user, clientId]] of all.entries()) {
      if (isSet(index)) table.setLimit(user, clientId, index + 1)
    }
    const first = all.findIndex((_, index) => isSet(index))
    const account = table.accountOf('User:alice', 'app', 0)
    const limit = account?.limit ?? 0
    if (limit !== first + 1) t.fail(`${limit} instead of ${first + 1} of ${which.toString(2)}`)
    const isOfUser = first === 2 || first === 5
    if (account !== null && isOfUser !== (table.accountOf('User:alice', 'b', 0) === account)) {
      t.fail(`accounts of clients of ${which.toString(2)}`)
    }
    const ofUsers = [2, 5].find(isSet)
    if (table.accountOf('User:alice', '', 0)?.limit !== (ofUsers && ofUsers + 1)) {
      t.fail(`without a client id, of ${which.toString(2)}`)
    }
  }
  t.end()
})

t.test('what was used counts on when the quota changes, and a quota that is gone is gone', (t) => {
  const table = new QuotaTable((limit) => new LimitedRate(defaultWindows, limit))
  t.ok(table.isEmpty)
  t.equal(table.accountOf('User:alice', 'app', 0), null)
  table.setLimit('alice', undefined, 100)
  t.notOk(table.isEmpty)
  const account = table.accountOf('User:alice', 'app', 0)
  t.equal(account?.add(1000, 0), 0)
  table.setLimit('alice', undefined, 50)
  t.equal(table.accountOf('User:alice', 'app', 0), account)
  t.equal(account?.add(0, 0), 10_000)
  table.setLimit('alice', undefined, undefined)
  t.equal(table.accountOf('User:alice', 'app', 0), null)
  t.ok(table.isEmpty)
  t.end()
})

t.test('what a client id says beyond 255 characters is not looked at', async (t) => {
  const table = new QuotaTable((limit) => new LimitedRate(defaultWindows, limit))
  table.setLimit(undefined, null, 100)
  const long = 'x'.repeat(255)
  const account = table.accountOf('User:alice', `${long}a`, 0)
  t.equal(account?.limit, 100)
  t.equal(table.accountOf('User:alice', `${long}b`.repeat(100), 0), account)
  t.not(table.accountOf('User:alice', 'x'.repeat(254), 0), account)
})

t.test('inventing client ids costs the broker little and gains nothing', (t) => {
  const table = new QuotaTable((limit) => new LimitedRate(defaultWindows, limit))
  table.setLimit(undefined, null, 100)
  for (let id = 0; id < 50_000; id++) table.accountOf('User:alice', `c${id}`, 0)?.add(1, 0)
  t.equal(table.size, 50_000 - 40_000)
  const shared = table.accountOf('User:alice', 'late', 0)
  t.equal(table.accountOf('User:alice', 'later', 0), shared)
  t.equal(shared?.add(0, 0), 390_000, 'of 40 000')
  const known = table.accountOf('User:alice', 'c1', 0)
  t.equal(known?.add(0, 0), 0)
  // In use they stay; a while later there is room again.
  known?.add(1, 10_000)
  t.not(table.accountOf('User:alice', 'late', 12_000), shared)
  t.equal(table.size, 2)
  t.equal(table.accountOf('User:alice', 'c1', 12_000), known)
  t.end()
})

function quotasOf(clock: HandClock, quotas: Record<string, number>): ClientQuotas {
  const made = new ClientQuotas(clock)
  t.notOk(made.isActive)
  const entity = [{ entityType: 'user', entityName: null }]
  made.set(entity, new Map(Object.entries(quotas)))
  t.ok(made.isActive)
  return made
}

t.test('time is counted until the handler waits, and what encoding takes with the next', (t) => {
  const clock = new HandClock()
  const quotas = quotasOf(clock, { request_percentage: 1 })
  const meter = () => new RequestMeter(quotas, 'User:a', 'c')
  // 10 ms a second is one percent.
  const first = meter()
  clock.nowMs += 100
  t.equal(first.finish(true), 0, 'a hundred of ten seconds')
  clock.nowMs += 50
  first.encoded()
  const second = meter()
  clock.nowMs += 40
  second.handled()
  clock.nowMs += 5000
  t.equal(second.finish(true), 1000, 'nobody waits longer than a window')
  const third = meter()
  clock.nowMs += 2000
  t.equal(third.finish(false), 0, 'what is not answered does not count')
  clock.nowMs += 20_000
  const fourth = meter()
  clock.nowMs += 101
  const waitMs = fourth.finish(true)
  t.equal(waitMs, 100)
  t.same([quotas.throttledRequests, quotas.throttledMs], [2, 1100])
  quotas.set([{ entityType: 'user', entityName: null }], new Map())
  t.notOk(quotas.isActive)
  t.equal(meter().finish(true), 0)
  t.end()
})

t.test('who has fetched more than the quota gets nothing, and a batch when it has waited', (t) => {
  const clock = new HandClock()
  const quotas = quotasOf(clock, { consumer_byte_rate: 1000 })
  const meter = () => new RequestMeter(quotas, 'User:a', null)
  t.equal(meter().recordBytesMax, 1000)
  const first = meter()
  t.notOk(first.isOver())
  first.countRecords(10_500)
  t.equal(first.finish(true), 0, 'it is felt by the next')
  const over = meter()
  t.ok(over.isOver())
  t.equal(over.finish(true), 500)
  t.equal(new RequestMeter(quotas, 'User:a', 'x').isOver(), true, 'of the same user')
  t.notOk(new RequestMeter(quotas, 'User:b', 'x').isOver())
  clock.nowMs += 11_000
  t.notOk(meter().isOver())
  meter().countRecords(1_000_000)
  clock.nowMs += 11_000
  t.notOk(meter().isOver(), 'one batch that is larger than all windows allow')
  t.end()
})

t.test('changes of the cluster are refused, or for old clients only slowed down', (t) => {
  const clock = new HandClock()
  const quotas = quotasOf(clock, { controller_mutation_rate: 1 })
  const meter = () => new RequestMeter(quotas, 'User:a', 'c')
  const first = meter()
  first.countMutations(21, true)
  t.equal(first.finish(true), 0, 'may be overdrawn once')
  const strict = meter()
  const refused = () => strict.countMutations(1, true)
  for (const _topic of [1, 2]) {
    t.throws(refused, { name: 'KafkaError', message: /throttling quota/ })
  }
  clock.nowMs += 300
  t.equal(strict.finish(true), 9700, 'what is left of ten seconds')
  const old = meter()
  old.countMutations(2, false)
  t.equal(old.finish(true), 11_700)
  clock.nowMs += 11_700
  const later = meter()
  later.countMutations(1, true)
  t.equal(later.finish(true), 0)
  clock.nowMs += 11_000
  const other = meter()
  other.countMutations(30, true, false)
  const refusedToo = () => other.countMutations(1, true, false)
  t.throws(refusedToo, { message: /throttling quota/ })
  t.equal(other.finish(true), 0, 'a request that is for something else is not held up')
  t.end()
})

t.test('addresses have rates of their own, however they are written', (t) => {
  const clock = new HandClock()
  const rates = new ConnectionRates(clock)
  const admitted = (host: string, tries = 100) => {
    let count = 0
    for (let i = 0; i < tries; i++) if (rates.refusalMs('A', host) === 0) count++
    return count
  }
  t.equal(admitted('10.0.0.1'), 100)
  rates.setAddressLimit('10.0.0.1', 2)
  rates.setAddressLimit('fe80::1', 1)
  rates.setAddressLimit('localhost', 3)
  t.equal(admitted('10.0.0.1'), 20)
  t.equal(rates.refusalMs('A', '10.0.0.1'), 500)
  t.equal(admitted('::ffff:10.0.0.1'), 0)
  t.equal(admitted('FE80:0:0:0::1'), 10)
  t.equal(admitted('127.0.0.1'), 30)
  t.equal(admitted('10.0.0.2'), 100)
  rates.setAddressLimit(null, 4)
  t.equal(admitted('10.0.0.2'), 40)
  t.equal(admitted('10.0.0.1'), 0)
  rates.setAddressLimit('10.0.0.1', undefined)
  t.equal(admitted('10.0.0.1'), 20, 'as many as others may, less what it has had')
  for (let i = 0; i < 10_000; i++) rates.refusalMs('A', `h${i}`)
  t.equal(rates.refusalMs('A', 'another'), 1000, 'so many addresses that one more is not counted')
  clock.nowMs += 11_000
  t.equal(rates.refusalMs('A', 'another'), 0)
  t.end()
})

interface Scene {
  readonly server: TestServer
  readonly world: SimulatedWorld
  connect(): Promise<RawClient>
  sleep(ms: number): Promise<void>
  now(): number
}

async function simulated(
  limits: Partial<LimitOptions>,
  story: (scene: Scene) => Promise<void>,
): Promise<void> {
  const world = new SimulatedWorld(3)
  const { environment } = world.start('broker')
  const near = world.start('client').environment
  const tell = async (): Promise<void> => {
    const server = await TestServer.start(environment, limits)
    await story({
      server,
      world,
      connect: () => RawClient.connect(near, server.listener.address),
      sleep: (ms) => new Promise((resolve) => void near.timers.after(ms, resolve)),
      now: () => near.clock.monotonic(),
    })
    await server.listener.close()
  }
  await world.run(tell(), 86_400_000)
}

const produceBytes = produce(0, 1).length - 4
const anyClient = [{ entityType: 'client-id', entityName: null }]

async function throttleTimeMs(client: RawClient): Promise<number> {
  const reader = new Reader(await client.response())
  decodeResponseHeader(reader, apis.produce.response, 3)
  return decodeResponse(apis.produce.response, 3, reader).throttleTimeMs
}

t.test('a client over its quota is answered first and then not listened to', async (t) => {
  await simulated({ idleMsMax: 60_000 }, async ({ server, connect, sleep, now }) => {
    const { quotas } = server.limits
    const client = await connect()
    client.send(produce(1, 1))
    t.equal(await throttleTimeMs(client), 0)
    // One request in ten seconds is allowed.
    quotas.set(anyClient, new Map([['producer_byte_rate', produceBytes / 10]]))
    client.send(produce(2, 1))
    t.equal(await throttleTimeMs(client), 0)
    const beganMs = now()
    client.send(produce(3, 1))
    const toldMs = await throttleTimeMs(client)
    t.ok(toldMs > 9000 && toldMs < 11_000, `${toldMs}`)
    t.ok(now() - beganMs < 100, 'answered at once')
    client.send(apiVersions(4))
    await sleep(toldMs - 200)
    t.equal(client.receivedBytes > 0 && server.contexts.length, 0, 'not even looked at')
    const other = await connect()
    other.send(apiVersions(1))
    t.equal(await other.correlationId(), 1, 'others are')
    t.equal(await client.correlationId(), 4)
    t.ok(now() - beganMs >= toldMs)
    t.equal(quotas.throttledRequests, 1)

    // Without an answer as well, and requests that had come already are not lost.
    client.send(produce(5, 0), produce(6, 0), apiVersions(7))
    const sentMs = now()
    t.equal(await client.correlationId(), 7)
    t.ok(now() - sentMs > 5000, `${now() - sentMs}`)

    // Who goes while it waits has gone, and who does nothing for long is closed.
    client.send(produce(8, 1))
    await throttleTimeMs(client)
    t.equal(server.counters.connectionsOpen, 2)
    client.stream.destroy()
    await sleep(100)
    t.equal(server.counters.connectionsOpen, 1)
    quotas.set(anyClient, new Map([['producer_byte_rate', 0.001]]))
    other.send(produce(2, 1))
    t.ok((await throttleTimeMs(other)) > 3_600_000)
    other.send(apiVersions(3))
    await sleep(59_000)
    t.notOk(other.isClosed)
    await sleep(2_000)
    t.ok(other.isClosed)
    t.equal(server.counters.connectionsOpen, 0)

    const last = await connect()
    last.send(produce(1, 1))
    await throttleTimeMs(last)
  })
})

t.test('requests that were taken together are answered, and the longest wait counts', async (t) => {
  await simulated({}, async ({ server, connect, now }) => {
    server.limits.quotas.set(anyClient, new Map([['producer_byte_rate', produceBytes / 10]]))
    const client = await connect()
    client.send(produce(1, 1), produce(2, 1), apiVersions(3), produce(4, 1))
    t.equal(await throttleTimeMs(client), 0)
    const toldMs = await throttleTimeMs(client)
    const beganMs = now()
    t.equal(await client.correlationId(), 3)
    t.ok(now() - beganMs >= toldMs - 10)
    t.ok((await throttleTimeMs(client)) > 0)
  })
})

t.test('what is sent ahead of the answers does not pass the quota', async (t) => {
  await simulated({}, async ({ server, connect, now, sleep }) => {
    server.limits.quotas.set(anyClient, new Map([['producer_byte_rate', produceBytes / 10]]))
    const client = await connect()
    // The first is not answered yet, so that no answer can tell the client to wait.
    client.send(listGroups(1), produce(2, 1), produce(3, 1), produce(4, 1), apiVersions(5))
    await sleep(100)
    t.equal(server.counters.requestsOf(apis.produce.key), 2, 'the one that is over is the last')
    t.equal(server.contexts.length, 0)
    server.parked[0]?.resolve()
    t.equal(await client.correlationId(), 1)
    t.equal(await throttleTimeMs(client), 0)
    const toldMs = await throttleTimeMs(client)
    t.ok(toldMs > 9000, `${toldMs}`)
    const beganMs = now()
    t.ok((await throttleTimeMs(client)) > 0)
    t.ok(now() - beganMs >= toldMs - 10)
    t.equal(await client.correlationId(), 5)
  })
})

t.test('where connections come too often they wait for their turn, and keep it', async (t) => {
  const byListener = new Map([['PLAINTEXT', { ...unlimitedListener, connectionRateMax: 1 }]])
  for (const limits of [{ connectionRateMax: 1 }, { byListener }]) {
    await simulated(limits, async ({ server, connect, sleep, now }) => {
      for (let i = 0; i < 10; i++) {
        const client = await connect()
        client.send(apiVersions(1))
        t.equal(await client.correlationId(), 1)
      }
      const beganMs = now()
      const waiting = await Promise.all([connect(), connect(), connect()])
      const answers = waiting.map(async (client, index) => {
        client.send(apiVersions(index))
        t.equal(await client.correlationId(), index)
        return now() - beganMs
      })
      const [gone] = [await connect()]
      await sleep(100)
      t.equal(server.counters.connectionsAccepted, 10)
      gone.stream.destroy()
      const times = (await Promise.all(answers)).sort((a, b) => a - b)
      const [first = 0, second = 0, third = 0] = times
      t.ok(first > 900 && second >= first + 800 && third >= second + 800, `${times}`)
      const [left] = [await connect()]
      await server.listener.close()
      await left.closed
      t.equal(server.counters.connectionsOpen, 0)
    })
  }
})

t.test(
  'an address that connects too often is held and closed; a listener has its most',
  async (t) => {
    await simulated({}, async ({ server, connect, sleep, now }) => {
      server.limits.rates.setAddressLimit('client', 1)
      const clients: RawClient[] = []
      for (let i = 0; i < 10; i++) clients.push(await connect())
      const beganMs = now()
      const eleventh = await connect()
      eleventh.send(apiVersions(1))
      await sleep(500)
      t.notOk(eleventh.isClosed)
      await eleventh.closed
      t.ok(now() - beganMs > 900)
      t.equal(eleventh.receivedBytes, 0)
      t.match(server.warnings(), [/connection_creation_rate/])
      await sleep(12_000)
      const later = await connect()
      later.send(apiVersions(2))
      t.equal(await later.correlationId(), 2)
      for (let i = 0; i < 9; i++) await connect()
      const held = await connect()
      await server.listener.close()
      await held.closed
    })
    const byListener = new Map([['PLAINTEXT', { ...unlimitedListener, connectionsMax: 2 }]])
    await simulated({ byListener }, async ({ server, connect, sleep }) => {
      const first = await connect()
      await connect()
      await (await connect()).closed
      t.match(server.warnings(), [/^max.connections is 2 for the listener PLAINTEXT/])
      first.stream.destroy()
      await sleep(100)
      const third = await connect()
      third.send(apiVersions(1))
      t.equal(await third.correlationId(), 1)
    })
  },
)

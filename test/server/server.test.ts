/** The server over real loopback sockets, and over the simulated network where time or delays matter. */
import t, { type Test } from 'tap'
import { apis } from '../../protocol/apis.ts'
import { errors } from '../../protocol/errors.ts'
import { decodeResponse, decodeResponseHeader } from '../../protocol/frame.ts'
import { Reader } from '../../protocol/reader.ts'
import type { Environment } from '../../src/environment/environment.ts'
import { BufferPool } from '../../src/environment/node/buffer-pool.ts'
import { createNodeEnvironment } from '../../src/environment/node/environment.ts'
import { FrameCutter } from '../../src/server/frames.ts'
import { type LimitOptions, Limits } from '../../src/server/limits.ts'
import { SeededRandom } from '../simulator/random.ts'
import { SimulatedWorld } from '../simulator/simulated-world.ts'
import { RawClient } from './raw-client.ts'
import {
  apiVersions,
  deleteGroups,
  describeGroups,
  findCoordinator,
  frame,
  heartbeat,
  large,
  listGroups,
  produce,
  TestServer,
} from './test-server.ts'

const environment = createNodeEnvironment({ log: { level: 'silent' } })

interface Scene {
  readonly server: TestServer
  readonly client: RawClient
  readonly environment: Environment
  connect(): Promise<RawClient>
  /** Lets everything that is under way happen. */
  settle(): Promise<void>
}

async function onLoopback(t: Test, limits: Partial<LimitOptions> = {}): Promise<Scene> {
  const server = await TestServer.start(environment, limits)
  t.teardown(() => server.listener.close(0))
  const connect = () => RawClient.connect(environment, server.listener.address)
  const settle = () => new Promise<void>((resolve) => setTimeout(resolve, 30))
  return { server, client: await connect(), environment, connect, settle }
}

/** Runs a story in a simulated world. */
async function simulated(
  seed: number,
  limits: Partial<LimitOptions>,
  story: (scene: Scene, world: SimulatedWorld) => Promise<void>,
): Promise<SimulatedWorld> {
  const world = new SimulatedWorld(seed)
  const { environment } = world.start('broker')
  const near = world.start('client').environment
  const tell = async (): Promise<void> => {
    const server = await TestServer.start(environment, limits)
    const connect = () => RawClient.connect(near, server.listener.address)
    const settle = () => new Promise<void>((resolve) => void near.timers.after(100, resolve))
    await story({ server, client: await connect(), environment, connect, settle }, world)
  }
  await world.run(tell(), 86_400_000)
  return world
}

async function correlationIds(client: RawClient, count: number): Promise<number[]> {
  const ids: number[] = []
  for (let i = 0; i < count; i++) ids.push(await client.correlationId())
  return ids
}

t.test('answers over TCP, and tells the handler who asks', async (t) => {
  const { server, client } = await onLoopback(t)
  const request = { clientSoftwareName: 'x', clientSoftwareVersion: '1' }
  client.send(frame(apis.apiVersions.request, 3, 7, request))
  const reader = new Reader(await client.response())
  t.equal(decodeResponseHeader(reader, apis.apiVersions.response, 3), 7)
  t.match(decodeResponse(apis.apiVersions.response, 3, reader), { errorCode: 0, apiKeys: [] })
  const [context] = server.contexts
  t.match(context, { apiKey: 18, apiVersion: 3, correlationId: 7, clientId: 'test' })
  t.equal(context?.listener, 'PLAINTEXT')
  t.equal(context?.connection.principal, 'User:ANONYMOUS')
  t.same(context?.connection.local, server.listener.address)
  t.same(context?.connection.remote, client.stream.local)
  t.match(context?.connection.id, /^127\.0\.0\.1:\d+-127\.0\.0\.1:\d+-0-0$/)
  t.equal(server.counters.requestsOf(18), 1)
  t.equal(server.counters.connectionsOpen, 1)
  let isTold = false
  context?.connection.onClose(() => {
    isTold = true
  })
  client.stream.destroy()
  await client.closed
  while (server.counters.connectionsOpen > 0) await new Promise(setImmediate)
  t.ok(isTold)
  t.equal(context?.connection.isOpen, false)
})

t.test('replies leave in the order of the requests, whichever is ready first', async (t) => {
  const { server, client, settle } = await onLoopback(t)
  client.send(listGroups(1), apiVersions(2), produce(3, 0), listGroups(4), produce(5, 1))
  await settle()
  t.equal(server.parked.length, 2)
  t.equal(client.receivedBytes, 0)
  server.parked[1]?.resolve()
  await settle()
  t.equal(client.receivedBytes, 0)
  server.parked[0]?.resolve()
  t.same(await correlationIds(client, 4), [1, 2, 4, 5], 'acks=0 is not answered')
  client.send(apiVersions(6))
  t.equal(await client.correlationId(), 6)
  t.equal(server.limits.requestBytes.taken, 0)
})

t.test('what takes many turns is not overtaken by what follows', async (t) => {
  const { server, client, connect } = await onLoopback(t)
  client.send(findCoordinator(1), apiVersions(2), findCoordinator(3), apiVersions(4))
  const other = await connect()
  other.send(apiVersions(7))
  t.equal(await other.correlationId(), 7)
  t.same(await correlationIds(client, 4), [1, 2, 3, 4])
  t.same(
    server.done.filter((id) => id !== 7),
    [1, 2, 3, 4],
    'the next begins when the one before is done, as with Kafka',
  )
})

t.test('a large request takes turns with others, and keeps its place', async (t) => {
  const { server, client, connect, settle } = await onLoopback(t)
  const names = 50_000
  client.send(deleteGroups(1, names), apiVersions(2), deleteGroups(3, 10))
  const other = await connect()
  other.send(apiVersions(1))
  t.equal(await other.correlationId(), 1)
  const reader = new Reader(await client.response())
  t.equal(decodeResponseHeader(reader, apis.deleteGroups.response, 0), 1)
  const { results } = decodeResponse(apis.deleteGroups.response, 0, reader)
  t.equal(results.length, names)
  t.equal(results[names - 1]?.groupId, `group-${names - 1}`)
  t.same(await correlationIds(client, 2), [2, 3])
  t.equal(server.limits.requestBytes.taken, 0)

  other.send(deleteGroups(2, names))
  await settle()
  other.stream.destroy()
  while (server.counters.connectionsOpen > 1) await settle()
  t.equal(server.limits.requestBytes.taken, 0, 'for who has gone nothing is kept')

  const torn = deleteGroups(4, names)
  torn.writeInt16BE(-5, torn.length - 13)
  client.send(torn, apiVersions(5))
  await client.closed
  t.match(server.warnings().at(-1), /^DeleteGroups version 0 cannot be read/)
  t.equal(server.limits.requestBytes.taken, 0)
  t.same(
    server.lines.filter(({ level }) => level === 'error'),
    [],
  )
})

t.test('what is produced is appended, though its peer has gone before it was read', async (t) => {
  const { server, connect, settle } = await onLoopback(t)
  const { requestBytes, replyBytes } = server.limits
  const clients = await Promise.all(Array.from({ length: 20 }, connect))
  for (const [id, client] of clients.entries()) {
    client.send(produce(id, id % 2, 30_000))
    client.stream.end()
  }
  await Promise.all(clients.map(({ closed }) => closed))
  while (server.done.length < clients.length) await settle()
  t.same(
    server.done.toSorted((a, b) => a - b),
    [...clients.keys()],
  )
  t.same([requestBytes.taken, replyBytes.taken], [0, 0], 'and nothing of it is kept')
})

t.test('what many large requests decode to is bounded over all connections', async (t) => {
  const limit = 16_000_000
  const limits = { queuedRequestBytesMax: limit }
  await simulated(8, limits, async ({ server, connect, settle }) => {
    const { requestBytes } = server.limits
    let most = 0
    const take = requestBytes.take.bind(requestBytes)
    requestBytes.take = (bytes) => {
      take(bytes)
      most = Math.max(most, requestBytes.taken)
    }
    const clients = await Promise.all(Array.from({ length: 60 }, connect))
    const groupsNames = Array.from({ length: 50_000 }, () => '')
    const request = frame(apis.deleteGroups.request, 0, 1, { groupsNames })
    for (const client of clients) client.send(request)
    const [gone, ...others] = clients
    gone?.stream.destroy()
    const replies = others.map((client) => client.correlationId())
    t.same(new Set(await Promise.all(replies)), new Set([1]), 'all are answered')
    t.ok(most > limit && most < 3 * limit, `${most} bytes were taken`)
    await settle()
    t.equal(requestBytes.taken, 0)
  })
})

t.test('what decodes to more than is allowed is refused, however it is read', async (t) => {
  const { server, client } = await onLoopback(t, { decodedBytesMax: 1024 * 1024 })
  client.send(deleteGroups(1, 50_000))
  await client.closed
  t.match(server.warnings(), [/arrays that take more than 1048576 bytes once decoded/])
  t.equal(server.limits.requestBytes.taken, 0)
})

t.test('byte by byte, and cut anywhere by the seed', async (t) => {
  const { client } = await onLoopback(t)
  const bytes = Buffer.concat([apiVersions(1), produce(2, 1), apiVersions(3)])
  for (const byte of bytes) {
    client.send(Buffer.of(byte))
    await new Promise(setImmediate)
  }
  t.same(await correlationIds(client, 3), [1, 2, 3])
  const story = async ({ client, server }: Scene): Promise<void> => {
    for (let i = 0; i < 50; i++) client.send(i % 7 === 0 ? large(i, 300_000) : apiVersions(i))
    t.same(await correlationIds(client, 50), [...Array(50).keys()])
    t.equal(server.limits.requestBytes.taken, 0)
  }
  const hashes = []
  for (const seed of [1, 1, 2]) hashes.push((await simulated(seed, {}, story)).hash())
  t.equal(hashes[0], hashes[1], 'the same seed, the same events')
  t.not(hashes[0], hashes[2])
})

t.test('frames come out as they went in, however the stream is cut', async (t) => {
  const buffers = new BufferPool({ isPoisoning: true })
  const random = new SeededRandom(11)
  const frames = Array.from({ length: 60 }, (_, i) =>
    random.bytes([1, 9, 5000, 400_000][i % 4] ?? 1),
  )
  frames.push(random.bytes(3_000_000))
  const stream = Buffer.concat(
    frames.flatMap((frame) => {
      const length = Buffer.alloc(4)
      length.writeInt32BE(frame.length)
      return [length, frame]
    }),
  )
  const cutter = new FrameCutter(1, 3_000_000, buffers)
  const cut: Buffer[] = []
  for (let at = 0; at < stream.length; ) {
    const bytes = random.between(1, random.pick([5, 2000, 65_536]))
    const chunk = Buffer.from(stream.subarray(at, at + bytes))
    at += bytes
    cutter.push(chunk)
    const takeMax = random.chance(0.9) ? Number.POSITIVE_INFINITY : 1
    for (let taken = 0; taken < takeMax; taken++) {
      const frame = cutter.next()
      if (frame === undefined) break
      cut.push(frame)
    }
    cutter.keep()
    chunk.fill(0xdd)
  }
  while (cutter.hasUnread) {
    const frame = cutter.next()
    if (frame !== undefined) cut.push(frame)
  }
  t.equal(cut.length, frames.length)
  t.ok(cut.every((frame, i) => frame.equals(frames[i] as Buffer)))
  t.equal(cutter.gatheredBytes, 0)
})

t.test('a large frame moves into larger memory in parts, and arrives whole', async (t) => {
  const buffers = new BufferPool({ isPoisoning: true })
  const cutter = new FrameCutter(1, 30_000_000, buffers)
  const frame = Buffer.alloc(20_000_000)
  for (let at = 0; at < frame.length; at += 4) frame.writeInt32BE(at, at)
  const head = Buffer.alloc(4)
  head.writeInt32BE(frame.length)
  cutter.push(head)
  t.equal(cutter.next(), undefined)
  const bitten = 900 * 1024
  let parts = 0
  let whole: Buffer | undefined
  for (let at = 0; at < frame.length; at += bitten) {
    const before = parts
    cutter.push(Buffer.from(frame.subarray(at, at + bitten)))
    while (cutter.hasUnread) {
      whole = cutter.next()
      // Each part may be in another turn of the event loop.
      if (cutter.hasUnread) {
        cutter.keep()
        parts++
      }
    }
    if (at === bitten) t.equal(parts - before, 3, 'four parts of 256 KiB at most')
  }
  t.ok(parts >= 20 && parts <= 40, `the 7 MB moved later as well: ${parts}`)
  t.ok(whole?.equals(frame))
  t.equal(cutter.gatheredBytes, 0)

  const half = new FrameCutter(1, 30_000_000, buffers)
  half.push(Buffer.concat([head, frame.subarray(0, bitten)]))
  t.equal(half.next(), undefined)
  half.push(Buffer.from(frame.subarray(bitten, 2 * bitten)))
  t.equal(half.next(), undefined)
  t.ok(half.hasUnread)
  half.close()
  const idleBytes = buffers.idleBytes
  t.ok(idleBytes > 8_000_000, 'closed in between, both go back')
})

t.test('a length that is only claimed gets no memory', async (t) => {
  const buffers = new BufferPool()
  const cutters = Array.from({ length: 500 }, () => new FrameCutter(8, 104_857_600, buffers))
  const before = process.memoryUsage().arrayBuffers
  for (const cutter of cutters) {
    cutter.push(Buffer.of(0x06, 0x40, 0, 0, 1, 2, 3))
    cutter.next()
  }
  const bytesEach = (process.memoryUsage().arrayBuffers - before) / cutters.length
  t.ok(bytesEach < 200_000, `${bytesEach} bytes for a claim of 100 MiB`)
})

t.test('what cannot be a request closes its connection, and only that', async (t) => {
  const { server, client: bystander, connect } = await onLoopback(t, { requestBytesMax: 1000 })
  const bad = [
    Buffer.from([0x00, 0x00, 0x03, 0xe9, 0, 18, 0, 0]),
    Buffer.from([0xff, 0xff, 0xff, 0xff]),
    Buffer.from([0, 0, 0, 7, 0, 0, 0]),
    Buffer.from([0, 0, 0, 0]),
    Buffer.from([0, 0, 0, 10, 0x7f, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff]),
    Buffer.from([0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0, 99]),
    Buffer.from([0, 0, 0, 12, 0, 12, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 1, 2]),
    Buffer.from([0, 0, 0, 10, 0, 12, 0, 99, 0, 0, 0, 1, 0xff, 0xff]),
    Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'),
  ]
  for (const bytes of bad) {
    const client = await connect()
    client.send(apiVersions(1), bytes)
    t.equal(await client.correlationId(), 1, 'what came before is answered')
    await client.closed
  }
  bystander.send(apiVersions(9))
  t.equal(await bystander.correlationId(), 9)
  t.equal(server.counters.connectionsFailed, bad.length)
  t.ok(server.warnings().length < bad.length, 'one line per peer, kind of reason and interval')
  t.match(server.lines[0]?.fields.peer, /^127\.0\.0\.1:\d+$/)
  t.equal(server.warnings()[0], 'a frame of 1001 bytes where at most 1000 are allowed')
})

t.test('each reason is named, and later lines say how many were left out', async (t) => {
  await simulated(1, {}, async ({ server, connect, environment }) => {
    const reasons = [
      [Buffer.from([0xff, 0xff, 0xff, 0xff]), /^a frame of -1 bytes/],
      [Buffer.from([0, 0, 0, 10, 0x7f, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff]), /^API key 32512 is/],
      [Buffer.from([0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0, 99]), /^ApiVersions version 0 cannot/],
      [Buffer.from([0, 0, 0, 11, 0, 12, 0, 99, 0, 0, 0, 1, 255, 255, 0]), /^Heartbeat has no ver/],
      [frame(apis.leaveGroup.request, 0, 1, { groupId: 'g', memberId: 'm' }), /NOT_COORDINATOR/],
      [Buffer.from('160301020001', 'hex'), /^the handshake of TLS, but this listener is PLAINTEXT/],
      [Buffer.from('GET /metrics'), /^a request of HTTP, which is answered at http.listeners/],
    ] as const
    for (const [bytes, reason] of reasons) {
      for (let i = 0; i < 3; i++) {
        const client = await connect()
        client.send(bytes)
        await client.closed
      }
      t.match(server.warnings().at(-1), reason)
      await new Promise<void>((resolve) => void environment.timers.after(20_000, resolve))
    }
    t.same(
      server.lines.map(({ fields }) => fields.similar),
      reasons.flatMap(() => [undefined, 2]),
    )
  })
})

t.test('ApiVersions of an unknown version is answered in version 0', async (t) => {
  const { client } = await onLoopback(t)
  client.send(Buffer.from([0, 0, 0, 11, 0, 18, 0, 99, 0, 0, 0, 5, 0xff, 0xff, 0]))
  const reader = new Reader(await client.response())
  t.equal(decodeResponseHeader(reader, apis.apiVersions.response, 0), 5)
  t.match(decodeResponse(apis.apiVersions.response, 0, reader), {
    errorCode: errors.UNSUPPORTED_VERSION.code,
    apiKeys: [{ apiKey: 18, minVersion: 0, maxVersion: 4 }],
  })
})

t.test('errors become responses where the API has one', async (t) => {
  const { server, client, settle } = await onLoopback(t)
  client.send(heartbeat(1, 'g'), heartbeat(2, 'bug'), listGroups(3))
  t.equal((await client.response()).readInt16BE(4), errors.NOT_COORDINATOR.code)
  t.equal((await client.response()).readInt16BE(4), errors.UNKNOWN_SERVER_ERROR.code)
  t.match(server.lines, [
    { level: 'error', message: 'Heartbeat failed', fields: { client: 'test' } },
  ])
  await settle()
  server.parked[0]?.reject(new Error('late'))
  await client.closed
  t.match(server.warnings(), [/^ListGroups ended with UNKNOWN_SERVER_ERROR/])
})

t.test('a peer that does not read is not read either', async (t) => {
  const { server, client, settle } = await onLoopback(t)
  client.stream.pause()
  const requests = 150
  for (let i = 0; i < requests; i++) client.send(large(i, 64 * 1024))
  await settle()
  const taken = server.counters.requestsOf(36)
  t.ok(taken < 60, `${taken} of ${requests} requests were taken`)
  client.stream.resume()
  t.same(await correlationIds(client, requests), [...Array(requests).keys()])
})

t.test('no more than so many requests of a connection wait', async (t) => {
  const { server, client, settle } = await onLoopback(t, { requestsPerConnectionMax: 3 })
  for (let i = 0; i < 10; i++) client.send(listGroups(i))
  for (let answered = 0; answered < 10; answered++) {
    await settle()
    t.equal(server.parked.length, Math.min(10, answered + 3))
    server.parked[answered]?.resolve()
    t.equal(await client.correlationId(), answered)
  }
})

t.test('replies that wait for their turn are bounded', async (t) => {
  const replies = { replyBytesPerConnectionMax: 3_000_000 }
  await simulated(4, replies, async ({ server, client, settle }) => {
    client.send(listGroups(0), ...Array.from({ length: 9 }, (_, i) => large(i + 1)))
    await settle()
    t.equal(server.counters.requestsOf(36), 3, 'those of 1 MiB up to the limit')
    server.parked[0]?.resolve()
    t.same(await correlationIds(client, 10), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])

    client.send(describeGroups(10), apiVersions(11))
    await settle()
    t.equal(server.contexts.length, 0, 'a reply that may be large is waited for')
    server.parked[1]?.resolve()
    t.same(await correlationIds(client, 2), [10, 11])
  })
})

t.test('unfinished requests are bounded, and all get ahead', async (t) => {
  const limits = { queuedRequestBytesMax: 1_000_000 }
  await simulated(5, limits, async ({ server, connect, settle }) => {
    const { unfinishedFrames, requestBytes } = server.limits
    server.replyBytes = 1
    const bytes = 900_000
    const clients = await Promise.all(Array.from({ length: 8 }, connect))
    const request = large(1, bytes)
    for (const client of clients) {
      for (let at = 0; at < 600_000; at += 50_000) client.send(request.subarray(at, at + 50_000))
      await settle()
    }
    t.ok(unfinishedFrames.bytes > 1_000_000, 'up to the limit')
    t.ok(unfinishedFrames.bytes < 3_500_000, `and not far beyond it: ${unfinishedFrames.bytes}`)
    const small = await connect()
    small.send(apiVersions(1))
    t.equal(await small.correlationId(), 1, 'what is whole is answered')

    for (const client of clients.slice(4)) client.send(request.subarray(600_000))
    const finished = clients.slice(4).map((client) => client.correlationId())
    t.same(await Promise.all(finished), [1, 1, 1, 1])
    for (const client of clients.slice(0, 4)) client.stream.destroy()
    await settle()
    t.equal(unfinishedFrames.bytes, 0)
    t.equal(requestBytes.taken, 0)
  })
})

t.test('bytes of requests are bounded over all connections', async (t) => {
  await simulated(3, { queuedRequestBytesMax: 20 }, async ({ server, client, connect, settle }) => {
    const other = await connect()
    client.send(listGroups(1))
    await settle()
    client.send(listGroups(2))
    await settle()
    other.send(apiVersions(1), apiVersions(2))
    await settle()
    t.equal(server.parked.length, 2, 'the last one taken may go beyond the limit')
    t.equal(other.receivedBytes, 0)
    server.parked[0]?.resolve()
    t.equal(await client.correlationId(), 1)
    t.same(await correlationIds(other, 2), [1, 2])
    client.stream.destroy()
    await settle()
    t.equal(server.limits.requestBytes.taken, 0, 'what a dead connection held is given back')
  })
})

t.test('idle connections close, busy ones do not', async (t) => {
  const limits = { idleMsMax: 600_000 }
  await simulated(4, limits, async ({ server, client, connect, environment }, world) => {
    const sleep = (ms: number) =>
      new Promise<void>((resolve) => void environment.timers.after(ms, resolve))
    const parked = await connect()
    const talking = await connect()
    const startedMs = world.nowMs
    parked.send(listGroups(1))
    for (let i = 0; i < 20; i++) {
      await sleep(90_000)
      talking.send(apiVersions(i))
      await talking.response()
      t.equal(client.isClosed, world.nowMs - startedMs > 600_000)
    }
    t.equal(parked.isClosed, false, 'an unanswered request is no idleness')
    t.equal(server.counters.connectionsOpen, 2)
    server.parked[0]?.resolve()
    t.equal(await parked.correlationId(), 1)
    await parked.closed
  })
})

t.test('without settings connections are limited as well, and leave files to the logs', (t) => {
  const limits = new Limits({ now: () => 0, monotonic: () => 0 })
  const admitted = (hosts: number, from: number) => {
    let count = 0
    for (let index = 0; index < 30_000; index++) {
      if (limits.admit(`10.0.${from}.${index % hosts}`, 'PLAINTEXT') === undefined) count++
    }
    return count
  }
  t.equal(admitted(1, 1), 15_000, 'of one address')
  t.equal(admitted(200, 2), 5_000, 'of all')
  t.match(limits.admit('192.0.2.1', 'PLAINTEXT'), /max.connections is 20000/)
  const few = new Limits({ now: () => 0, monotonic: () => 0 })
  few.streamsMax = 2
  t.equal(few.admit('a', 'PLAINTEXT'), undefined)
  t.equal(few.admit('b', 'PLAINTEXT'), undefined)
  t.match(few.admit('c', 'PLAINTEXT'), /leave room for 2 connections/)
  t.end()
})

t.test('connections are limited: in total, and per address', async (t) => {
  const total = await onLoopback(t, { connectionsMax: 2 })
  const second = await total.connect()
  await (await total.connect()).closed
  t.match(total.server.warnings(), [/^max.connections is 2/])
  second.stream.destroy()
  await total.settle()
  const third = await total.connect()
  third.send(apiVersions(1))
  t.equal(await third.correlationId(), 1)

  const perIp = await onLoopback(t, {
    connectionsPerIpMax: 1,
    connectionsPerIpOverrides: new Map([['127.0.0.1', 2]]),
  })
  await perIp.connect()
  await (await perIp.connect()).closed
  t.match(perIp.server.warnings(), [/^max.connections.per.ip is 2/])
  t.equal(perIp.server.counters.connectionsRefused, 1)
})

t.test('closing answers what was taken, and cuts off what takes too long', async (t) => {
  const graceful = await onLoopback(t)
  graceful.client.send(listGroups(1))
  await graceful.settle()
  const closed = graceful.server.listener.close(5000)
  graceful.client.send(apiVersions(2))
  await graceful.settle()
  graceful.server.parked[0]?.resolve()
  t.equal(await graceful.client.correlationId(), 1)
  await closed
  await graceful.client.closed
  await t.rejects(graceful.connect(), { code: 'ECONNREFUSED' })

  const abrupt = await onLoopback(t)
  abrupt.client.send(listGroups(1))
  await abrupt.settle()
  await abrupt.server.listener.close(10)
  await abrupt.client.closed
  t.equal(abrupt.server.counters.connectionsOpen, 0)
})

t.test('a second listener on the same port is refused', async (t) => {
  const { server } = await onLoopback(t)
  const { port } = server.listener.address
  const listening = environment.network.listen({ host: '127.0.0.1', port }, () => undefined)
  await t.rejects(listening, { code: 'EADDRINUSE' })
})

/**
 * Who writes how much in a turn: by bytes and by turns, which the test lets come one after the other, and what
 * a reply may hold of records. And what becomes of memory whose reply nobody waits for any more.
 */
import t from 'tap'
import { apis } from '../../protocol/apis.ts'
import type { Buffers } from '../../src/environment/buffers.ts'
import { BufferPool } from '../../src/environment/node/buffer-pool.ts'
import { type Asker, Exchange } from '../../src/server/exchange.ts'
import { handler } from '../../src/server/handler.ts'
import { Limits } from '../../src/server/limits.ts'
import { WriteTurns } from '../../src/server/write-turns.ts'
import { SimulatedWorld } from '../simulator/simulated-world.ts'
import { RawClient } from './raw-client.ts'
import { apiVersions, large, TestServer } from './test-server.ts'

const kib = 1024
const turnBytes = 1024 * kib
const pieceBytes = 256 * kib

class Loop {
  readonly writes = new WriteTurns()
  readonly written: [name: string, bytes: number][] = []
  /** How long the system takes for a write. */
  writeMs = 0
  #next: (() => void)[] = []
  readonly timers = {
    after: () => ({ cancel() {} }),
    endOfTurn: () => undefined,
    nextTurn: (callback: () => void) => void this.#next.push(callback),
    lineUp: () => undefined,
  }

  /** A connection that has so many bytes to write, of which the system takes all. */
  connection(name: string, bytes: number): () => void {
    let left = bytes
    const write = (): void => {
      while (left > 0) {
        const room = this.writes.room(left)
        if (room === 0) {
          this.writes.lineUp(write, this.timers)
          return
        }
        this.written.push([name, room])
        if (this.writes.isShared(left)) this.writes.spend(room, this.writeMs, this.timers)
        left -= room
      }
    }
    return write
  }

  /** What was written since the last time, in the turn that comes next. */
  turn(): [string, number][] {
    this.written.length = 0
    for (const callback of this.#next.splice(0)) callback()
    return [...this.written]
  }

  get isQuiet(): boolean {
    return this.#next.length === 0
  }
}

t.test('alone a connection fills turn after turn', async (t) => {
  const loop = new Loop()
  loop.connection('a', 2.5 * turnBytes)()
  t.strictSame(loop.written, [['a', turnBytes]])
  t.strictSame(loop.turn(), [['a', turnBytes]])
  t.strictSame(loop.turn(), [['a', turnBytes / 2]])
  t.strictSame(loop.turn(), [])
  t.ok(loop.isQuiet)
})

t.test('of several each has a piece, and comes round again', async (t) => {
  const loop = new Loop()
  loop.connection('first', turnBytes)()
  for (const name of ['a', 'b', 'c']) loop.connection(name, 2 * pieceBytes)()
  t.strictSame(loop.written, [['first', turnBytes]], 'one turn is one turn')
  const piece = (name: string) => [name, pieceBytes]
  t.strictSame(loop.turn(), [piece('a'), piece('b'), piece('c'), piece('a')])
  t.strictSame(loop.turn(), [piece('b'), piece('c')])
})

t.test('a small reply waits for nobody, and one that is large does not overtake', async (t) => {
  const loop = new Loop()
  for (const name of ['a', 'b', 'c']) loop.connection(name, 2 * turnBytes)()
  loop.written.length = 0
  loop.connection('small', 64 * kib)()
  t.strictSame(loop.written, [['small', 64 * kib]])
  loop.connection('late', 65 * kib)()
  t.equal(loop.written.length, 1)
  const order = [...loop.turn(), ...loop.turn()].map(([name]) => name)
  t.ok(order.indexOf('late') > order.indexOf('c'))
  t.ok(order.includes('late'), 'and has its piece before others have their third')
})

t.test('where writes take long a turn has fewer of them, and smaller ones', async (t) => {
  const loop = new Loop()
  loop.writeMs = 0.4
  loop.connection('first', turnBytes)()
  for (const name of ['a', 'b', 'c', 'd']) loop.connection(name, 8 * pieceBytes)()
  const sizes = () => loop.turn().map(([, bytes]) => bytes)
  t.strictSame(sizes(), [pieceBytes, pieceBytes, pieceBytes], 'and not the fourth')
  loop.writeMs = 5
  t.strictSame(sizes(), [pieceBytes])
  t.strictSame(sizes(), [pieceBytes / 2])
  t.strictSame(sizes(), [pieceBytes / 4])
  t.strictSame(sizes(), [pieceBytes / 4], 'the smallest')
  loop.writeMs = 0
  t.strictSame(sizes().slice(0, 3), [pieceBytes / 4, pieceBytes / 2, pieceBytes])
  const order: string[] = []
  for (let turns = 0; turns < 4; turns++) order.push(...loop.turn().map(([name]) => name))
  for (const name of ['a', 'b', 'c', 'd']) t.ok(order.includes(name), 'all get on')
})

t.test('who has gone is not waited for', async (t) => {
  const loop = new Loop()
  loop.connection('a', turnBytes)()
  const gone = loop.connection('gone', turnBytes)
  gone()
  loop.connection('c', pieceBytes)()
  loop.writes.forget(gone)
  t.strictSame(loop.turn(), [['c', pieceBytes]])
})

t.test('large replies of many connections leave whole, and small ones meanwhile', async (t) => {
  const world = new SimulatedWorld(7)
  const { environment } = world.start('broker')
  const near = world.start('client').environment
  const replyBytes = 3_000_000
  await world.run(
    (async () => {
      const server = await TestServer.start(environment, { requestsPerConnectionMax: 1 })
      server.replyBytes = replyBytes
      const connect = () => RawClient.connect(near, server.listener.address)
      const clients = await Promise.all(Array.from({ length: 5 }, connect))
      for (const client of clients) client.send(large(1), apiVersions(2))
      for (const client of clients) {
        const answer = await client.response()
        t.ok(answer.length > replyBytes)
        t.equal(await client.correlationId(), 2)
        client.stream.destroy()
      }
      await new Promise<void>((resolve) => void near.timers.after(100, resolve))
      t.equal(server.limits.replyBytes.taken, 0)
    })(),
    3_600_000,
  )
})

t.test('whoever reads may have more records in a reply, whoever does not gets few', async (t) => {
  const world = new SimulatedWorld(8)
  const { environment } = world.start('broker')
  const near = world.start('client').environment
  await world.run(
    (async () => {
      const server = await TestServer.start(environment)
      server.replyBytes = 100 * kib
      const connect = () => RawClient.connect(near, server.listener.address)
      /** What the records of a reply to this client may take. */
      const room = async (client: RawClient) => {
        client.send(apiVersions(9))
        await client.response()
        return server.contexts.at(-1)?.replyBytesLeft ?? 0
      }
      const good = await connect()
      t.equal(await room(good), 256 * kib)
      const read = async (replies: number) => {
        for (; replies > 0; replies--) {
          good.send(large(1))
          await good.response()
        }
      }
      await read(4)
      t.equal(await room(good), 512 * kib, 'so much has left')
      await read(100)
      t.equal(await room(good), server.limits.options.recordBytesPerReplyMax)

      const deaf = await connect()
      deaf.send(apiVersions(1))
      await deaf.response()
      const context = server.contexts.at(-1)
      deaf.stream.pause()
      for (let replies = 0; replies < 100; replies++) deaf.send(large(replies))
      await new Promise<void>((resolve) => void near.timers.after(1000, resolve))
      t.ok((context?.replyBytesLeft ?? 0) <= 512 * kib)
      for (const { stream } of [good, deaf]) stream.destroy()
    })(),
    3_600_000,
  )
})

function exchangeOn(buffers: Buffers): Exchange {
  const limits = new Limits({ now: () => 0, monotonic: () => 0 })
  const connection = { buffers, limits, listener: 'PLAINTEXT' } as unknown as Asker
  const head = { apiKey: apis.fetch.key, apiVersion: 12, correlationId: 1, clientId: null }
  const body = {
    handler: handler(apis.fetch, () => null),
    receivedMs: 0,
    connection,
    authorizer: null,
    meter: null,
  }
  return new Exchange(head, body, Buffer.alloc(10))
}

t.test('memory of a reply that goes nowhere is used again, once', async (t) => {
  const pool = new BufferPool()
  const answered = exchangeOn(pool)
  const chunk = pool.take(100_000)
  answered.releaseWhenSent(chunk)
  answered.settle([chunk])
  t.equal(pool.idleBytes, 0)
  answered.abandon()
  answered.abandon()
  t.ok(pool.idleBytes > 0, 'answered, and not sent')
  t.equal(answered.chunks, null)

  const idleBytes = pool.idleBytes
  const atWork = exchangeOn(pool)
  const read = pool.take(100_000)
  atWork.releaseWhenSent(read)
  atWork.abandon()
  t.equal(pool.idleBytes, 0, 'its handler may still look at it')
  atWork.settle([read])
  t.equal(pool.idleBytes, idleBytes, 'until it has answered')
  t.equal(atWork.chunks, null)
})

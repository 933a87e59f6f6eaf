/** The simulated world on its own: echo servers and clients, deaths, deadlocks, and the hash of it all. */
import t, { type Test } from 'tap'
import type { Environment } from '../../src/environment/environment.ts'
import type { Stream } from '../../src/environment/network.ts'
import { SimulatedWorld } from './simulated-world.ts'

async function echo({ network, timers }: Environment): Promise<number> {
  const listening = await network.listen({ host: '', port: 0 }, (stream) => {
    let waiting: Buffer[] = []
    stream.onData = (chunk) => {
      if (waiting.length === 0) {
        timers.endOfTurn(() => {
          if (!stream.write(waiting)) stream.pause()
          waiting = []
        })
      }
      waiting.push(Buffer.from(chunk))
    }
    stream.onDrain = () => stream.resume()
    stream.onClose = () => undefined
  })
  return listening.address.port
}

interface Talk {
  readonly received: () => string
  readonly closed: Promise<Error | undefined>
  readonly stream: Stream
}

async function talk({ network }: Environment, host: string, port: number): Promise<Talk> {
  const stream = await network.connect({ host, port })
  let received = ''
  stream.onData = (chunk) => {
    received += chunk.toString('latin1')
  }
  stream.onDrain = () => undefined
  const closed = new Promise<Error | undefined>((resolve) => {
    stream.onClose = resolve
  })
  return { received: () => received, closed, stream }
}

async function conversation(t: Test, seed: number): Promise<string> {
  const world = new SimulatedWorld(seed)
  const server = world.start('server')
  const clients = [world.start('a'), world.start('b')]
  const port = await world.run(echo(server.environment))
  const talks = await world.run(
    Promise.all(clients.map(({ environment }) => talk(environment, 'server', port))),
  )
  let sent = ''
  for (let i = 0; i < 100; i++) {
    sent += `${i},`
    for (const { stream } of talks) stream.write([Buffer.from(`${i}`), Buffer.from(',')])
    await world.runFor(world.random.between(0, 3))
  }
  const large = 'x'.repeat(500_000)
  talks[0]?.stream.write([Buffer.from(large)])
  await world.runFor(10_000)
  t.equal(talks[0]?.received(), sent + large)
  t.equal(talks[1]?.received(), sent)
  return world.hash()
}

t.test('the same seed gives the same events, another seed others', async (t) => {
  const first = await conversation(t, 1)
  t.equal(await conversation(t, 1), first)
  t.not(await conversation(t, 2), first)
  t.match(first, /^[0-9a-f]{16}$/)
})

t.test('a process that dies takes its sockets, its timers and its writes along', async (t) => {
  for (const death of ['kill', 'crash'] as const) {
    const world = new SimulatedWorld(7)
    const server = world.start('server')
    const client = world.start('client')
    const port = await world.run(echo(server.environment))
    const { stream, closed, received } = await world.run(talk(client.environment, 'server', port))
    stream.write([Buffer.from('hello')])
    await world.runFor(100)
    t.equal(received(), 'hello')
    const file = server.disk.open('/log', 'create')
    file.write([Buffer.from('x')], 0)
    server.environment.timers.after(1, () => t.fail('a timer of a dead process ran'))
    server.environment.timers.endOfTurn(() => t.fail('a turn of a dead process ended'))
    world[death](server)
    t.throws(() => file.write([Buffer.from('y')], 1), { code: 'ESTALE' })
    t.match(await world.run(closed), { code: 'ECONNRESET' })
    const again = client.environment.network.connect({ host: 'server', port })
    await t.rejects(world.run(again), { code: 'ECONNREFUSED' })
    const next = world.start('server')
    if (death === 'kill') t.equal(next.disk.readFile('/log').toString(), 'x')
    const nextPort = await world.run(echo(next.environment))
    const answer = await world.run(talk(client.environment, 'server', nextPort))
    answer.stream.write([Buffer.from('again')])
    await world.runFor(100)
    t.equal(answer.received(), 'again')
    answer.stream.end()
    t.equal(await world.run(answer.closed), undefined)
  }
})

t.test('time is virtual, and waiting for what cannot come is an error', async (t) => {
  const world = new SimulatedWorld(1)
  const { environment } = world.start('a')
  const { clock, timers } = environment
  const startedMs = clock.now()
  const day = new Promise<string>((resolve) => {
    timers.after(86_400_000, () => resolve('a day later'))
  })
  await t.rejects(world.run(day), /600000 ms have passed, seed 1/)
  t.equal(await world.run(day, 86_400_000), 'a day later')
  t.equal(clock.now() - startedMs, 86_400_000)
  t.equal(clock.monotonic(), 86_400_000)
  await t.rejects(world.run(new Promise(() => undefined)), /nothing is left to happen, seed 1/)
  await t.rejects(world.run(Promise.reject(new Error('inner'))), /inner/)
})

t.test('a process that is paused finds what came in the meantime, in order', async (t) => {
  const world = new SimulatedWorld(1)
  const process = world.start('a')
  const { timers, clock } = process.environment
  const ran: string[] = []
  const note = (what: string) => () => void ran.push(`${what} at ${clock.monotonic()}`)
  timers.after(10, note('first'))
  const cancelled = timers.after(15, note('cancelled'))
  timers.after(20, note('second'))
  world.pause(process, 50)
  await world.runFor(30)
  world.pause(process, 100)
  world.jumpClock(process, -5_000)
  await world.runFor(30)
  timers.after(1, note('third'))
  cancelled.cancel()
  await world.runFor(200)
  t.same(ran, ['first at 130', 'second at 130', 'third at 130'])
  t.equal(clock.now() - world.director.environment.clock.now(), -5_000)
})

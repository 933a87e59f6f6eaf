/** The real world: timers and the edge of the turn, files, the directory lock, TCP streams, log lines. */
import { type ChildProcess, type StdioOptions, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { errors, KafkaError } from '../../protocol/errors.ts'
import { DiskError } from '../../src/environment/disk.ts'
import type { Stream } from '../../src/environment/network.ts'
import { type Closing, ClosingLine } from '../../src/environment/node/closing-line.ts'
import { DeadlineHeap } from '../../src/environment/node/deadline-heap.ts'
import { NodeDisk } from '../../src/environment/node/disk.ts'
import { createNodeEnvironment } from '../../src/environment/node/environment.ts'
import { createLogger, readable, Threshold } from '../../src/environment/node/logger.ts'
import { NodeTimers } from '../../src/environment/node/timers.ts'
import { SeededRandom } from '../simulator/random.ts'

const { clock, timers, random, disk, network } = createNodeEnvironment({ log: { level: 'silent' } })

/** A referenced wait: the environment's own timers do not keep the process alive. */
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

t.test('deadlines come out in order, equal ones as they went in, cancelled ones never', (t) => {
  const seeded = new SeededRandom(1)
  const heap = new DeadlineHeap()
  let expected: { at: number; index: number }[] = []
  const ran: number[] = []
  for (let index = 0; index < 1000; index++) {
    const at = seeded.between(0, 50)
    const timer = heap.add(at, () => void ran.push(index))
    if (seeded.chance(0.4)) {
      timer.cancel()
      timer.cancel()
    } else {
      expected.push({ at, index })
    }
  }
  t.equal(heap.size, expected.length)
  expected = expected.sort((a, b) => a.at - b.at || a.index - b.index)
  t.equal(heap.earliest, expected[0]?.at)
  for (let now = 0; now <= 50; now++) {
    for (let due = heap.takeDue(now); due !== undefined; due = heap.takeDue(now)) due()
    t.equal(ran.length, expected.filter(({ at }) => at <= now).length)
  }
  t.same(
    ran,
    expected.map(({ index }) => index),
  )
  t.equal(heap.earliest, Number.POSITIVE_INFINITY)
  t.end()
})

t.test('timers run in order and not before their time', async (t) => {
  const ran: string[] = []
  const startedMs = clock.monotonic()
  timers.after(30, () => {
    ran.push('late')
    t.ok(clock.monotonic() - startedMs >= 30)
  })
  timers.after(5, () => void ran.push('early'))
  timers.after(10, () => void ran.push('never')).cancel()
  timers.after(0, () => void ran.push('now'))
  timers.after(Number.POSITIVE_INFINITY, () => void ran.push('never')).cancel()
  while (ran.length < 3) await sleep(5)
  t.same(ran, ['now', 'early', 'late'])
})

t.test('deadlines that pass together leave room for others', async (t) => {
  const count = 50
  const ran: number[] = []
  // Time that passes only when something takes time.
  let nowMs = 0
  const slow = new NodeTimers({ now: () => nowMs, monotonic: () => nowMs })
  for (let index = 0; index < count; index++) {
    slow.after(5, () => {
      ran.push(index)
      nowMs += 0.4
    })
  }
  nowMs = 10
  const ranBefore: number[] = [0]
  const look = () => {
    ranBefore.push(ran.length)
    if (ran.length < count) setImmediate(look)
  }
  setImmediate(look)
  while (ran.length < count) await sleep(1)
  const inTurn = ranBefore.map((now, index) => now - (ranBefore[index - 1] ?? 0))
  t.equal(Math.max(...inTurn), 3, 'a millisecond in a turn, and what was begun in it')
  t.same(
    ran,
    Array.from({ length: count }, (_, index) => index),
  )
  const setMs = clock.monotonic()
  let ranMs = 0
  timers.after(10, () => {
    ranMs = clock.monotonic()
  })
  while (ranMs === 0) await sleep(1)
  t.ok(ranMs - setMs >= 10, 'and then they wait again')
})

t.test('the end of the turn: writes, then what they let go on, then replies', async (t) => {
  const ran: string[] = []
  timers.endOfTurn(() => {
    ran.push('write')
    void Promise.resolve()
      .then(() => Promise.resolve())
      .then(() => {
        ran.push('written')
        timers.endOfTurn(() => void ran.push('reply'))
      })
    timers.endOfTurn(() => void ran.push('given while draining'))
  })
  timers.endOfTurn(() => void ran.push('second write'))
  queueMicrotask(() => void ran.push('rest of the turn'))
  const turn = new Promise((resolve) => setImmediate(resolve))
  await turn
  t.same(ran, [
    'rest of the turn',
    'write',
    'second write',
    'given while draining',
    'written',
    'reply',
  ])
})

t.test('random numbers lie in [0, 1) and differ', (t) => {
  const drawn = Array.from({ length: 2000 }, () => random.float())
  t.ok(drawn.every((value) => value >= 0 && value < 1))
  t.equal(new Set(drawn).size, 2000)
  t.equal(random.bytes(16).length, 16)
  t.end()
})

t.test('files: written by chunks, read back, cut, synced', async (t) => {
  const directory = t.testdir()
  const path = join(directory, 'a', 'b', 'log')
  t.throws(() => disk.open(path, 'create'), { code: 'ENOENT', path })
  disk.makeDirectory(join(directory, 'a', 'b'))
  disk.makeDirectory(join(directory, 'a', 'b'))
  t.throws(() => disk.open(path, 'write'), { code: 'ENOENT' })
  const file = disk.open(path, 'create')
  file.write([Buffer.from('hello')], 0)
  file.write([Buffer.from(', '), Buffer.alloc(0), Buffer.from('world')], 5)
  t.equal(file.size(), 12)
  const many = Array.from({ length: 3000 }, (_, i) => Buffer.from([i & 0xff, i >> 8]))
  file.write(many, 12)
  const target = Buffer.alloc(7000)
  t.equal(file.read(target, 12), 6000)
  t.ok(target.subarray(0, 6000).equals(Buffer.concat(many)))
  t.equal(await file.readAsync(target, 0), 6012)
  t.equal(target.toString('latin1', 0, 12), 'hello, world')
  await file.sync()
  file.truncate(5)
  file.syncNow()
  t.equal(disk.readFile(path).toString(), 'hello')
  t.equal(disk.open(path, 'create').size(), 5, 'opening never truncates')
  t.match(disk.stat(path), { size: 5, isDirectory: false })
  t.ok(Math.abs(disk.stat(path).modifiedMs - Date.now()) < 60_000)
  const reading = file.readAsync(target, 0)
  const syncing = file.sync()
  file.close()
  file.close()
  t.equal(await reading, 5, 'calls in flight end before the file closes')
  await syncing
  t.throws(() => file.size(), { code: 'EBADF' })
  await t.rejects(file.readAsync(target, 0), { code: 'EBADF' })
  t.throws(() => file.write([target], 0), DiskError)
  const reader = disk.open(path, 'read')
  t.throws(() => reader.write([target], 0), { code: 'EBADF' })
})

t.test('nobody waits for the other end of a pipe', { skip: process.platform !== 'linux' }, (t) => {
  const path = join(t.testdir({}), 'pipe')
  t.equal(spawnSync('mkfifo', [path]).status, 0)
  t.equal(disk.readFile(path).length, 0)
  for (const mode of ['read', 'write'] as const) {
    const file = disk.open(path, mode)
    t.throws(() => file.read(Buffer.alloc(1), 0), { code: 'ESPIPE' })
    file.close()
  }
  t.end()
})

t.test(
  'what is written back is waited for so long and no longer, and may fail to begin',
  { skip: process.platform !== 'linux' },
  async (t) => {
    const directory = t.testdir({ sync: '#!/bin/sh\necho $$ > "$2/pid"\nexec sleep 300\n' })
    await disk.writeBack(directory)
    // Refused in place, as with no memory left.
    await disk.writeBack('no\0path')
    fs.chmodSync(join(directory, 'sync'), 0o755)
    const { PATH } = process.env
    process.env['PATH'] = `${directory}:${PATH}`
    t.teardown(() => {
      process.env['PATH'] = PATH
    })
    await new NodeDisk({ writeBackMsMax: 1_000 }).writeBack(directory)
    const pid = Number(fs.readFileSync(join(directory, 'pid'), 'utf8'))
    t.ok(pid > 0)
    const isRunning = () => fs.existsSync(`/proc/${pid}`)
    for (let tries = 0; isRunning() && tries < 500; tries++) await sleep(10)
    t.notOk(isRunning(), 'nothing is left running')
  },
)

t.test('names: listed in order, renamed over, removed', async (t) => {
  const directory = t.testdir({ b: 'old', a: 'new', z: { deep: { file: '' } } })
  const at = (name: string): string => join(directory, name)
  t.same(disk.list(directory), [
    { name: 'a', isDirectory: false },
    { name: 'b', isDirectory: false },
    { name: 'z', isDirectory: true },
  ])
  disk.rename(at('a'), at('b'))
  disk.syncDirectory(directory)
  t.equal(disk.readFile(at('b')).toString(), 'new')
  t.equal(disk.exists(at('a')), false)
  t.equal(disk.exists(at('b/c')), false)
  for (const target of ['nowhere', 'link']) {
    fs.symlinkSync(target, at('link'))
    t.equal(disk.exists(at('link')), false, `a link to ${target}`)
    disk.remove(at('link'))
  }
  t.throws(() => disk.exists(at('x'.repeat(300))), { code: 'ENAMETOOLONG' })
  disk.remove(at('b'))
  disk.remove(at('b'))
  await disk.removeTree(at('z'))
  await disk.removeTree(at('z'))
  t.same(disk.list(directory), [])
  t.throws(() => disk.list(at('z')), { code: 'ENOENT' })
  t.throws(() => disk.readFile(at('b')), { code: 'ENOENT', path: at('b') })
  t.throws(() => disk.stat(at('b')), { code: 'ENOENT' })
  t.throws(() => disk.rename(at('b'), at('c')), { code: 'ENOENT' })
  const { totalBytes, usableBytes } = disk.capacity(directory)
  t.ok(totalBytes >= usableBytes && usableBytes > 0)
})

t.test(
  'directories: made with their parents, found through links, refused where none can be',
  (t) => {
    const directory = t.testdir({ file: 'x', real: { inside: '' } })
    disk.makeDirectory(`${directory}/a/b/c`)
    disk.makeDirectory(`${directory}/a/b/c`)
    t.ok(disk.stat(`${directory}/a/b/c`).isDirectory)
    t.throws(() => disk.makeDirectory(`${directory}/file`), { code: 'ENOTDIR' })
    t.throws(() => disk.makeDirectory(`${directory}/file/below`), { code: 'ENOTDIR' })
    // Where a parent takes no names, Node's own recursion never ends.
    if (process.platform === 'linux') {
      t.throws(() => disk.makeDirectory('/proc/nope/deep'), { code: 'ENOENT' })
    }
    fs.symlinkSync(`${directory}/real`, `${directory}/link-0`, 'dir')
    fs.symlinkSync(`${directory}/nowhere`, `${directory}/link-1`, 'dir')
    t.same(
      disk.list(directory).filter(({ name }) => name.startsWith('link')),
      [
        { name: 'link-0', isDirectory: true },
        { name: 'link-1', isDirectory: false },
      ],
    )
    t.end()
  },
)

async function lockElsewhere(
  t: Test,
  directory: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<[ChildProcess, string]> {
  const script = fileURLToPath(new URL('./hold-lock.js', import.meta.url))
  const stdio: StdioOptions = ['ignore', 'pipe', 'inherit']
  const child = spawn(process.execPath, [script, directory], { stdio, env })
  t.teardown(() => child.kill('SIGKILL'))
  const [said] = (await once(child.stdout as Readable, 'data')) as [Buffer]
  return [child, said.toString().trim()]
}

t.test('one process per directory, however the last one ended', async (t) => {
  const directory = t.testdir()
  const lock = disk.lock(directory)
  t.throws(() => disk.lock(directory), { code: 'ELOCKED', message: /in use by this process/ })
  const [, refused] = await lockElsewhere(t, directory)
  t.match(refused, new RegExp(`^${directory} is in use by process ${process.pid} on .*, since 20`))
  lock.release()
  lock.release()

  const environments = [process.env]
  // Without the program `flock` the holder named in the file decides.
  if (process.platform === 'linux') environments.push({ ...process.env, PATH: '' })
  for (const env of environments) {
    const [child, said] = await lockElsewhere(t, directory, env)
    t.equal(said, 'locked')
    const by = `in use by process ${child.pid} `
    t.throws(() => disk.lock(directory), { code: 'ELOCKED', message: new RegExp(by) })
    const [, refused] = await lockElsewhere(t, directory, env)
    t.match(refused, by)
    child.kill('SIGKILL')
    await once(child, 'exit')
    disk.lock(directory).release()
  }
})

t.test(
  'what a lock file says does not lock by itself',
  { skip: process.platform !== 'linux' },
  (t) => {
    const own = { pid: process.pid, host: 'h', since: 's' }
    const reusedNumber = { ...own, boot: 'another', namespace: 'another', startTicks: '1' }
    const contents = [JSON.stringify(own), JSON.stringify(reusedNumber), '{"pid":', '']
    for (const content of contents) {
      disk.lock(t.testdir({ '.lock': content })).release()
    }
    t.equal(fs.readFileSync(join(t.testdirName, '.lock'), 'utf8'), '')
    t.end()
  },
)

t.test('streams carry bytes both ways, wait when they must, and end', async (t) => {
  let server: Stream | undefined
  const closes: string[] = []
  const memories = new Set<ArrayBufferLike>()
  const listening = await network.listen({ host: '127.0.0.1', port: 0 }, (stream) => {
    server = stream
    stream.onData = (chunk) => {
      memories.add(chunk.buffer)
      stream.write([Buffer.from('<'), Buffer.from(chunk), Buffer.from('>')])
    }
    stream.onDrain = () => undefined
    stream.onClose = (error) => void closes.push(`server ${error?.message}`)
  })
  t.ok(listening.address.port > 0)
  const client = await network.connect(listening.address, { timeoutMs: 5000 })
  let received = ''
  let receivedBytes = 0
  let drained = 0
  client.onData = (chunk) => {
    memories.add(chunk.buffer)
    receivedBytes += chunk.length
    if (received.length < 100) received += chunk.toString('latin1', 0, 100)
  }
  client.onDrain = () => void drained++
  client.onClose = (error) => void closes.push(`client ${error?.message}`)
  t.equal(client.write([Buffer.from('hello')]), true)
  while (received.length < 7) await sleep(1)
  t.equal(received, '<hello>')
  t.same(server?.remote, client.local)
  t.same(client.remote, listening.address)

  const big = Buffer.alloc(32 * 1024 * 1024)
  server?.pause()
  t.equal(client.write([big]), false)
  await sleep(20)
  t.equal(drained, 0)
  server?.resume()
  while (receivedBytes < big.length) await sleep(1)
  t.ok(drained > 0)
  await listening.close()
  await t.rejects(network.connect(listening.address), { code: 'ECONNREFUSED' })
  client.end()
  while (closes.length < 2) await sleep(1)
  t.same(closes.sort(), ['client undefined', 'server undefined'])
  if (process.platform !== 'win32') t.equal(memories.size, 1, 'all reads go to the same memory')
})

/** One turn of the event loop. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

t.test('of a crowd that is to be closed a few are in a turn, of a long line more', async (t) => {
  const line = new ClosingLine()
  let closed = 0
  const closing: Closing = { close: () => void closed++ }
  line.add(closing)
  t.equal(closed, 1, 'at once')
  const add = (count: number) => {
    closed = 0
    for (let index = 0; index < count; index++) line.add({ close: () => void closed++ })
  }
  const inTurn = async () => {
    const before = closed
    await turn()
    return closed - before
  }
  await turn()
  await turn()
  add(40)
  t.equal(closed, 16)
  t.same([await inTurn(), await inTurn(), await inTurn()], [16, 8, 0])
  add(6416)
  t.equal(await inTurn(), 100)
  t.equal(await inTurn(), 99)
  while (closed < 6416) t.ok((await inTurn()) >= 16 || closed === 6416)
})

t.test('hundreds of peers that leave at once are closed over many turns', async (t) => {
  const peers = 500
  const closesByTurn = [0]
  const open: Stream[] = []
  const listening = await network.listen({ host: '127.0.0.1', port: 0 }, (stream) => {
    open.push(stream)
    stream.onData = () => void stream.write([Buffer.from('last words')])
    stream.onDrain = () => undefined
    stream.onClose = () => void (closesByTurn[closesByTurn.length - 1] as number)++
  })
  const clients = await Promise.all(
    Array.from({ length: peers }, () => network.connect(listening.address)),
  )
  let words = 0
  for (const client of clients) {
    client.onData = (chunk) => {
      words += chunk.length
    }
    client.onClose = () => undefined
  }
  while (open.length < peers) await turn()
  for (const client of clients) {
    client.write([Buffer.from('?')])
    client.end()
  }
  const all = () => closesByTurn.reduce((sum, count) => sum + count, 0)
  while (all() < peers) {
    await turn()
    closesByTurn.push(0)
  }
  t.ok(Math.max(...closesByTurn) <= 32, `at most ${Math.max(...closesByTurn)} in a turn`)
  while (words < peers * 'last words'.length) await sleep(1)
  t.pass('what was answered by then has arrived')

  const others = await Promise.all(
    Array.from({ length: 100 }, () => network.connect(listening.address)),
  )
  for (const other of others) {
    other.onData = () => undefined
    other.onClose = () => undefined
  }
  while (open.length < peers + others.length) await turn()
  let heard = 0
  for (const stream of open.slice(peers)) {
    stream.onData = () => void heard++
    stream.destroy()
  }
  for (const other of others) other.write([Buffer.from('?')])
  while (all() < peers + others.length) {
    await turn()
    closesByTurn.push(0)
  }
  t.ok(Math.max(...closesByTurn) <= 32, 'nor are those that the broker closes')
  t.equal(heard, 0, 'they are not heard meanwhile')
  await listening.close()
})

t.test('an error that holds a frozen row of a table can be logged, with its cause', (t) => {
  const lines: string[] = []
  const log = createLogger({ destination: { write: (line) => void lines.push(line) } })
  const cause = new DiskError('EIO', '/data')
  log.error('failed', { err: new KafkaError(errors.NOT_COORDINATOR, 'elsewhere', { cause }) })
  t.match(JSON.parse(lines[0] as string), {
    err: { type: 'KafkaError', message: 'elsewhere', cause: { type: 'DiskError', code: 'EIO' } },
  })
  t.end()
})

t.test('the level of a log moves, for the children that there are, too', (t) => {
  const lines: string[] = []
  const threshold = new Threshold('warn')
  const log = createLogger({ destination: { write: (line) => void lines.push(line) } }, threshold)
  const child = log.child({ task: 1 })
  child.info('not shown')
  threshold.level = 'debug'
  child.debug('shown')
  log.child({ task: 2 }).debug('shown too')
  threshold.level = 'silent'
  child.error('not shown')
  t.match(
    lines.map((line) => JSON.parse(line)),
    [
      { level: 'debug', task: 1, msg: 'shown' },
      { level: 'debug', task: 2, msg: 'shown too' },
    ],
  )
  t.equal(lines.length, 2)
  t.end()
})

t.test('log lines: JSON for machines, one short line for people', (t) => {
  const lines: string[] = []
  const log = createLogger({
    level: 'info',
    destination: { write: (line) => void lines.push(line) },
  })
  log.child({ topic: 'orders' }).warn('slow', { ms: 12, err: new Error('why') })
  log.debug('not shown')
  log.info('plain')
  log.error('bad')
  t.equal(lines.length, 3)
  const line = JSON.parse(lines[0] as string)
  t.match(line, { level: 'warn', msg: 'slow', topic: 'orders', ms: 12, err: { message: 'why' } })
  t.match(
    readable(lines[0] as string),
    /^\d\d:\d\d:\d\d\.\d{3} warn {2}slow topic=orders ms=12\nError: why\n/,
  )
  t.match(readable(lines[1] as string), /^\S+ info {2}plain\n$/)
  t.end()
})

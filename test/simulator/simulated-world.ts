/**
 * A world that runs from a seed. Processes (brokers, clients) live in one thread; each gets an
 * `Environment` with the world's virtual clock, seeded randomness, a disk in memory and a network in
 * memory. The loop takes the earliest event, sets the clock, runs it, and waits one real
 * `setImmediate`, so that every promise has settled before the next. All that happens is folded into
 * `hash()`: the same seed gives the same hash, or something has reached around the environment.
 *
 * What lives in this folder: the world and the scenarios run in it. What must not: anything real.
 */
import { createHash } from 'node:crypto'
import type {
  Environment,
  Logger,
  Milliseconds,
  Timer,
  Timers,
} from '../../src/environment/environment.ts'
import { BufferPool } from '../../src/environment/node/buffer-pool.ts'
import { DeadlineHeap } from '../../src/environment/node/deadline-heap.ts'
import { finely } from './durable-tree.ts'
import { MemoryDisk } from './memory-disk.ts'
import { SeededRandom } from './random.ts'
import { type Listeners, SimulatedNetwork } from './simulated-network.ts'
import { calmDisk, calmNetwork, type DiskWeather, type NetworkWeather } from './weather.ts'

/** 2026-01-01T00:00:00Z: where wall clocks start. */
const epochMs = 1_767_225_600_000

/** A run that takes more events than this turns in a circle. */
const stepsMax = 2_000_000

/** What a client says that was sent what it cannot read. */
const garbledAnswer = /does not speak Kafka|answered a question/

/**
 * Why the broker closes a connection whose requests it cannot read. Clients would connect and ask again,
 * and hide that it was the broker that had garbled what it was sent.
 */
const garbledRequest = /^API key \S+ is not served|has no version|cannot be read: |^a frame of /

export interface WorldOptions {
  /** Prints the processes' log lines, with the virtual time. */
  onLog?: (line: string) => void
}

/** A stream that its process leaves behind when it dies. */
interface Resettable {
  reset(delayMs: number): void
}

export interface SimulatedProcess {
  /** Also its host name. */
  readonly name: string
  readonly environment: Environment
  readonly disk: MemoryDisk
  readonly streams: Set<Resettable>
  isAlive: boolean
  /** Does not run before. */
  pausedUntilMs: Milliseconds
  /** What was due in the meantime: it happens then, in order. */
  putOff: Occurrence[]
  /** What was added to its wall clock. */
  clockOffsetMs: Milliseconds
}

export class SimulatedWorld {
  readonly seed: number
  readonly random: SeededRandom
  readonly listeners: Listeners = new Map()
  /** A process that never dies, for whoever directs what happens. */
  readonly director: SimulatedProcess
  nowMs: Milliseconds = 0
  events = 0
  /** How the network and the disks behave from now on. */
  networkWeather: NetworkWeather = calmNetwork
  diskWeather: DiskWeather = calmDisk
  /** What losses of power make of what was not synced. */
  tearing = finely
  /** Whether a process may connect to others now; else it is refused. */
  admits: (from: SimulatedProcess) => boolean = () => true
  /** A process could not read what it was sent, though no byte is ever changed on its way. */
  onNonsense: (what: string) => void = () => undefined
  /** Told of every fault that the network or a disk committed. */
  onFault: (kind: string, where: string) => void = () => undefined
  readonly #options: WorldOptions
  readonly #queue = new DeadlineHeap()
  readonly #hash = createHash('sha256')
  readonly #time = new Float64Array(1)
  readonly #timeBytes = Buffer.from(this.#time.buffer)
  readonly #processes = new Map<string, SimulatedProcess>()
  readonly #disks = new Map<string, MemoryDisk>()
  readonly #clockOffsets = new Map<string, Milliseconds>()
  #ports = 40_000

  constructor(seed: number, options: WorldOptions = {}) {
    this.seed = seed
    this.random = new SeededRandom(seed)
    this.#options = options
    this.director = this.start('director')
  }

  /** Starts a process; its disk holds what the last one of that name has left. */
  start(name: string): SimulatedProcess {
    if (this.#processes.get(name)?.isAlive) throw new Error(`${name} is running already`)
    const random = this.random.fork(name)
    const disk = this.#diskOf(name)
    const process: SimulatedProcess = {
      name,
      disk,
      isAlive: true,
      streams: new Set(),
      pausedUntilMs: 0,
      putOff: [],
      clockOffsetMs: this.#clockOffsets.get(name) ?? 0,
      get environment() {
        return environment
      },
    }
    const startedMs = this.nowMs
    const environment: Environment = {
      clock: {
        now: () => epochMs + Math.floor(this.nowMs) + process.clockOffsetMs,
        monotonic: () => this.nowMs - startedMs,
      },
      timers: new SimulatedTimers(this, process),
      random,
      disk,
      network: new SimulatedNetwork(this, process),
      buffers: new BufferPool({ isPoisoning: true }),
      log: new SimulatedLogger(this, name, {}),
    }
    this.#processes.set(name, process)
    return process
  }

  /** As `kill -9`: what was written is on the disk; the peers see their connections reset at once. */
  kill(process: SimulatedProcess): void {
    this.#end(process, 'kill', () => this.networkDelayMs())
    this.#disks.set(process.name, process.disk.kill())
  }

  /** As a loss of power: of what was not synced some is lost; the peers notice later. */
  crash(process: SimulatedProcess): void {
    this.#end(process, 'crash', () => this.random.between(1, 500))
    this.#disks.set(process.name, process.disk.crash(this.random.fork('crash'), this.tearing))
  }

  /** It does not run for so long, as after SIGSTOP; what arrives and what is due waits. */
  pause(process: SimulatedProcess, durationMs: Milliseconds): void {
    this.record(process.name, 'pause')
    process.pausedUntilMs = Math.max(process.pausedUntilMs, this.nowMs + durationMs)
    this.#queue.add(process.pausedUntilMs, () => this.#resume(process))
  }

  /** Its wall clock, and that of its successors, goes forwards or back at once. */
  jumpClock(process: SimulatedProcess, byMs: Milliseconds): void {
    this.record(process.name, 'jump')
    process.clockOffsetMs += byMs
    this.#clockOffsets.set(process.name, process.clockOffsetMs)
  }

  /** What the next process of that name will find. */
  disk(name: string): MemoryDisk {
    return this.#diskOf(name)
  }

  /**
   * Runs until `done` settles and gives its value. Throws if nothing is left to happen before, or when
   * `limitMs` of virtual time have passed.
   */
  async run<T>(done: Promise<T>, limitMs: Milliseconds = 600_000): Promise<T> {
    const endMs = this.nowMs + limitMs
    const state = { isSettled: false }
    const settle = (): void => {
      state.isSettled = true
    }
    done.then(settle, settle)
    await settled()
    for (let steps = 0; !state.isSettled; steps++) {
      if (steps > stepsMax) throw this.#failure(`no end after ${stepsMax} events`)
      const at = this.#queue.earliest
      if (at === Number.POSITIVE_INFINITY) throw this.#failure('nothing is left to happen')
      if (at > endMs) throw this.#failure(`${limitMs} ms have passed`)
      await this.#step(at)
    }
    return done
  }

  /** Lets so much virtual time pass. */
  async runFor(durationMs: Milliseconds): Promise<void> {
    const endMs = this.nowMs + durationMs
    await settled()
    while (this.#queue.earliest <= endMs) await this.#step(this.#queue.earliest)
    this.nowMs = endMs
  }

  /** Everything that has happened so far, as 16 hexadecimal digits. */
  hash(): string {
    return this.#hash.copy().digest('hex').slice(0, 16)
  }

  /** Something happens to a process, unless it dies before. */
  schedule(
    process: SimulatedProcess,
    kind: string,
    delayMs: Milliseconds,
    happen: () => void,
    bytes?: Buffer,
  ): Timer {
    return this.scheduleAt(process, kind, this.nowMs + delayMs, happen, bytes)
  }

  /** As `schedule`, at a time: what is at the same time keeps its order. */
  scheduleAt(
    process: SimulatedProcess,
    kind: string,
    atMs: Milliseconds,
    happen: () => void,
    bytes?: Buffer,
  ): Timer {
    const occur = (): void => {
      if (!process.isAlive) return
      if (process.pausedUntilMs > this.nowMs) {
        process.putOff.push(occurrence)
        return
      }
      this.record(process.name, kind, bytes)
      try {
        happen()
      } catch (error) {
        // A process that ends in the middle of its work does not come to what follows.
        if (process.isAlive) throw error
      }
    }
    const occurrence = new Occurrence(occur)
    occurrence.timer = this.#queue.add(atMs, occur)
    return occurrence
  }

  #resume(process: SimulatedProcess): void {
    if (process.pausedUntilMs > this.nowMs) return
    for (const occurrence of process.putOff.splice(0)) {
      if (occurrence.isCancelled) continue
      occurrence.timer = this.#queue.add(this.nowMs, occurrence.occur)
    }
  }

  /** Folds something that happened into the hash. */
  record(name: string, kind: string, bytes?: Buffer): void {
    this.events++
    this.#time[0] = this.nowMs
    this.#hash.update(this.#timeBytes)
    this.#hash.update(`${name} ${kind} ${bytes?.length ?? 0}\n`)
    if (bytes !== undefined) this.#hash.update(bytes)
  }

  freePort(): number {
    return this.#ports++
  }

  networkDelayMs(): Milliseconds {
    const { lateChance, lateMsMax } = this.networkWeather
    if (!this.random.chance(lateChance)) return 0.05 + this.random.float()
    return this.random.float() * lateMsMax
  }

  print(name: string, level: string, message: string, fields: object): void {
    const { reason = '' } = fields as { reason?: string }
    const garbled = message === 'connection closed' ? garbledRequest : garbledAnswer
    if (garbled.test(reason)) {
      this.onNonsense(`${name} was sent what it cannot read: ${reason}`)
    }
    const text = Object.keys(fields).length === 0 ? '' : ` ${JSON.stringify(fields, plainError)}`
    this.#options.onLog?.(`${this.nowMs.toFixed(3)} ${name} ${level} ${message}${text}`)
  }

  /** The disk of a name: what waits for the device goes on with the process that has it by then. */
  #diskOf(name: string): MemoryDisk {
    const known = this.#disks.get(name)
    if (known !== undefined) return known
    const disk = new MemoryDisk({
      random: this.random.fork(`disk of ${name}`),
      now: () => epochMs + Math.floor(this.nowMs),
      defer: (complete) => {
        const process = this.#processes.get(name) as SimulatedProcess
        this.schedule(process, 'disk', this.#deviceDelayMs(), complete)
      },
    })
    this.#disks.set(name, disk)
    return disk
  }

  #deviceDelayMs(): Milliseconds {
    const { slowChance, slowMsMax } = this.diskWeather
    if (slowChance === 0 || !this.random.chance(slowChance)) return this.random.float() * 5
    this.onFault('slow device', '')
    return this.random.float() * slowMsMax
  }

  async #step(at: Milliseconds): Promise<void> {
    this.nowMs = Math.max(this.nowMs, at)
    this.#queue.takeDue(at)?.()
    await settled()
  }

  #end(process: SimulatedProcess, kind: string, delayMs: () => Milliseconds): void {
    this.record(process.name, kind)
    process.isAlive = false
    for (const [address, listener] of this.listeners) {
      if (listener.process === process) this.listeners.delete(address)
    }
    for (const stream of process.streams) stream.reset(delayMs())
    process.streams.clear()
  }

  #failure(reason: string): Error {
    return new Error(`${reason}, seed ${this.seed}, at ${this.nowMs} ms, event ${this.events}`)
  }
}

/** Something that is to happen, and may be put off. */
class Occurrence implements Timer {
  readonly occur: () => void
  timer: Timer | null = null
  isCancelled = false

  constructor(occur: () => void) {
    this.occur = occur
  }

  cancel(): void {
    this.isCancelled = true
    this.timer?.cancel()
  }
}

/**
 * As in the real world the end of a turn has two passes with settled promises between them, and comes
 * a little later than the event that asked for it, so that other events may share the turn.
 */
class SimulatedTimers implements Timers {
  readonly #world: SimulatedWorld
  readonly #process: SimulatedProcess
  #ending: (() => void)[] = []
  #isEndScheduled = false

  constructor(world: SimulatedWorld, process: SimulatedProcess) {
    this.#world = world
    this.#process = process
  }

  after(delayMs: Milliseconds, callback: () => void): Timer {
    // Whole microseconds: a rest too small to move the clock would be waited for again and again.
    const wholeMs = Math.ceil(Math.max(0, delayMs) * 1000) / 1000
    return this.#world.schedule(this.#process, 'timer', wholeMs, callback)
  }

  endOfTurn(callback: () => void): void {
    this.#ending.push(callback)
    if (this.#isEndScheduled) return
    this.#isEndScheduled = true
    this.#world.schedule(this.#process, 'turn', this.#world.random.float() * 0.2, () => {
      this.#drain()
      this.#world.schedule(this.#process, 'turn', 0, () => {
        this.#drain()
        this.#isEndScheduled = false
      })
    })
  }

  nextTurn(callback: () => void): void {
    this.#world.schedule(this.#process, 'turn', this.#world.random.float() * 0.2, callback)
  }

  lineUp(callback: () => void): void {
    this.nextTurn(callback)
  }

  #drain(): void {
    const callbacks = this.#ending
    // The list grows while it runs.
    for (let i = 0; i < callbacks.length; i++) (callbacks[i] as () => void)()
    this.#ending = []
  }
}

class SimulatedLogger implements Logger {
  readonly #world: SimulatedWorld
  readonly #name: string
  readonly #fields: object

  constructor(world: SimulatedWorld, name: string, fields: object) {
    this.#world = world
    this.#name = name
    this.#fields = fields
  }

  debug(message: string, fields?: object): void {
    this.#print('debug', message, fields)
  }

  info(message: string, fields?: object): void {
    this.#print('info', message, fields)
  }

  warn(message: string, fields?: object): void {
    this.#print('warn', message, fields)
  }

  error(message: string, fields?: object): void {
    this.#print('error', message, fields)
  }

  child(fields: object): Logger {
    return new SimulatedLogger(this.#world, this.#name, { ...this.#fields, ...fields })
  }

  #print(level: string, message: string, fields: object | undefined): void {
    this.#world.print(this.#name, level, message, { ...this.#fields, ...fields })
  }
}

function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

function plainError(_key: string, value: unknown): unknown {
  return value instanceof Error ? (value.stack ?? value.message) : value
}

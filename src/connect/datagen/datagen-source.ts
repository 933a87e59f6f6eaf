/**
 * A source that makes records up, for demos and for load: of a known shape, at a rate, with keys of a space of so many.
 * With the same seed come the same records, times aside; each task makes its own, and after a restart goes on with the
 * record behind the last that was kept.
 */
import { atLeast, double, int, long, matching, oneOf, string } from '../../config/definition.ts'
import { ConfigDef, key, required, type Settings } from '../config-def.ts'
import { primitive, Struct } from '../data.ts'
import { ConnectException } from '../failures.ts'
import type { Idle } from '../idle.ts'
import type { SourcePlugin, SourceTaskContext } from '../plugin.ts'
import { PolledConnector, type Poller, polledTask } from '../polled-source.ts'
import { type SourcePosition, type SourceRecord, sourceRecord } from '../records.ts'
import { connectVersion } from '../version.ts'
import { type Below, shapes } from './shapes.ts'

const config = new ConfigDef({
  'kafka.topic': required(
    string(null, matching(/./, 'a non-empty string')),
    'HIGH',
    'The topic to write to.',
  ),
  quickstart: key(
    string('orders', oneOf(...Object.keys(shapes))),
    'HIGH',
    'What the records are like.',
  ),
  rate: key(
    double(10, atLeast(0.001)),
    'HIGH',
    'Records per second of each task; as many as there are time for come at once after a pause of up to a second.',
  ),
  iterations: key(long(-1, atLeast(-1)), 'MEDIUM', 'Records of each task in all; -1: without end.'),
  keys: key(
    int(1000, atLeast(1)),
    'MEDIUM',
    'How many different keys, users or symbols there are.',
  ),
  'random.seed': key(int(0), 'LOW', 'With the same seed the same records come.'),
})

const taskSetting = 'datagen.task'
/** How long a poll waits at most, so that a stop is heard and records come steadily. */
const waitMsMax = 100
/** What was missed in a longer time is not made up for. */
const arrearsMsMax = 1000
const batchMax = 2000

function taskConfigs(settings: Settings, tasksMax: number): Settings[] {
  return Array.from(
    { length: tasksMax },
    (_, task) => new Map([...settings, [taskSetting, String(task)]]),
  )
}

/** How many records have been made. Throws ConnectException. */
function sequenceOf(offset: SourcePosition): bigint {
  const sequence = offset.get('sequence')
  if (typeof sequence === 'bigint' && sequence >= 0n) return sequence
  throw new ConnectException("The 'sequence' key of an offset is expected to be a Long from 0 on")
}

class MadeUpRecords implements Poller {
  readonly #idle: Idle
  readonly #context: SourceTaskContext
  readonly #config: ReturnType<typeof config.parse>
  readonly #task: number
  readonly #partition: SourcePosition
  /** Of the next record. */
  #number: bigint
  /** When that was due. */
  #dueMs: number

  constructor(context: SourceTaskContext, idle: Idle) {
    const { settings } = context
    this.#context = context
    this.#idle = idle
    this.#config = config.parse(settings)
    this.#task = Number(settings.get(taskSetting) ?? 0)
    this.#partition = new Map([['task', BigInt(this.#task)]])
    const kept = context.offset(this.#partition)
    this.#number = kept === null ? 0n : sequenceOf(kept)
    this.#dueMs = context.environment.clock.monotonic()
  }

  async poll(): Promise<SourceRecord[] | null> {
    const { clock, timers } = this.#context.environment
    const { iterations, rate } = this.#config
    const periodMs = 1000 / rate
    const nowMs = clock.monotonic()
    this.#dueMs = Math.max(this.#dueMs, nowMs - arrearsMsMax)
    const due = Math.min(batchMax, Math.floor((nowMs - this.#dueMs) / periodMs))
    const left =
      Number(iterations) < 0 ? due : Math.max(0, Number(iterations) - Number(this.#number))
    const count = Math.min(due, left)
    if (count === 0) {
      await this.#idle.wait(timers, Math.min(waitMsMax, Math.ceil(periodMs)))
      return null
    }
    this.#dueMs += count * periodMs
    return Array.from({ length: count }, () => this.#next())
  }

  #next(): SourceRecord {
    const { quickstart, keys, 'kafka.topic': topic, 'random.seed': seed } = this.#config
    const { schema, keyField, values } = shapes[quickstart]!
    const nowMs = this.#context.environment.clock.now()
    const number = this.#number++
    const below = chanceOf(seed, this.#task, Number(number))
    const value = new Struct(schema)
    for (const [i, one] of values({ number, keys, nowMs, below }).entries()) {
      value.put(schema.fields[i]!.name, one)
    }
    return sourceRecord({
      topic,
      keySchema: primitive('STRING'),
      key: String(value.get(keyField)),
      valueSchema: schema,
      value,
      timestamp: nowMs,
      sourcePartition: this.#partition,
      sourceOffset: new Map([['sequence', this.#number]]),
    })
  }
}

/** Each record has its own, so that one can be made without those before it (mulberry32, and a mix of three numbers). */
function chanceOf(seed: number, task: number, number: number): Below {
  let state = Math.imul(seed ^ Math.imul(task + 1, 0x85ebca6b), 0xc2b2ae35)
  state ^= Math.imul((number % 2 ** 32) | 0, 0x9e3779b1) ^ Math.floor(number / 2 ** 32)
  return (bound) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * bound)
  }
}

export const datagenSource: SourcePlugin = {
  type: 'source',
  className: 'millrace.connect.datagen.DatagenSourceConnector',
  version: connectVersion,
  config,
  connector: () =>
    new PolledConnector({
      check: (settings) => config.parse(settings),
      checkOffset: sequenceOf,
      hasOffsets: () => true,
      taskConfigs,
    }),
  task: () => polledTask((context, idle) => new MadeUpRecords(context, idle)),
}

/**
 * What a seed draws before anything happens: which kinds of faults there are in its world and how often,
 * how the broker is set, which topics there are, how long it all goes on. Every kind of fault is absent
 * from many seeds, so that some runs are calm, some fierce, and each kind meets each other kind alone.
 */
import type { Milliseconds } from '../../src/environment/environment.ts'
import { SeededRandom } from './random.ts'
import type { DiskWeather, NetworkWeather } from './weather.ts'

/** What can befall the broker; the numbers are weights. */
export interface Blows {
  readonly kill: number
  readonly powerLoss: number
  readonly cleanStop: number
  readonly pause: number
  readonly clockJump: number
  readonly diskErrors: number
  readonly fullDisk: number
  /** One error, where the bytes of records are written or synced next. */
  readonly failedWrite: number
}

export type Blow = keyof Blows

export interface DiskErrors {
  /** Of any one operation while there are no lasting errors. */
  readonly chance: number
  /** Operations that errors strike. */
  readonly operations: readonly string[]
  /** EIO: the device is broken; others concern a file or the process. */
  readonly code: string
}

export interface SimulatedTopic {
  readonly name: string
  readonly partitions: number
  readonly configs: ReadonlyMap<string, string>
  /** Synced before it is acknowledged. */
  readonly isDurable: boolean
  /** Retention may take records away. */
  readonly isShort: boolean
}

/** A topic of its own for transactions and keys; see `ledger`. */
export interface SimulatedLedger {
  readonly partitions: number
  readonly configs: ReadonlyMap<string, string>
  readonly isCompacted: boolean
  /** Who write in transactions. */
  readonly tellers: number
  /** Who write without. */
  readonly clerks: number
}

export interface Temper {
  /**
   * Segments are filled, power is lost while one is rolled, and a loss leaves holes in batches. Elsewhere
   * ledgers are left to grow old: each loss of power voids them.
   */
  readonly isAboutRecovery: boolean
  readonly network: NetworkWeather
  readonly disk: DiskWeather
  readonly diskErrors: DiskErrors
  readonly blows: Blows
  /** Milliseconds between two blows, on average. */
  readonly blowIntervalMs: Milliseconds
  /** Of a start: that the broker ends again in the middle of it. */
  readonly dieStartingChance: number
  /** Of a clean stop: that the power goes right behind it. */
  readonly offAfterStopChance: number
  /** Of a segment that goes, or is replaced: that the broker ends before long. */
  readonly untimelyEndChance: number
  /** Of a segment that is rolled: that the power goes before it is synced. */
  readonly rollEndChance: number
  /** Of a compacted segment that takes the place of others: that the broker is killed meanwhile. */
  readonly swapEndChance: number
  /** Of what a coordinator of transactions records: that the broker is killed right behind it. */
  readonly decisionEndChance: number
  /** As `decisionEndChance`: that another log directory fails, in which the partitions may be. */
  readonly decisionFailChance: number
  /** Of a recovery point that is written down while records are being synced: that the power goes. */
  readonly checkpointEndChance: number
  /** Of a sync that goes before an acknowledgement: that it fails. */
  readonly promisedSyncFailChance: number
  /** Of a time when the broker does not run: that bits of a file turn over. */
  readonly flipChance: number
  /** How long all this goes on before everything is healed. */
  readonly durationMs: Milliseconds
  readonly records: number
  /** Of a record: that it is large. */
  readonly largeChance: number
  /** Of a record: that it lies in several sectors, of which a loss of power may take some. */
  readonly wideChance: number
  /** Of a record: that it tells of what was some time ago, so that timestamps are not in order. */
  readonly tardyChance: number
  readonly tailCacheBytes: number
  readonly topics: readonly SimulatedTopic[]
  readonly ledger: SimulatedLedger
  readonly logDirs: readonly string[]
  readonly settings: ReadonlyMap<string, string>
  /**
   * Where the coordinators' logs roll, in bytes: so soon that they roll by size, and that their recovery
   * points move up within a segment. As they do by default where null.
   */
  readonly stateSegmentBytes: number | null
  /** Offsets of groups are synced before the commit is answered. */
  readonly isOffsetsTopicDurable: boolean
  /** Group offsets may expire. */
  readonly expiresOffsets: boolean
}

/** How often recovery points are written down, too. */
const checkpointInterval = 'replica.high.watermark.checkpoint.interval.ms'
/** How soon they move up after a log was written. */
const settledInterval = 'log.flush.offset.checkpoint.interval.ms'

const minuteMs = 60_000
const hourMs = 60 * minuteMs

/** Every other seed is about recovery: what it takes is in the way of what is to be seen in a ledger. */
export function drawTemper(random: SeededRandom, seed: number): Temper {
  const isAboutRecovery = seed % 2 === 0
  const isLong = random.chance(0.12)
  const allDurable = random.chance(0.3)
  const topics = drawTopics(random, allDurable, isLong)
  const durationMs = drawDuration(
    random,
    isLong,
    topics.some(({ isShort }) => isShort),
  )
  const blows: { -readonly [name in Blow]: number } = {
    kill: weight(random, 3),
    powerLoss: weight(random, 3),
    cleanStop: weight(random, 2),
    pause: weight(random, 1),
    clockJump: random.chance(0.25) ? 1 : 0,
    diskErrors: random.chance(0.35) ? 2 : 0,
    fullDisk: random.chance(0.25) ? 2 : 0,
    failedWrite: 0,
  }
  const logDirs = random.chance(isAboutRecovery ? 0.25 : 0.5) ? ['/data1', '/data2'] : ['/data']
  const expiresOffsets = isLong && random.chance(0.5)
  const settings = drawSettings(random, { allDurable, logDirs, expiresOffsets, isLong })
  const drawn = {
    network: random.chance(0.35) ? calmish(random) : stormy(random),
    disk: random.chance(0.3) ? random.pick([slowAtTimes, slowAtTimes, slow])(random) : never,
    diskErrors: {
      chance: random.chance(0.25) ? 0.002 * random.float() : 0,
      operations: random.pick(strikes),
      code: random.chance(0.8) ? 'EIO' : random.pick(['EMFILE', 'EACCES']),
    },
    blows,
    blowIntervalMs: durationMs / random.between(2, 8),
    dieStartingChance: random.chance(0.4) ? 0.6 * random.float() : 0,
    offAfterStopChance: random.chance(0.4) ? random.float() : 0,
    flipChance: random.chance(0.25) ? random.float() : 0,
    durationMs,
    records: random.between(60, 400),
    largeChance: random.chance(0.3) ? 0.05 * random.float() : 0,
    tailCacheBytes: random.pick([2_048, 16_384, 262_144]),
    topics,
    logDirs,
    settings,
    isOffsetsTopicDurable: allDurable,
    expiresOffsets,
  }
  setSessions(settings)
  // Last, so that it gives no seed another course in what is drawn before.
  drawTransactionSettings(random, settings)
  const ledger = drawLedger(random)
  // A loss of power would take what a failure of one directory leaves undone.
  const mayFail = !isAboutRecovery && ledger.tellers > 0 && logDirs.length > 1
  const mayFailDeciding = mayFail && random.chance(0.7)
  if (mayFailDeciding) blows.powerLoss = 0
  const isRisky = blows.powerLoss > 0 && random.chance(0.6)
  const untimelyEndChance = isRisky ? 0.5 * random.float() : 0
  const failedWrite = random.chance(0.4) ? random.between(1, 4) : 0
  const swapEndChance = ledger.isCompacted && random.chance(0.7) ? random.float() : 0
  const decisionEndChance = ledger.tellers > 0 && random.chance(0.5) ? 0.1 * random.float() : 0
  const usual: Temper = {
    ...drawn,
    ...(untimelyEndChance > 0 && random.chance(0.7) ? letGoSoon(random, drawn) : {}),
    isAboutRecovery,
    ledger,
    untimelyEndChance,
    rollEndChance: 0,
    swapEndChance,
    decisionEndChance,
    decisionFailChance: mayFailDeciding ? 0.3 : 0,
    checkpointEndChance: 0,
    promisedSyncFailChance: drawSyncFailChance(seed),
    wideChance: 0.05,
    tardyChance: 0,
    stateSegmentBytes: null,
    blows: { ...blows, failedWrite },
  }
  return isAboutRecovery ? troubled(random, usual) : usual
}

/** Of syncs that take longer some are under way at each. */
const checkpointIntervalsMs = [100, 500, 2_000]

/** From a stream of its own: the other seeds keep their course. */
function drawSyncFailChance(seed: number): number {
  const random = new SeededRandom(seed).fork('failing syncs')
  return random.chance(0.15) ? random.pick([0.02, 0.1]) : 0
}

/** With more of what recovery has to tell apart. */
function troubled(random: SeededRandom, usual: Temper): Temper {
  const { blows, logDirs, disk } = usual
  const mayEndRolling = blows.powerLoss > 0 && random.chance(0.8)
  const rollEndChance = mayEndRolling ? random.pick([0.05, 0.3]) : 0
  const wideChance = random.chance(0.4) ? 0.5 : 0.05
  const mayEndWriting = blows.powerLoss > 0 && random.chance(0.8)
  const isSlow = disk === never && mayEndWriting && random.chance(0.8)
  const segmented = drawSmallSegments(random, usual)
  const isOften = mayEndWriting || segmented.topics !== usual.topics
  const checkpointMs = isOften ? random.pick(checkpointIntervalsMs) : null
  // Of two directories one is to fail while the other goes on: what one holds tells of the other.
  const diskErrors = logDirs.length > 1 ? Math.max(3, blows.diskErrors) : blows.diskErrors
  const settings = new Map([...segmented.settings, [settledInterval, '0']])
  if (checkpointMs !== null) settings.set(checkpointInterval, `${checkpointMs}`)
  return {
    ...usual,
    ...segmented,
    settings,
    disk: isSlow ? slow(random) : disk,
    rollEndChance,
    checkpointEndChance: mayEndWriting ? random.pick([0.3, 1]) : 0,
    wideChance,
    tardyChance: random.pick([0, 0.3, 0.7]),
    blows: { ...blows, diskErrors },
  }
}

/**
 * Topics with retention keep next to nothing, so that of a producer that goes on often all batches are gone,
 * and the snapshots of segments are all that tells of it.
 */
function letGoSoon(
  random: SeededRandom,
  { topics, settings }: Pick<Temper, 'topics' | 'settings'>,
): Pick<Temper, 'topics' | 'settings'> {
  const isNoneShort = topics.every(({ isShort }) => !isShort)
  if (isNoneShort && random.chance(0.5)) return { topics, settings }
  const withLittle = (configs: ReadonlyMap<string, string>) =>
    new Map([
      ...configs,
      ['segment.ms', `${random.pick([1, 500])}`],
      ['retention.bytes', `${random.pick([0, 300])}`],
    ])
  return {
    topics: topics.map((topic, at) =>
      topic.isShort || (isNoneShort && at === 0)
        ? { ...topic, configs: withLittle(topic.configs), isShort: true }
        : topic,
    ),
    settings: new Map([
      ...settings,
      ['log.retention.check.interval.ms', `${random.pick([1_000, 5_000])}`],
      ['log.initial.task.delay.ms', `${random.pick([1_000, 5_000])}`],
    ]),
  }
}

type Segmented = Pick<
  Temper,
  'topics' | 'ledger' | 'settings' | 'largeChance' | 'stateSegmentBytes'
>

/** Batches are smaller, by far: see `batchBytesMax`. */
const smallSegments = [4_000, 8_000]

/** Of a topic with small segments a client sends no larger batches, but for single records. */
export const batchBytesMax = (topics: readonly SimulatedTopic[]): number =>
  topics.some(({ configs }) => configs.has('internal.segment.bytes')) ? 1_000 : Infinity

/** Topics, the ledger, and logs of coordinators, whose segments are full after a few batches. */
function drawSmallSegments(random: SeededRandom, drawn: Segmented): Segmented {
  const isUsual = random.chance(0.35)
  const bytes = `${random.pick(smallSegments)}`
  const indexInterval = `${random.pick([0, 100])}`
  const stateSegmentBytes = random.pick([null, 8_000, 16_000])
  if (isUsual) return { ...drawn, stateSegmentBytes: null }
  const withSmall = (configs: ReadonlyMap<string, string>): ReadonlyMap<string, string> => {
    if (drawn.largeChance > 0 || random.chance(0.2)) return configs
    const others = new Map(configs)
    others.set('internal.segment.bytes', bytes).set('index.interval.bytes', indexInterval)
    // Else they would never be full.
    others.delete('segment.ms')
    return others
  }
  const { topics, ledger, settings } = drawn
  return {
    ...drawn,
    topics: topics.map((topic) => ({ ...topic, configs: withSmall(topic.configs) })),
    // Where it is compacted, segments are to end soon, and with transactions open.
    ledger: ledger.isCompacted ? ledger : { ...ledger, configs: withSmall(ledger.configs) },
    settings: new Map([...settings, ['log.index.interval.bytes', indexInterval]]),
    stateSegmentBytes,
  }
}

function drawLedger(random: SeededRandom): SimulatedLedger {
  // Clocks jump: what is not taken for its timestamp says nothing here.
  const configs = new Map([
    ['message.timestamp.after.max.ms', `${Number.MAX_SAFE_INTEGER}`],
    ['retention.ms', '-1'],
  ])
  const isCompacted = random.chance(0.5)
  if (isCompacted) {
    configs.set('cleanup.policy', 'compact')
    configs.set('min.cleanable.dirty.ratio', `${random.pick([0, 0.01, 0.3])}`)
    configs.set('delete.retention.ms', `${random.pick([0, 0, 2_000, 86_400_000])}`)
    if (random.chance(0.3)) configs.set('min.compaction.lag.ms', `${random.pick([100, 5_000])}`)
  }
  if (random.chance(isCompacted ? 0.9 : 0.5)) {
    configs.set('segment.ms', `${random.pick([1, 500, 2_000, 30_000])}`)
  }
  if (random.chance(0.3)) configs.set('index.interval.bytes', `${random.pick([0, 100])}`)
  const isUsed = random.chance(0.7)
  return {
    partitions: random.between(1, 3),
    configs,
    isCompacted,
    tellers: isUsed ? random.between(0, 3) : 0,
    clerks: isUsed ? random.between(isCompacted ? 1 : 0, 1) : 0,
  }
}

/** Sessions of the newer groups end soon enough to be seen ending. */
function setSessions(settings: Map<string, string>): void {
  for (const type of ['consumer', 'share', 'streams']) {
    settings.set(`group.${type}.min.session.timeout.ms`, '10000')
    settings.set(`group.${type}.session.timeout.ms`, '10000')
    settings.set(`group.${type}.min.heartbeat.interval.ms`, '1000')
    settings.set(`group.${type}.heartbeat.interval.ms`, '2000')
  }
  settings.set('share.coordinator.state.topic.num.partitions', '2')
}

function drawTransactionSettings(random: SeededRandom, settings: Map<string, string>): void {
  settings.set('transaction.state.log.num.partitions', `${random.between(1, 3)}`)
  const abortIntervalMs = random.pick([500, 10_000])
  settings.set('transaction.abort.timed.out.transaction.cleanup.interval.ms', `${abortIntervalMs}`)
  settings.set('log.cleaner.backoff.ms', `${random.pick([100, 1_000, 15_000])}`)
  if (random.chance(0.4)) settings.set('log.cleaner.min.cleanable.ratio', '0.01')
}

/** Retention looks half a minute after a start for the first time. */
function drawDuration(random: SeededRandom, isLong: boolean, isShort: boolean): Milliseconds {
  if (isLong) return random.between(1 * hourMs, 12 * hourMs)
  if (isShort) return random.between(1 * minuteMs, 5 * minuteMs)
  return random.between(5_000, random.chance(0.2) ? 5 * minuteMs : 40_000)
}

const never: DiskWeather = { slowChance: 0, slowMsMax: 0 }
const slowAtTimes = (random: SeededRandom): DiskWeather => {
  return { slowChance: 0.05 * random.float(), slowMsMax: 3_000 }
}
/** Many writes, and segments, follow each other before a sync is done. */
const slow = (random: SeededRandom): DiskWeather => {
  return { slowChance: 0.5 * random.float(), slowMsMax: 8_000 }
}

const strikes: readonly (readonly string[])[] = [
  ['sync'],
  ['write'],
  ['read'],
  ['write', 'sync'],
  ['open', 'rename', 'remove', 'list', 'truncate', 'makeDirectory', 'syncDirectory'],
  ['syncDirectory', 'rename'],
  ['read', 'write', 'sync', 'open', 'rename', 'remove', 'truncate', 'list', 'stat'],
]

function weight(random: SeededRandom, max: number): number {
  return random.chance(0.25) ? 0 : random.between(1, max)
}

function calmish(random: SeededRandom): NetworkWeather {
  return {
    lateChance: 0.05,
    lateMsMax: random.between(1, 60),
    cutChance: 0,
    stallChance: 0,
    stallMsMax: 0,
    muteChance: 0,
    refusedChance: 0,
    unansweredChance: 0,
    trickleChance: 0,
  }
}

function stormy(random: SeededRandom): NetworkWeather {
  const some = (most: number): number => (random.chance(0.5) ? 0 : most * random.float())
  return {
    lateChance: 0.3 * random.float(),
    lateMsMax: random.pick([20, 100, 1_000, 4_000]),
    cutChance: some(0.03),
    stallChance: some(0.02),
    stallMsMax: random.between(1_000, 25_000),
    muteChance: some(0.005),
    refusedChance: some(0.3),
    unansweredChance: some(0.1),
    trickleChance: some(0.2),
  }
}

function drawTopics(random: SeededRandom, allDurable: boolean, isLong: boolean): SimulatedTopic[] {
  const topics: SimulatedTopic[] = []
  const count = random.between(1, 4)
  for (let i = 0; i < count; i++) {
    const isFlushed = !allDurable && random.chance(0.5)
    const isShort = isLong ? random.chance(0.5) : random.chance(0.15)
    const configs = new Map<string, string>()
    if (isFlushed) configs.set('flush.messages', '1')
    if (random.chance(isShort ? 0.9 : 0.5)) {
      configs.set('segment.ms', `${random.pick([1, 500, 2_000, 30_000])}`)
    }
    if (random.chance(0.5)) configs.set('index.interval.bytes', `${random.pick([0, 100, 1000])}`)
    if (random.chance(0.1)) configs.set('message.timestamp.type', 'LogAppendTime')
    if (!isFlushed && random.chance(0.2)) configs.set('flush.ms', `${random.pick([0, 100, 5000])}`)
    if (isShort) {
      const bytes = `${random.pick([0, 300, 2_000, 10_000])}`
      const ms = `${random.pick([20_000, 60_000, 600_000])}`
      const isByTime = random.chance(0.6)
      if (isByTime) configs.set('retention.ms', ms)
      if (!isByTime || random.chance(0.2)) configs.set('retention.bytes', bytes)
      configs.set('file.delete.delay.ms', `${random.pick([0, 1_000, 60_000])}`)
    }
    topics.push({
      name: `topic${i}`,
      partitions: random.between(1, 3),
      configs,
      isDurable: isFlushed || allDurable,
      isShort,
    })
  }
  return topics
}

function drawSettings(
  random: SeededRandom,
  {
    allDurable,
    logDirs,
    expiresOffsets,
    isLong,
  }: {
    allDurable: boolean
    logDirs: readonly string[]
    expiresOffsets: boolean
    isLong: boolean
  },
): Map<string, string> {
  const settings = new Map([
    ['node.id', '1'],
    ['log.dirs', logDirs.join(',')],
    ['offsets.topic.num.partitions', `${random.between(1, 3)}`],
    ['log.retention.check.interval.ms', `${random.pick([1_000, 5_000, 30_000, 300_000])}`],
    [checkpointInterval, `${random.pick([100, 500, 5_000, 60_000])}`],
  ])
  if (isLong) settings.set(checkpointInterval, '300000')
  if (random.chance(0.3)) settings.set('log.roll.ms', `${random.pick([1, 50, 1_000, 10_000])}`)
  if (allDurable) settings.set('log.flush.interval.messages', '1')
  if (expiresOffsets) {
    settings.set('offsets.retention.minutes', '10')
    settings.set('offsets.retention.check.interval.ms', '60000')
  }
  if (isLong) settings.set('producer.id.expiration.ms', `${random.pick([600_000, 86_400_000])}`)
  if (random.chance(0.3)) {
    const intervalMs = isLong ? 600_000 : random.pick([500, 5_000])
    settings.set('metadata.log.max.snapshot.interval.ms', `${intervalMs}`)
  }
  if (random.chance(0.1)) settings.set('max.incremental.fetch.session.cache.slots', '0')
  return settings
}

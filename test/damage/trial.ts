/**
 * One trial: a copy of a directory, one damage, a start, everything read back, one record appended to each
 * partition, a stop and a second start. What was seen is judged against what the damage itself destroys.
 */
import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { type BrokerKind, BrokerProcess } from './broker-process.ts'
import type { DamageKind, Harm, Site } from './kind.ts'
import type { Ledger } from './ledger.ts'
import {
  appendToAll,
  forgottenProducers,
  lostGroups,
  missingAppended,
  type OffsetRange,
  type PartitionReading,
  readAll,
} from './read-back.ts'
import { segmentsIn } from './segment-files.ts'
import { connect } from './wire.ts'

export type Ending = 'clean' | 'killed'

export interface TrialOptions {
  readonly broker: BrokerKind
  readonly ending: Ending
  /** The directory to copy; not touched. */
  readonly base: string
  /** Where the copy goes; removed afterwards unless kept. */
  readonly copy: string
  readonly ledger: Ledger
  readonly kind: DamageKind
  readonly isKept: boolean
}

export interface Observation {
  readonly kind: string
  readonly file: string
  readonly ending: Ending
  /** Null: it serves. Else how it ended, and the last thing it said. */
  readonly refusal: string | null
  readonly startMs: number
  /** Records acknowledged and not read back. */
  readonly lost: { destroyed: number; before: number; after: number; elsewhere: number }
  readonly details: readonly string[]
  /** The damaged partition is not served, and its files are as they were. */
  readonly isOffline: boolean
  /** The log line that names what was damaged. */
  readonly logLine: string | null
  /** What is wrong with it, apart from a log line that is missing. */
  readonly why: readonly string[]
}

export interface Judgement {
  readonly verdict: 'good' | 'cut' | 'offline' | 'refuses' | 'bad'
  readonly why: readonly string[]
}

/** What to think of a row. */
export function judge(kind: DamageKind, row: Observation): Judgement {
  const why = [...row.why]
  if (row.logLine === null && mustBeNamed(kind, row))
    why.push(`no log line names ${kind.mentions?.source}`)
  if (why.length > 0) return { verdict: 'bad', why }
  if (row.refusal !== null) return { verdict: 'refuses', why }
  if (row.isOffline) return { verdict: 'offline', why }
  return { verdict: row.lost.after > 0 ? 'cut' : 'good', why }
}

/**
 * Not: records that are all there; a batch that only its CRC can tell to be damaged, as that is looked
 * at when it is read; indexes and snapshots after a crash, which are made anew whatever is in them.
 */
function mustBeNamed(kind: DamageKind, { ending, lost, isOffline, refusal }: Observation): boolean {
  const { file, mentions, isUnderCrc, isSilentAfterCrash } = kind
  if (mentions === null || (ending === 'killed' && isSilentAfterCrash === true)) return false
  if (refusal !== null || isOffline) return true
  const behind = lost.before + lost.after + lost.elsewhere
  if (file === '.log') return behind > 0 || (lost.destroyed > 0 && isUnderCrc !== true)
  return ending === 'clean' || !/(^|\/\d{20})\.(index|timeindex|txnindex|snapshot)$/.test(file)
}

/** Runs one kind of damage; null where there was nothing to damage. */
export async function runTrial(options: TrialOptions): Promise<Observation | null> {
  const { base, copy, kind, isKept } = options
  rmSync(copy, { recursive: true, force: true })
  spawnSync('cp', ['-a', '--sparse=always', base, copy])
  const site = siteOf(options)
  try {
    const harms = kind.apply(site)
    return harms === null ? null : await observe(options, site, harms)
  } finally {
    kind.undo?.(site)
    if (!isKept)
      for (const suffix of ['', '.log', '.properties', '.aside'])
        rmSync(`${copy}${suffix}`, { recursive: true, force: true })
  }
}

function siteOf({ copy, kind, ledger }: TrialOptions): Site {
  const targetName = kind.target ?? 'plain-0'
  const target = join(copy, targetName)
  const endOffset = ledger.partitions.get(targetName)!.fingerprints.length
  return { directory: copy, target, targetName, segments: segmentsIn(target), endOffset }
}

async function observe(
  options: TrialOptions,
  site: Site,
  harms: readonly Harm[],
): Promise<Observation> {
  const { broker, copy, kind, ledger, ending } = options
  const started = await BrokerProcess.start(broker, copy)
  const findings = new Findings(kind, harms, site)
  try {
    if (started.isServing) {
      await findings.readBack(started.port, ledger)
      if (started.ended !== null) findings.why.push(`ended with ${started.ended} while it served`)
    }
  } catch (error) {
    findings.why.push(`client: ${(error as Error).message}`)
  }
  const served = started.isServing
  // Apache Kafka is started once only: the second start costs as much as the rest, and says little more.
  await started.stop(broker === 'kafka' ? 'SIGKILL' : 'SIGTERM')
  findings.logLine = lineNaming(started.log, kind.mentions)
  if (served && broker === 'millrace') await findings.secondStart(options)
  findings.judgeLosses()
  const refusal = served ? null : `${started.ended}: ${lastWords(started.log, broker)}`
  if (refusal !== null) findings.judgeRefusal(refusal)
  return {
    kind: kind.name,
    file: kind.file,
    ending,
    refusal,
    startMs: started.startMs,
    lost: findings.lost,
    details: findings.details,
    isOffline: findings.isOffline,
    logLine: findings.logLine,
    why: findings.why,
  }
}

const countOf = (ranges: readonly OffsetRange[]) =>
  ranges.reduce((sum, { from, to }) => sum + to - from, 0)

const shown = (ranges: readonly OffsetRange[]) =>
  ranges
    .slice(0, 3)
    .map(({ from, to }) => `${from}-${to - 1}`)
    .join(' ')

/** What was seen, and what is wrong with it. */
class Findings {
  readonly why: string[] = []
  readonly details: string[] = []
  readonly lost = { destroyed: 0, before: 0, after: 0, elsewhere: 0 }
  logLine: string | null = null
  readings: readonly PartitionReading[] = []
  readonly #kind: DamageKind
  readonly #harms: readonly Harm[]
  readonly #site: Site
  isOffline = false
  #appended: Awaited<ReturnType<typeof appendToAll>> | null = null

  constructor(kind: DamageKind, harms: readonly Harm[], site: Site) {
    this.#kind = kind
    this.#harms = harms
    this.#site = site
  }

  async readBack(port: number, ledger: Ledger): Promise<void> {
    const connection = await connect(port)
    this.readings = await readAll(connection, ledger)
    for (const reading of this.readings) this.#judge(reading)
    const groups = await lostGroups(port, ledger)
    if (groups.length > 0) {
      this.details.push(`offsets of ${groups.join(', ')} differ`)
      if (this.#kind.harmsGroups !== true) this.why.push(`offsets of ${groups.length} groups lost`)
    }
    if (this.#harms.length === 0) {
      const whole = new Set(
        this.readings.filter(({ lost }) => lost.length === 0).map((r) => r.name),
      )
      for (const [name, reason] of await forgottenProducers(connection, ledger))
        if (whole.has(name)) this.why.push(`${name}: a repeated batch was ${reason}`)
    }
    this.#appended = await appendToAll(connection, ledger)
    for (const [name, reason] of this.#appended.refused) {
      this.details.push(`${name} takes no record: ${reason}`)
      if (name !== this.#site.targetName) this.why.push(`${name} takes no record: ${reason}`)
    }
    for (const name of await missingAppended(connection, this.#appended))
      this.why.push(`${name}: a record just acknowledged cannot be read`)
    connection.close()
  }

  #judge({ name, lost, wrong, errors }: PartitionReading): void {
    if (errors.length > 0) this.details.push(`${name}: ${errors.join(', ')}`)
    if (name === this.#site.targetName && errors.join() === 'KAFKA_STORAGE_ERROR') {
      this.isOffline = true
      return
    }
    if (wrong.length > 0)
      this.why.push(`${name}: ${wrong.length} records served with wrong content (${wrong[0]})`)
    const harms = this.#harms.filter(({ partition }) => partition === name)
    const isHarmed = (at: number) => harms.some(({ from, to }) => at >= from && at < to)
    const start = harms[0]?.from ?? Number.POSITIVE_INFINITY
    for (const { from, to } of lost)
      for (let at = from; at < to; at++) {
        if (isHarmed(at)) this.lost.destroyed++
        else if (name !== this.#site.targetName) this.lost.elsewhere++
        else if (at < start) this.lost.before++
        else this.lost.after++
      }
    if (lost.length === 0) return
    this.details.push(`${name}: ${countOf(lost)} lost (${shown(lost)})`)
    if (name !== this.#site.targetName) this.why.push(`${name} lost ${countOf(lost)} records`)
  }

  async secondStart({ broker, copy, ledger }: TrialOptions): Promise<void> {
    const again = await BrokerProcess.start(broker, copy)
    if (!again.isServing) {
      this.why.push(`second start: ${again.ended}: ${lastWords(again.log, broker)}`)
      return
    }
    try {
      const connection = await connect(again.port)
      const now = await readAll(connection, ledger, this.#appended?.appended)
      for (const { name, lost, wrong } of now) {
        const before = this.readings.find((reading) => reading.name === name)
        const more = countOf(lost) - countOf(before?.lost ?? [])
        if (more > 0) this.why.push(`second start: ${name} lost ${more} more`)
        if (wrong.length > (before?.wrong.length ?? 0))
          this.why.push(`second start: ${name} serves wrong content`)
      }
      if (this.#appended !== null)
        for (const name of await missingAppended(connection, this.#appended))
          this.why.push(`second start: ${name} lost the record appended after the damage`)
      connection.close()
    } catch (error) {
      this.why.push(`second start: client: ${(error as Error).message}`)
    } finally {
      await again.stop('SIGKILL')
    }
  }

  judgeLosses(): void {
    const { before, after, elsewhere } = this.lost
    if (before > 0) this.why.push(`${before} records before the damage lost`)
    if (elsewhere > 0 && this.why.length === 0) this.why.push(`${elsewhere} lost elsewhere`)
    if (this.#harms.length === 0 && after > 0) this.why.push(`${after} lost`)
  }

  judgeRefusal(refusal: string): void {
    if (this.#kind.mayRefuse !== true) this.why.push(`does not start: ${refusal}`)
  }
}

/** The first line at warning or above, or of the last words, that names what is damaged. */
function lineNaming(log: string, mentions: RegExp | null): string | null {
  if (mentions === null) return null
  for (const line of log.split('\n')) {
    const isLoud =
      /"level":(40|50|60)|"level":"(warn|error|fatal)"|\b(WARN|ERROR|FATAL)\b|^millrace:/.test(line)
    if (isLoud && mentions.test(line.replaceAll(/"(directory|path)":"[^"]*"/g, stripRoot)))
      return shortened(line)
  }
  return null
}

/** A path counts by its last two names. */
const stripRoot = (field: string): string => field.split('/').slice(-2).join('/')

function shortened(line: string): string {
  try {
    const { level, time, pid, hostname, msg, ...rest } = JSON.parse(line) as Record<string, unknown>
    void [time, pid, hostname]
    const { message } = (rest['err'] ?? {}) as { message?: string }
    return `${level} ${msg} ${message ?? JSON.stringify(rest)}`.slice(0, 200)
  } catch {
    return line.replace(/^.*?(WARN|ERROR|FATAL)/, '$1').slice(0, 200)
  }
}

function lastWords(log: string, broker: BrokerKind): string {
  const lines = log.split('\n').filter((line) => line !== '')
  const word =
    broker === 'millrace'
      ? lines.at(-1)
      : lines.findLast((line) => /\b(ERROR|FATAL|Exception)\b/.test(line) && !line.startsWith('\t'))
  return shortened(word ?? '')
}

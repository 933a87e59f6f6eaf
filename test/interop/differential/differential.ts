/**
 * The same requests to this broker and to Apache Kafka, one after the other from a seed, and what the
 * answers differ in: error codes first, then the other values that should be alike. A request that only
 * one of them refuses by closing the connection is a difference too.
 *
 * Both begin with the same topics, groups and transactions and get the same requests, so that what they
 * hold stays alike; where they have answered differently, they begin anew. A difference that is meant has
 * its reason in `known-differences.ts`.
 */
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { type ApiRow, apis } from '../../../protocol/apis.ts'
import { zeroUuid } from '../../../protocol/types.ts'
import { fetchKafka, fetchKafkaLogger } from '../../../scripts/apache-kafka.ts'
import { BrokerProcess } from '../../damage/broker-process.ts'
import { randomFrom } from '../../protocol/generated-values.ts'
import type { Report } from '../directories/exchange.ts'
import { type KnownDifference, knownDifference, knownDifferences } from './known-differences.ts'
import { leftOut, makeRequest } from './requests.ts'
import { Side } from './side.ts'

export interface DifferentialOptions {
  readonly seed: number
  /** Requests for each version of each API. */
  readonly cases: number
  /** Names of APIs as in `apis`; all where empty. */
  readonly only: readonly string[]
}

/** What changes metadata takes a moment to be known to all parts of Apache Kafka. */
const settleMs = 40
const layoutTriesMax = 50
/** Differences printed for each API. */
const shownMax = 6
/** Requests of these change which topics there are; of these topics or what they hold; of these nothing. */
const changesLayout = /^(createTopics|deleteTopics|createPartitions)$/
const changesTopics =
  /^(produce|(create|delete)(Topics|Partitions|Records)|.*Configs|writeTxnMarkers|endTxn)$/
const changesNothing = /^(fetch$|list|metadata|describe|find|offsetFetch|offsetFor|apiVersions)/
/** Apache Kafka serves these without saying so where no plugin takes what clients push. */
const servedUnsaid: ReadonlySet<string> = new Set(['getTelemetrySubscriptions', 'pushTelemetry'])
/** Apache Kafka says that it serves Produce from 0 on, which librdkafka asks for, but does not. */
const firstServed: Readonly<Record<string, number>> = { produce: 3 }

interface Difference {
  count: number
  readonly example: string
}

/** What came of the requests of one API. */
class Tally {
  requests = 0
  /** To which Apache Kafka answered, at least in part, without an error. */
  accepted = 0
  alike = 0
  known = 0
  readonly reasons = new Map<KnownDifference, number>()
  readonly unexplained = new Map<string, Difference>()

  note(api: string, version: number, request: object, difference: DifferentLines): void {
    const found = knownDifference({ api, version, request }, difference)
    if (found !== undefined) {
      this.known++
      this.reasons.set(found, (this.reasons.get(found) ?? 0) + 1)
      return
    }
    const { mine, other } = difference
    const text = `${shown(mine)} | Kafka ${shown(other)}`
    const noted = this.unexplained.get(text)
    if (noted !== undefined) noted.count++
    else this.unexplained.set(text, { count: 1, example: `v${version} ${shortened(request)}` })
  }

  get unexplainedCount(): number {
    return this.requests - this.alike - this.known
  }
}

/** Lines that only one of the two has. */
interface DifferentLines {
  readonly mine: readonly string[]
  readonly other: readonly string[]
}

interface Compared {
  readonly difference: DifferentLines | null
  readonly isAccepted: boolean
}

const isNone = /: NONE$/

export async function compareBrokers(
  work: string,
  options: DifferentialOptions,
  report: Report,
): Promise<void> {
  const failure = fetchKafka() ?? fetchKafkaLogger()
  if (failure !== null) {
    report('differential', null, failure)
    return
  }
  const settings = {
    'group.initial.rebalance.delay.ms': '0',
    'auto.create.topics.enable': 'false',
    'transaction.state.log.num.partitions': '2',
    'share.coordinator.state.topic.num.partitions': '2',
  }
  const [ours, theirs] = await Promise.all([
    BrokerProcess.start('millrace', join(work, 'differential-ours'), { settings }),
    BrokerProcess.start('kafka', join(work, 'differential-kafka'), { settings }),
  ])
  try {
    await new Comparison(new Side(ours), new Side(theirs), options, report).run()
  } finally {
    await Promise.all([ours.stop(), theirs.stop()])
  }
}

class Comparison {
  readonly #sides: readonly [ours: Side, theirs: Side]
  readonly #options: DifferentialOptions
  readonly #report: Report
  #areTopicsAlike = false

  constructor(ours: Side, theirs: Side, options: DifferentialOptions, report: Report) {
    this.#sides = [ours, theirs]
    this.#options = options
    this.#report = report
  }

  async run(): Promise<void> {
    const { only } = this.#options
    const [ours, theirs] = this.#sides
    const [here, there] = [await ours.versions(), await theirs.versions()]
    await this.#both((side) => side.settleCoordinators())
    const tallies = new Map<string, Tally>()
    for (const [name, api] of Object.entries<ApiRow>(apis)) {
      const isAsked = only.length === 0 || only.includes(name)
      if (!isAsked || leftOut.has(name)) continue
      const unsaid = servedUnsaid.has(name) ? versionsOf(api) : undefined
      const versions = there.get(api.key) ?? unsaid
      const own = here.get(api.key) ?? unsaid
      if (versions === undefined || own === undefined) {
        if (versions === own) continue
        const who = own === undefined ? 'Apache Kafka serves it, we do not' : 'only we serve it'
        this.#report(`differential: ${name}`, false, who)
        continue
      }
      if (own[1] < versions[1] || own[0] > versions[0]) {
        const detail = `versions ${own.join('-')}, Kafka ${versions.join('-')}`
        this.#report(`differential: ${name}`, false, detail)
      }
      const lowest = firstServed[name] ?? Math.max(own[0], versions[0])
      const tally = await this.#compareApi(name, api, lowest, Math.min(own[1], versions[1]))
      tallies.set(name, tally)
      tell(name, tally, this.#report)
    }
    printTable(tallies)
    printUnused(tallies)
  }

  async #compareApi(name: string, api: ApiRow, lowest: number, highest: number): Promise<Tally> {
    const { cases, seed } = this.#options
    const tally = new Tally()
    const random = randomFrom(seed + api.key)
    for (let version = lowest; version <= highest; version++) {
      await this.#beginAlike()
      for (let each = 0; each < cases; each++) {
        const request = makeRequest(api.request, version, random)
        tally.requests++
        const { difference, isAccepted } = await this.#compareOne(api, version, request)
        if (isAccepted) tally.accepted++
        if (changesLayout.test(name)) await this.#settle()
        if (difference === null) {
          tally.alike++
          continue
        }
        tally.note(name, version, request, difference)
        if (changesTopics.test(name)) this.#areTopicsAlike = false
        if (!changesNothing.test(name)) await this.#beginAlike()
      }
    }
    if (changesTopics.test(name)) this.#areTopicsAlike = false
    return tally
  }

  async #compareOne(api: ApiRow, version: number, request: object): Promise<Compared> {
    const [mine, other] = await this.#both((side) => side.askUntilIdle(api, version, request))
    const difference =
      differentLines(mine.errors, other.errors) ?? differentLines(mine.values, other.values)
    const { errors } = other
    return {
      difference,
      isAccepted: errors.length === 0 || errors.some((line) => isNone.test(line)),
    }
  }

  /** Both hold the same topics with the same records, and the same groups and transactions. */
  async #beginAlike(): Promise<void> {
    if (!this.#areTopicsAlike) await this.#both((side) => side.resetTopics())
    this.#areTopicsAlike = true
    await this.#both((side) => side.begin())
  }

  /** Waits until all parts of both know the same topics. Where they never do, they begin anew. */
  async #settle(): Promise<void> {
    for (let tries = 0; tries < layoutTriesMax; tries++) {
      const [mine, other] = await this.#both((side) => side.layout())
      if (mine === other) return
      await setTimeout(settleMs)
    }
    this.#areTopicsAlike = false
    await this.#beginAlike()
  }

  #both<T>(what: (side: Side) => Promise<T>): Promise<[T, T]> {
    const [ours, theirs] = this.#sides
    return Promise.all([what(ours), what(theirs)])
  }
}

function versionsOf({ request: { valid } }: ApiRow): readonly [number, number] {
  return [valid.min, valid.max]
}

/** Null where they are alike. */
function differentLines(ours: readonly string[], theirs: readonly string[]): DifferentLines | null {
  const mine = ours.filter((line) => !theirs.includes(line))
  const other = theirs.filter((line) => !ours.includes(line))
  return mine.length === 0 && other.length === 0 ? null : { mine, other }
}

const shown = (lines: readonly string[]): string => lines.slice(0, 2).join(', ') || '-'

/** As JSON without what is seldom of interest. */
function shortened(request: object): string {
  const isDull = (name: string, value: unknown) =>
    value === zeroUuid || name === 'highWatermark' || (Array.isArray(value) && value.length === 0)
  const text = JSON.stringify(request, (name, value: unknown) =>
    isDull(name, value) ? undefined : value,
  )
  return text.replaceAll(/x{100,}/g, 'x…').slice(0, 700)
}

function tell(name: string, tally: Tally, report: Report): void {
  const { requests, alike, known, unexplainedCount } = tally
  const detail = `${requests} requests, ${alike} alike, ${known} known differences, ${unexplainedCount} unexplained`
  report(`differential: ${name}`, unexplainedCount === 0, detail)
  for (const [{ reason }, count] of tally.reasons) console.log(`      ${count} known: ${reason}`)
  const most = [...tally.unexplained].sort(([, a], [, b]) => b.count - a.count).slice(0, shownMax)
  for (const [difference, { count, example }] of most) {
    console.log(`      ${count} x ${difference}\n          ${example}`)
  }
}

function printTable(tallies: ReadonlyMap<string, Tally>): void {
  const row = (name: string, ...counts: readonly (number | string)[]) =>
    console.log(name.padEnd(32) + counts.map((count) => String(count).padStart(12)).join(''))
  row('API', 'requests', 'accepted', 'alike', 'known', 'unexplained')
  const sums: [number, number, number, number, number] = [0, 0, 0, 0, 0]
  for (const [name, { requests, accepted, alike, known, unexplainedCount }] of tallies) {
    const counts = [requests, accepted, alike, known, unexplainedCount] as const
    counts.forEach((count, at) => {
      sums[at as 0] += count
    })
    row(name, ...counts)
  }
  row(`${tallies.size} APIs`, ...sums)
}

/** Rules about APIs that were all asked, and that met nothing: they may be of no use any more. */
function printUnused(tallies: ReadonlyMap<string, Tally>): void {
  const used = new Set([...tallies.values()].flatMap(({ reasons }) => [...reasons.keys()]))
  for (const rule of knownDifferences) {
    if (used.has(rule) || !rule.apis.every((api) => tallies.has(api))) continue
    console.log(`not met: ${rule.apis.join(', ')}: ${rule.reason}`)
  }
}

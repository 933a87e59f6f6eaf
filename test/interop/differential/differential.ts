/**
 * The same requests to this broker and to Apache Kafka, one after the other from a seed, and what the
 * answers differ in: error codes first, then the other values that should be alike. A request that only
 * one of them refuses by closing the connection is a difference too.
 *
 * Both start empty and get the same requests, so that what they hold stays alike; before each API the
 * topics that requests speak of are made anew where they are gone.
 */
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { type ApiRow, apis } from '../../../protocol/apis.ts'
import { errors } from '../../../protocol/errors.ts'
import { encodeBatch } from '../../../protocol/records/record.ts'
import { fetchKafka, fetchKafkaLogger } from '../../../scripts/apache-kafka.ts'
import { BrokerProcess } from '../../damage/broker-process.ts'
import { decodeAnswer, frameOf, Outcome, Peer } from '../../hostile/peer.ts'
import { type Random, randomFrom } from '../../protocol/generated-values.ts'
import type { Report } from '../directories/exchange.ts'
import { type Outline, outline } from './outline.ts'
import { leftOut, makeRequest, topics } from './requests.ts'
import { World } from './world.ts'

export interface DifferentialOptions {
  readonly seed: number
  /** Requests for each version of each API. */
  readonly cases: number
  /** Names of APIs as in `apis`; all where empty. */
  readonly only: readonly string[]
}

/** A request waits for no more than this: then it counts as not answered, by both alike it is hoped. */
const answerLimitMs = 2_500
/** What changes metadata takes a moment to be known to all parts of Apache Kafka. */
const settleMs = 40
const changesMetadata = /^(create|delete|alter|incremental|update)/
/** Differences printed for each API. */
const shownMax = 6

/** One broker of the two: where it is, and what it calls things. */
class Side {
  readonly world = new World()
  readonly #broker: BrokerProcess
  #peer: Peer | undefined

  constructor(broker: BrokerProcess) {
    this.#broker = broker
  }

  async peer(): Promise<Peer> {
    if (this.#peer === undefined || this.#peer.isClosed) {
      this.#peer = await Peer.open(this.#broker.port, new Outcome())
    }
    if (this.#peer === undefined) throw new Error(`${this.#broker.kind} takes no connection`)
    return this.#peer
  }

  /** The outline of the answer, or why there is none. */
  async ask(api: ApiRow, version: number, request: object): Promise<Outline> {
    const peer = await this.peer()
    const pending = peer.answer(answerLimitMs)
    await peer.send(frameOf(api, version, this.world.fill(request) as never))
    const frame = await pending
    if (frame === undefined) {
      const why = peer.isClosed ? 'connection closed' : 'no answer'
      peer.close()
      return { errors: [`(${why})`], values: [] }
    }
    const answer: unknown = decodeAnswer(api, version, frame)
    if (answer === undefined) return { errors: ['(answer cannot be read)'], values: [] }
    this.world.learn(answer)
    return outline(answer, (id) => this.world.nameOf(id))
  }

  /** [lowest, highest] version by key. */
  async versions(): Promise<Map<number, readonly [number, number]>> {
    const answer = await (await this.peer()).call(apis.apiVersions, 3, {
      clientSoftwareName: 'differential',
      clientSoftwareVersion: '1',
    })
    const keys = answer?.apiKeys ?? []
    return new Map(
      keys.map(({ apiKey, minVersion, maxVersion }) => [apiKey, [minVersion, maxVersion]]),
    )
  }

  /** Has the internal topics made, which the two make at moments of their own. */
  async settleCoordinators(): Promise<void> {
    for (const keyType of [0, 1]) {
      const request = { keyType, coordinatorKeys: ['group-1'] }
      for (let tries = 0; tries < 100; tries++) {
        const answer = await (await this.peer()).call(apis.findCoordinator, 4, request)
        const error = answer?.coordinators?.[0]?.errorCode
        if (error !== errors.COORDINATOR_NOT_AVAILABLE.code) break
        await setTimeout(100)
      }
    }
  }

  /** Makes the topics that are gone, with some records, and learns their ids. */
  async prepare(): Promise<void> {
    const peer = await this.peer()
    await this.world.refresh(peer)
    const missing = topics.filter((name) => !this.world.has(name))
    if (missing.length === 0) return
    await peer.call(apis.createTopics, 7, {
      timeoutMs: 5000,
      topics: missing.map((name) => ({
        name,
        numPartitions: 3,
        replicationFactor: 1,
        assignments: [],
        configs: name === 'compacted' ? [{ name: 'cleanup.policy', value: 'compact' }] : [],
      })),
    })
    await setTimeout(1000)
    for (const name of missing) await peer.call(apis.produce, 9, firstRecords(name))
    await this.world.refresh(peer)
  }
}

function firstRecords(name: string) {
  const records = ['a', 'b', 'c'].map((key) => ({
    timestamp: 1_700_000_000_000,
    key: Buffer.from(key),
    value: Buffer.from('first'),
  }))
  const partitionData = [0, 1, 2].map((index) => ({ index, records: [encodeBatch({ records })] }))
  return { transactionalId: null, acks: -1, timeoutMs: 5000, topicData: [{ name, partitionData }] }
}

class Tally {
  requests = 0
  differentErrors = 0
  differentValues = 0
  readonly examples = new Map<string, { count: number; example: string }>()

  note(kind: 'error' | 'value', version: number, difference: string, example: string): void {
    const known = this.examples.get(difference)
    if (known === undefined)
      this.examples.set(difference, { count: 1, example: `v${version} ${example}` })
    else known.count++
    if (kind === 'error') this.differentErrors++
    else this.differentValues++
  }
}

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
  const settings = { 'group.initial.rebalance.delay.ms': '0', 'auto.create.topics.enable': 'false' }
  const ours = await BrokerProcess.start('millrace', join(work, 'differential-ours'), { settings })
  const theirs = await BrokerProcess.start('kafka', join(work, 'differential-kafka'), { settings })
  try {
    await compareAll(new Side(ours), new Side(theirs), options, report)
  } finally {
    await Promise.all([ours.stop(), theirs.stop()])
  }
}

async function compareAll(
  ours: Side,
  theirs: Side,
  { seed, cases, only }: DifferentialOptions,
  report: Report,
): Promise<void> {
  const [here, there] = [await ours.versions(), await theirs.versions()]
  await Promise.all([ours.settleCoordinators(), theirs.settleCoordinators()])
  for (const [name, api] of Object.entries<ApiRow>(apis)) {
    const asked = only.length === 0 || only.includes(name)
    const versions = there.get(api.key)
    if (!asked || leftOut.has(name) || versions === undefined) continue
    const own = here.get(api.key)
    if (own === undefined) {
      report(`differential: ${name}`, false, 'Apache Kafka serves it, we do not')
      continue
    }
    if (own[1] < versions[1] || own[0] > versions[0]) {
      report(
        `differential: ${name}`,
        false,
        `versions ${own.join('-')}, Kafka ${versions.join('-')}`,
      )
    }
    await Promise.all([ours.prepare(), theirs.prepare()])
    const tally = new Tally()
    const random = randomFrom(seed + api.key)
    for (
      let version = Math.max(own[0], versions[0]);
      version <= Math.min(own[1], versions[1]);
      version++
    ) {
      for (let each = 0; each < cases; each++) {
        await compareOne(ours, theirs, { name, api, version, random, tally })
      }
    }
    tell(name, tally, report)
  }
}

async function compareOne(
  ours: Side,
  theirs: Side,
  one: { name: string; api: ApiRow; version: number; random: Random; tally: Tally },
): Promise<void> {
  const { name, api, version, random, tally } = one
  const request = makeRequest(api.request, version, random)
  tally.requests++
  const [mine, other] = await Promise.all([
    ours.ask(api, version, request),
    theirs.ask(api, version, request),
  ])
  const example = JSON.stringify(request).slice(0, 400)
  const errors = firstDifference(mine.errors, other.errors)
  if (errors !== null) tally.note('error', version, errors, example)
  else {
    const values = firstDifference(mine.values, other.values)
    if (values !== null) tally.note('value', version, values, example)
  }
  if (changesMetadata.test(name)) {
    await setTimeout(settleMs)
    await Promise.all([ours.prepare(), theirs.prepare()])
  }
}

/** The first lines that only one of them has; null where they are alike. */
function firstDifference(mine: readonly string[], other: readonly string[]): string | null {
  const left = mine.filter((line) => !other.includes(line))
  const right = other.filter((line) => !mine.includes(line))
  if (left.length === 0 && right.length === 0) return null
  return `${left[0] ?? '-'} | Kafka ${right[0] ?? '-'}`
}

function tell(name: string, tally: Tally, report: Report): void {
  const { requests, differentErrors, differentValues } = tally
  const alike = requests - differentErrors - differentValues
  const detail = `${requests} requests, ${alike} alike, ${differentErrors} other errors, ${differentValues} other values`
  report(`differential: ${name}`, differentErrors === 0 && differentValues === 0, detail)
  const most = [...tally.examples].sort(([, a], [, b]) => b.count - a.count).slice(0, shownMax)
  for (const [difference, { count, example }] of most) {
    console.log(`      ${count} x ${difference}\n          ${example}`)
  }
}

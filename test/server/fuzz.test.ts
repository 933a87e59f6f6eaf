/**
 * A whole broker, in a world of its own, and requests of every API and version that it serves: made from the
 * tables with names that exist, then mostly mutated. Each is answered, or its connection closed; nothing
 * may fail in a way that nobody thought of, and a client that behaves is served all the while. `SEED=n` runs
 * other cases; a failure names its own.
 */
import t from 'tap'
import { type ApiRow, apis } from '../../protocol/apis.ts'
import { decodeResponse, decodeResponseHeader, encodeRequest } from '../../protocol/frame.ts'
import { Reader } from '../../protocol/reader.ts'
import { encodeBatch } from '../../protocol/records/record.ts'
import { includes } from '../../protocol/types.ts'
import { Broker } from '../../src/broker.ts'
import { BrokerConfig } from '../../src/config/broker-config.ts'
import type { Environment } from '../../src/environment/environment.ts'
import { generateValue, type Random, randomFrom } from '../protocol/generated-values.ts'
import { mutate } from '../protocol/mutated-bytes.ts'
import { SimulatedWorld } from '../simulator/simulated-world.ts'
import { RawClient } from './raw-client.ts'
import { frame, type LogLine, recordingLogger } from './test-server.ts'

const seed = Number(process.env.SEED ?? 20_261_122)
const roundsPerVersion = 12
const realSecondsMax = 40
const at = { host: 'broker', port: 9092 }

/** What names in a request become, so that it gets further than to an unknown one. */
const names: Readonly<Record<string, readonly string[]>> = {
  name: ['fuzzed', '__consumer_offsets'],
  topic: ['fuzzed', '__consumer_offsets'],
  topicName: ['fuzzed'],
  groupId: ['group', 'other'],
  resourceName: ['fuzzed', '1', ''],
  protocolType: ['consumer'],
}
const numbers: Readonly<Record<string, readonly number[]>> = {
  partition: [0, 1],
  index: [0, 1],
  partitionIndex: [0, 1],
  replicaId: [-1],
  acks: [0, 1, -1],
  resourceType: [2, 4, 32],
  numPartitions: [-1, 1, 3],
  replicationFactor: [-1, 1],
  sessionTimeoutMs: [6000],
  fetchOffset: [0, 1],
}

/** Puts in what exists, about every other time. */
function plausible(value: unknown, random: Random, batch: Buffer): unknown {
  if (Array.isArray(value)) return value.map((one) => plausible(one, random, batch))
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return value
  const entries = Object.entries(value).map(([key, inner]) => {
    if (random(2) === 0) return [key, plausible(inner, random, batch)]
    const known = typeof inner === 'string' ? names[key] : numbers[key]
    if (known !== undefined && typeof inner === typeof known[0]) {
      return [key, known[random(known.length)]]
    }
    return [key, key === 'records' && inner !== null ? [batch] : plausible(inner, random, batch)]
  })
  return Object.fromEntries(entries)
}

/** The frame's length made right again: else only the first lie of a connection would be looked at. */
function mutatedFrame(whole: Buffer, random: Random): Buffer {
  let body: Buffer = whole.subarray(4)
  for (let times = random(3); times > 0; times--) {
    // Mostly behind the API and its version, which decide who looks at the rest.
    const head = random(20) === 0 ? 0 : Math.min(4, body.length)
    body = Buffer.concat([body.subarray(0, head), mutate(body.subarray(head), random)])
  }
  const length = Buffer.alloc(4)
  length.writeInt32BE(body.length, 0)
  return Buffer.concat([length, body])
}

class Fuzz {
  readonly lines: LogLine[] = []
  readonly #world = new SimulatedWorld(seed)
  readonly #random = randomFrom(seed)
  readonly #client: Environment
  #records = 0
  answered = 0
  closed = 0
  silent = 0

  constructor() {
    this.#client = this.#world.start('client').environment
  }

  run(): Promise<void> {
    return this.#world.run(this.#play(), 86_400_000)
  }

  async #play(): Promise<void> {
    const settings = { 'node.id': '1', listeners: 'PLAINTEXT://:9092', 'log.dirs': '/data' }
    const { environment } = this.#world.start('broker')
    const broker = await Broker.start({
      environment: { ...environment, log: recordingLogger(this.lines) },
      config: new BrokerConfig(new Map(Object.entries(settings))),
      isDevelopment: true,
      onFatal: (error) => {
        throw error
      },
    })
    const good = await RawClient.connect(this.#client, at)
    await this.#createTopics(good)
    const beganMs = performance.now()
    for (const [api, version] of await this.#served(good)) {
      if (performance.now() - beganMs > realSecondsMax * 1000) break
      await this.#attack(api, version)
      await this.#checkGood(good)
    }
    await broker.stop()
  }

  async #ask(client: RawClient, request: Buffer): Promise<Reader> {
    client.send(request)
    return new Reader(await client.response())
  }

  async #createTopics(client: RawClient): Promise<void> {
    const topic = { numPartitions: 2, replicationFactor: 1, assignments: [], configs: [] }
    const topics = ['fuzzed', 'good'].map((name) => ({ name, ...topic }))
    await this.#ask(client, frame(apis.createTopics.request, 2, 1, { topics, timeoutMs: 1000 }))
  }

  async #served(client: RawClient): Promise<[ApiRow, number][]> {
    const reader = await this.#ask(client, frame(apis.apiVersions.request, 0, 1, {}))
    decodeResponseHeader(reader, apis.apiVersions.response, 0)
    const { apiKeys } = decodeResponse(apis.apiVersions.response, 0, reader)
    const rows = Object.values<ApiRow>(apis)
    return apiKeys.flatMap(({ apiKey, minVersion, maxVersion }) => {
      const api = rows.find(({ key }) => key === apiKey) as ApiRow
      const versions = Array.from({ length: maxVersion - minVersion + 1 }, (_, i) => minVersion + i)
      return versions
        .filter((version) => includes(api.request.valid, version))
        .map((version): [ApiRow, number] => [api, version])
    })
  }

  async #attack(api: ApiRow, version: number): Promise<void> {
    let client: RawClient | undefined
    const random = this.#random
    for (let round = 0; round < roundsPerVersion; round++) {
      if (client === undefined || client.isClosed)
        client = await RawClient.connect(this.#client, at)
      const batch = encodeBatch({
        records: [{ timestamp: random(2) * 1000, key: null, value: Buffer.alloc(random(100)) }],
      })
      const value = plausible(generateValue(api.request, version, random), random, batch)
      const head = { correlationId: 1, clientId: 'fuzz' }
      const whole = Buffer.concat(encodeRequest(api.request, version, head, value as never))
      client.send(mutatedFrame(whole, random))
      const outcome = await this.#outcome(client)
      this[outcome]++
      // What waits for others, or is acknowledged by nothing, holds up what follows.
      if (outcome === 'silent') client.stream.destroy()
      if (outcome !== 'answered') client = undefined
    }
    client?.stream.destroy()
  }

  #outcome(client: RawClient): Promise<'answered' | 'closed' | 'silent'> {
    return new Promise((resolve) => {
      const timer = this.#client.timers.after(3000, () => resolve('silent'))
      const end = (outcome: 'answered' | 'closed') => {
        timer.cancel()
        resolve(outcome)
      }
      client.response().then(
        () => end('answered'),
        () => end('closed'),
      )
    })
  }

  /** Somebody else's record is taken at the next offset. */
  async #checkGood(client: RawClient): Promise<void> {
    const records = [
      encodeBatch({ records: [{ timestamp: 1, key: null, value: Buffer.alloc(10) }] }),
    ]
    const topicData = [{ name: 'good', partitionData: [{ index: 0, records }] }]
    const request = { transactionalId: null, acks: 1, timeoutMs: 1000, topicData }
    const reader = await this.#ask(client, frame(apis.produce.request, 9, 1, request))
    decodeResponseHeader(reader, apis.produce.response, 9)
    const { responses } = decodeResponse(apis.produce.response, 9, reader)
    const partition = responses[0]?.partitionResponses[0]
    if (partition?.errorCode !== 0 || partition.baseOffset !== this.#records++) {
      throw new Error(`a client that behaves got ${JSON.stringify(partition)}`)
    }
  }
}

t.test('mutated requests are answered or refused, and nothing else happens', async (t) => {
  const fuzz = new Fuzz()
  await fuzz.run()
  const failures = fuzz.lines.filter(({ level }) => level === 'error')
  t.same(failures.slice(0, 3), [], `seed ${seed}: no error was unexpected`)
  const { answered, closed, silent } = fuzz
  t.ok(answered > 500, `${answered} answered, ${closed} closed, ${silent} neither; seed ${seed}`)
  t.ok(closed > 300, 'and many were refused')
})

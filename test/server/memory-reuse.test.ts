/**
 * Frames, the tail cache and replies use memory again and again. Here a whole broker runs in a world
 * that overwrites memory the moment it is given back, and ends the run when bytes change that a socket
 * still waits to send: producers with every `acks` pipeline batches of all sizes, connections die in the
 * middle of a request, a disk fails, and consumers that read slowly have many fetches under way, from
 * memory and from the disk. Every batch that anybody sees must be whole, the one that was acknowledged
 * for its offset, and no other.
 */
import t, { type Test } from 'tap'
import { type ApiRow, apis } from '../../protocol/apis.ts'
import { decodeResponse, decodeResponseHeader } from '../../protocol/frame.ts'
import { Reader } from '../../protocol/reader.ts'
import * as header from '../../protocol/records/batch.ts'
import { encodeBatch, readBatch } from '../../protocol/records/record.ts'
import type { InputOf, MessageOf } from '../../protocol/schema.ts'
import { Broker } from '../../src/broker.ts'
import { BrokerConfig } from '../../src/config/broker-config.ts'
import { type SimulatedProcess, SimulatedWorld } from '../simulator/simulated-world.ts'
import { RawClient } from './raw-client.ts'
import { frame } from './test-server.ts'

const topic = 'orders'
const partitions = 4
const versions = { produce: 9, fetch: 12, createTopics: 7 }
const depth = 5

class Story {
  readonly world: SimulatedWorld
  readonly broker: SimulatedProcess
  /** By partition and offset: the value that was acknowledged, or seen, there. */
  readonly values = new Map<string, string>()
  acknowledged = 0
  seen = 0
  failed = 0
  #nextValue = 0

  readonly #settings: Readonly<Record<string, string>>

  constructor(seed: number, settings: Readonly<Record<string, string>>) {
    this.#settings = settings
    this.world = new SimulatedWorld(seed)
    this.broker = this.world.start('broker')
    for (const path of ['/a', '/b']) this.broker.disk.makeDirectory(path)
  }

  start(): Promise<Broker> {
    const settings = {
      'node.id': '1',
      listeners: 'PLAINTEXT://:9092',
      'log.dirs': '/a,/b',
      'metadata.log.dir': '/a',
      'offsets.topic.num.partitions': '1',
      ...this.#settings,
    }
    return Broker.start({
      environment: this.broker.environment,
      config: new BrokerConfig(new Map(Object.entries(settings))),
      isDevelopment: true,
      onFatal: (error) => {
        throw error
      },
    })
  }

  async connect(name: string): Promise<RawClient> {
    const { environment } = this.world.start(name)
    return RawClient.connect(environment, { host: 'broker', port: 9092 })
  }

  async createTopic(): Promise<void> {
    const client = await this.connect('admin')
    const row = { name: topic, numPartitions: partitions, replicationFactor: 1 }
    const request = { topics: [{ ...row, assignments: [], configs: [] }], timeoutMs: 1000 }
    client.send(frame(apis.createTopics.request, versions.createTopics, 1, request))
    await client.response()
    client.stream.end()
  }

  produceFrame(acks: number, index: number): { request: Buffer; value: string } {
    const { random } = this.world
    const size = random.between(1, random.pick([100, 3000, 20_000, 200_000]))
    const value = `${this.#nextValue++} ${'x'.repeat(size)}`
    const batch = encodeBatch({
      records: [{ timestamp: 1, key: null, value: Buffer.from(value), headers: [] }],
    })
    const request: InputOf<typeof apis.produce.request> = {
      transactionalId: null,
      acks,
      timeoutMs: 1000,
      topicData: [{ name: topic, partitionData: [{ index, records: [batch] }] }],
    }
    return { request: frame(apis.produce.request, versions.produce, 1, request), value }
  }

  /** Keeps some requests under way, and notes where each batch was acknowledged. */
  async produce(name: string, acks: number, count: number): Promise<void> {
    const client = await this.connect(name)
    const waiting: { value: string; index: number }[] = []
    for (let i = 0; i < count; i++) {
      const index = this.world.random.between(0, partitions - 1)
      const { request, value } = this.produceFrame(acks, index)
      client.send(request)
      if (acks !== 0) waiting.push({ value, index })
      if (waiting.length >= depth) await this.#noteAnswer(client, waiting)
      else if (acks === 0 && i % 20 === 0) await this.pause(20)
    }
    while (waiting.length > 0) await this.#noteAnswer(client, waiting)
    client.stream.end()
  }

  async #noteAnswer(client: RawClient, waiting: { value: string; index: number }[]): Promise<void> {
    const answer = decoded(apis.produce, versions.produce, await client.response())
    const { value, index } = waiting.shift() as { value: string; index: number }
    const row = answer.responses[0]?.partitionResponses[0]
    if (row?.errorCode === 0) {
      this.acknowledged++
      this.#note(index, row.baseOffset, value)
    } else {
      this.failed++
    }
  }

  /** Sends requests and is gone, before the last one is whole. */
  async produceAndDie(name: string): Promise<void> {
    const client = await this.connect(name)
    for (let i = 0; i < 3; i++) client.send(this.produceFrame(1, 0).request)
    const { request } = this.produceFrame(1, 1)
    client.send(request.subarray(0, request.length >>> 1))
    await this.pause(10)
    client.stream.destroy()
  }

  /** Asks for the same place many times before it reads the answers, and goes on behind the last one. */
  async consume(name: string, index: number, isDone: () => boolean): Promise<void> {
    const client = await this.connect(name)
    for (let offset = 0; ; ) {
      const wasDone = isDone()
      const request = {
        maxWaitMs: 5,
        minBytes: 1,
        maxBytes: 1_000_000,
        topics: [
          {
            topic,
            partitions: [{ partition: index, fetchOffset: offset, partitionMaxBytes: 3e5 }],
          },
        ],
        forgottenTopicsData: [],
      }
      client.stream.pause()
      for (let i = 0; i < depth; i++) {
        client.send(frame(apis.fetch.request, versions.fetch, 1, request))
      }
      await this.pause(50)
      client.stream.resume()
      let next = offset
      for (let i = 0; i < depth; i++) {
        const answer = decoded(apis.fetch, versions.fetch, await client.response())
        const row = answer.responses[0]?.partitions[0]
        if (row?.errorCode !== 0) return
        next = Math.max(next, this.#check(index, row.records ?? []))
      }
      if (next === offset && wasDone) break
      offset = Math.max(offset, next)
    }
    client.stream.end()
  }

  #check(index: number, chunks: readonly Buffer[]): number {
    let next = -1
    for (const chunk of chunks) {
      for (const at of header.batches(chunk)) {
        const bytes = chunk.subarray(at, at + header.batchBytes(chunk, at))
        if (!header.isCrcValid(bytes, 0)) throw new Error(`a batch of ${index} is damaged`)
        const { baseOffset, records } = readBatch(bytes)
        this.#note(index, baseOffset, `${records[0]?.value}`)
        this.seen++
        next = header.lastOffset(bytes, 0) + 1
      }
    }
    return next
  }

  #note(index: number, offset: number, value: string): void {
    const place = `${index}/${offset}`
    const known = this.values.get(place)
    if (known !== undefined && known !== value) {
      throw new Error(`${place} holds ${value.slice(0, 9)} and ${known.slice(0, 9)}`)
    }
    this.values.set(place, value)
  }

  pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.world.schedule(this.broker, 'pause', this.world.random.between(0, delayMs), resolve)
    })
  }
}

function decoded<Api extends ApiRow>(
  api: Api,
  version: number,
  answer: Buffer,
): MessageOf<Api['response']> {
  const reader = new Reader(answer)
  decodeResponseHeader(reader, api.response, version)
  return decodeResponse<Api['response']>(api.response, version, reader)
}

async function play(
  t: Test,
  seed: number,
  { isDiskFailing = false, settings = {} },
): Promise<void> {
  const story = new Story(seed, settings)
  const { world, broker } = story
  const play = async (): Promise<void> => {
    const first = await story.start()
    await story.createTopic()
    await turn('first', 60)
    await first.stop()
    // What was in memory is gone: the consumers of the second turn begin with the disk.
    const second = await story.start()
    await turn('second', 30)
    await second.stop()
  }
  const turn = async (name: string, count: number): Promise<void> => {
    let isDone = false
    const consumed = Array.from({ length: partitions * 2 }, (_, i) =>
      story.consume(`${name} consumer ${i}`, i % partitions, () => isDone),
    )
    const produced = [1, -1, 0].map((acks) =>
      story.produce(`${name} producer ${acks}`, acks, count),
    )
    if (isDiskFailing && name === 'second') {
      broker.disk.fault = (operation, path) =>
        operation === 'write' && path.startsWith('/b/orders') ? 'EIO' : undefined
    }
    for (let i = 0; i < 5; i++) await story.produceAndDie(`${name} dying ${i}`)
    await Promise.all(produced)
    isDone = true
    await Promise.all(consumed)
  }
  await world.run(play(), 3_600_000)
  t.ok(story.acknowledged > 50, `${story.acknowledged} acknowledged`)
  t.ok(story.seen > story.acknowledged, `${story.seen} seen`)
  t.equal(story.failed > 0, isDiskFailing)
}

t.test('whatever memory is used again, nobody sees it', async (t) => {
  await play(t, 1, {})
})

t.test('nor where connections die while their batches wait for a sync', async (t) => {
  await play(t, 2, { settings: { 'log.flush.interval.messages': '1' } })
})

t.test('nor where writes fail', async (t) => {
  await play(t, 3, { isDiskFailing: true })
})

/** The requests that several workloads send: topics, Produce, Fetch. */
import { randomBytes } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { apis } from '../../protocol/apis.ts'
import { errorByCode } from '../../protocol/errors.ts'
import { encodeRequest } from '../../protocol/frame.ts'
import { batches, lastOffset } from '../../protocol/records/batch.ts'
import { encodeBatch } from '../../protocol/records/record.ts'
import type { Options } from './options.ts'
import { decode, type Peer } from './peer.ts'

/** Versions that Kafka 4.3 and we both serve, with topic names instead of ids. */
export const versions = {
  produce: 9,
  fetch: 12,
  metadata: 12,
  createTopics: 7,
  listOffsets: 7,
  findCoordinator: 4,
}

/** A whole Produce frame with one batch for one partition; records do not compress. */
export function produceFrame(
  topic: string,
  index: number,
  count: number,
  recordBytes: number,
): Buffer {
  const timestamp = Date.now()
  const records = Array.from({ length: count }, () => ({
    timestamp,
    key: null,
    value: randomBytes(recordBytes),
    headers: [],
  }))
  return produceRequestFrame(topic, index, encodeBatch({ records }))
}

/** As `produceFrame`, of a batch that is there already. */
export function produceRequestFrame(topic: string, index: number, batch: Buffer): Buffer {
  const request = {
    transactionalId: null,
    acks: -1,
    timeoutMs: 30_000,
    topicData: [{ name: topic, partitionData: [{ index, records: [batch] }] }],
  }
  const head = { correlationId: 1, clientId: 'bench' }
  return Buffer.concat(encodeRequest(apis.produce.request, versions.produce, head, request))
}

/** Whether the records were taken; throws where trying again would not help. */
export function isProduced(frame: Buffer): boolean {
  return producedAt(frame) !== null
}

/** The offset of the first of the records; null where they were not taken, and may be tried again. */
export function producedAt(frame: Buffer): number | null {
  const { responses } = decode(apis.produce, versions.produce, frame)
  const partition = responses[0]?.partitionResponses[0]
  const code = partition?.errorCode
  if (code === undefined || (code !== 0 && !errorByCode(code).retriable)) {
    throw new Error(`Produce was answered with error ${code}`)
  }
  return code === 0 ? Number(partition!.baseOffset) : null
}

/** Kafka tells clients of a new leader a little before the leader itself knows. */
export async function untilTaken(peer: Peer, frames: readonly Buffer[]): Promise<void> {
  for (const frame of frames) {
    while (!isProduced(await new Promise((resolve) => peer.exchange([frame], resolve)))) {
      await setTimeout(20)
    }
  }
}

export async function createTopic(peer: Peer, options: Options): Promise<void> {
  const { topic: name, partitions: numPartitions } = options
  const configs = Object.entries(options.configs).map(([name, value]) => ({ name, value }))
  const { topics } = await peer.call(apis.createTopics, versions.createTopics, {
    topics: [{ name, numPartitions, replicationFactor: 1, assignments: [], configs }],
    timeoutMs: 30_000,
  })
  const code = topics[0]?.errorCode
  if (code !== 0 && code !== 36) throw new Error(`CreateTopics was answered with error ${code}`)
  await untilLed(peer, [name])
}

export async function untilLed(peer: Peer, names: readonly string[]): Promise<void> {
  for (;;) {
    const { topics } = await peer.call(apis.metadata, versions.metadata, {
      topics: names.map((name) => ({ name })),
      allowAutoTopicCreation: false,
    })
    const isLed = (topic: (typeof topics)[number]) =>
      topic.errorCode === 0 && topic.partitions.every(({ leaderId }) => leaderId >= 0)
    if (topics.length === names.length && topics.every(isLed)) return
    await setTimeout(2)
  }
}

/** Until the leader of every partition answers for it. */
export async function untilUsable(
  peer: Peer,
  names: readonly string[],
  partitions: number,
): Promise<void> {
  await untilLed(peer, names)
  for (;;) {
    const answer = await peer.call(apis.listOffsets, versions.listOffsets, {
      replicaId: -1,
      isolationLevel: 0,
      topics: names.map((name) => ({
        name,
        partitions: Array.from({ length: partitions }, (_, partitionIndex) => ({
          partitionIndex,
          timestamp: -1,
        })),
      })),
    })
    const rows = answer.topics.flatMap((topic) => topic.partitions)
    if (rows.length === names.length * partitions && rows.every(({ errorCode }) => errorCode === 0))
      return
    await setTimeout(2)
  }
}

const coordinators = { group: 0, transaction: 1 } as const

/** Until somebody coordinates the group or transactional id; the first to ask makes the topic for it. */
export async function untilCoordinated(
  peer: Peer,
  kind: keyof typeof coordinators,
  key: string,
): Promise<void> {
  const asked = { keyType: coordinators[kind], coordinatorKeys: [key] }
  for (;;) {
    const answer = await peer.call(apis.findCoordinator, versions.findCoordinator, asked)
    const code = answer.coordinators[0]?.errorCode ?? -1
    if (code === 0) return
    if (!errorByCode(code).retriable) throw new Error(`FindCoordinator was answered with ${code}`)
    await setTimeout(20)
  }
}

export function fetchFrame(
  topic: string,
  partition: number,
  offset: number,
  waitMs: number,
  bytesMax = 1024 * 1024,
): Buffer[] {
  return encodeRequest(
    apis.fetch.request,
    versions.fetch,
    { correlationId: 1, clientId: 'bench' },
    {
      maxWaitMs: waitMs,
      minBytes: 1,
      maxBytes: 50 * 1024 * 1024,
      topics: [
        { topic, partitions: [{ partition, fetchOffset: offset, partitionMaxBytes: bytesMax }] },
      ],
      forgottenTopicsData: [],
    },
  )
}

/** Kafka fills an answer up with the beginning of the next batch. */
export function wholeBatches(records: Buffer): Iterable<number> {
  return batches(records, 0, records.length, { partialTail: true })
}

/** One Fetch: bytes of records, and the offset after them. */
export function fetchOnce(
  peer: Peer,
  frame: readonly Buffer[],
): Promise<{ bytes: number; nextOffset: number; records: Buffer | undefined }> {
  return new Promise((resolve, reject) => {
    peer.exchange(frame, (answer) => {
      const partition = decode(apis.fetch, versions.fetch, answer).responses[0]?.partitions[0]
      if (partition?.errorCode !== 0) {
        reject(new Error(`Fetch was answered with error ${partition?.errorCode}`))
        return
      }
      const records = partition.records?.[0]
      let nextOffset = -1
      if (records !== undefined)
        for (const at of wholeBatches(records)) nextOffset = lastOffset(records, at) + 1
      resolve({ bytes: records?.length ?? 0, nextOffset, records })
    })
  })
}

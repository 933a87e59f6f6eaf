/**
 * Fills a data directory through a running broker and keeps the ledger of what was acknowledged:
 * several topics and partitions of several segments each, one compressed, one whose beginning was
 * deleted, idempotent producers, groups' offsets, and two leader epochs or more, as the broker is
 * restarted half way.
 */
import { randomBytes } from 'node:crypto'
import { KafkaError } from '../../protocol/errors.ts'
import type { Compression } from '../../protocol/records/compression/compression.ts'
import { createTopics, deleteRecords } from '../../src/client/admin/topics.ts'
import { Cluster } from '../../src/client/cluster.ts'
import type { Connection } from '../../src/client/connection.ts'
import { commitOffsets } from '../../src/client/offsets.ts'
import { fingerprint, type Ledger, type LedgerPartition } from './ledger.ts'
import { connect, environment, newProducerId, produce } from './wire.ts'

interface WrittenTopic {
  readonly name: string
  readonly partitions: number
  readonly mebibytes: number
  readonly compression?: Compression
}

const topics: readonly WrittenTopic[] = [
  { name: 'plain', partitions: 2, mebibytes: 3.4 },
  { name: 'packed', partitions: 2, mebibytes: 2.6, compression: 'gzip' },
  { name: 'trimmed', partitions: 1, mebibytes: 2.6 },
]
const batchRecords = 16
const valueBytes = 1000
const groups = ['readers', 'writers', 'watchers']

export function clusterAt(port: number): Cluster {
  return new Cluster(environment, {
    bootstrap: [{ host: '127.0.0.1', port }],
    requestTimeoutMs: 10_000,
    operationTimeoutMs: 15_000,
  })
}

export async function createWrittenTopics(port: number): Promise<Ledger> {
  const cluster = clusterAt(port)
  const outcomes = await createTopics(
    cluster,
    topics.map(({ name, partitions }) => ({
      name,
      partitions,
      replicationFactor: 1,
      configs: new Map([['segment.bytes', '1048576']]),
    })),
  )
  for (const { error } of outcomes) if (error !== null) throw error
  cluster.close()
  const ledger: Ledger = { partitions: new Map(), groups: new Map() }
  for (const { name: topic, partitions } of topics)
    for (let partition = 0; partition < partitions; partition++)
      ledger.partitions.set(`${topic}-${partition}`, {
        topic,
        partition,
        logStartOffset: 0,
        fingerprints: [],
        batchOffsets: [],
        producers: [],
      })
  return ledger
}

/** Writes this share of every topic's bytes, each partition by two idempotent producers in turns. */
export async function writeRecords(port: number, ledger: Ledger, share: number): Promise<void> {
  const connection = await connect(port)
  for (const { name, mebibytes, compression } of topics) {
    const batches = Math.ceil((mebibytes * share * 1024 * 1024) / (batchRecords * valueBytes))
    const partitions = [...ledger.partitions.values()].filter(({ topic }) => topic === name)
    for (const partition of partitions) {
      while (partition.producers.length < 2)
        partition.producers.push({
          producerId: await patiently(() => newProducerId(connection)),
          producerEpoch: 0,
          nextSequence: 0,
          last: { baseSequence: 0, baseOffset: 0, values: [] },
        })
      for (let number = 0; number < batches; number++)
        await patiently(() => writeBatch(connection, partition, number % 2, compression))
    }
  }
  connection.close()
}

async function writeBatch(
  connection: Connection,
  ledger: LedgerPartition,
  producer: number,
  compression: Compression | undefined,
): Promise<void> {
  const { topic, partition, fingerprints } = ledger
  const identity = ledger.producers[producer]!
  const values = Array.from({ length: batchRecords }, (_, index) => {
    const head = `${topic}-${partition}:${fingerprints.length + index}:`
    return head + randomBytes(((valueBytes - head.length) * 3) >> 2).toString('base64')
  })
  const { producerId, producerEpoch, nextSequence: baseSequence } = identity
  const baseOffset = await produce(connection, {
    ...{ topic, partition, values, producerId, producerEpoch, baseSequence },
    ...(compression === undefined ? {} : { compression }),
  })
  if (baseOffset !== fingerprints.length)
    throw new Error(`${topic}-${partition}: offset ${baseOffset}, expected ${fingerprints.length}`)
  ledger.batchOffsets.push(baseOffset)
  fingerprints.push(...values.map(fingerprint))
  identity.last = { baseSequence, baseOffset, values }
  identity.nextSequence += values.length
}

/** Commits groups' offsets, many times over, and deletes the beginning of `trimmed`. */
export async function commitAndTrim(port: number, ledger: Ledger): Promise<void> {
  const cluster = clusterAt(port)
  for (const groupId of groups) {
    const committed = new Map<string, number>()
    const offsets = [...ledger.partitions.values()].map(({ topic, partition, fingerprints }) => {
      const offset = Math.floor(fingerprints.length * 0.7)
      committed.set(`${topic}-${partition}`, offset)
      return { topic, partition, offset }
    })
    const committer = { groupId, memberId: '', generationId: -1, groupInstanceId: null }
    for (let back = 30; back >= 0; back--)
      await commitOffsets(
        cluster,
        committer,
        offsets.map((row) => ({ ...row, offset: row.offset - back })),
      )
    ledger.groups.set(groupId, committed)
  }
  const trimmed = ledger.partitions.get('trimmed-0')!
  trimmed.logStartOffset = Math.floor(trimmed.fingerprints.length * 0.55)
  const { topic, partition, logStartOffset: offset } = trimmed
  for (const { error } of await deleteRecords(cluster, [{ topic, partition, offset }]))
    if (error !== null) throw error
  cluster.close()
}

/** Repeats for some seconds what a broker that has just started refuses. */
export async function patiently<T>(attempt: () => Promise<T>, seconds = 10): Promise<T> {
  const giveUpAt = performance.now() + seconds * 1000
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      const mayPass = error instanceof KafkaError && error.error.retriable
      if (!mayPass || performance.now() > giveUpAt) throw error
      await new Promise<void>((resolve) => environment.timers.after(50, resolve))
    }
  }
}

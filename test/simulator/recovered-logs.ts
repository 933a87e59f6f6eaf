/**
 * Does the broker know its logs? After a start, while nobody writes, it is asked which producers each
 * partition knows and what its newest timestamp is, and held to what lies in the files. Recovery leaves out
 * what it need not read again, and has to know that all the same. Of a producer whose batches retention has
 * taken the files have nothing, and it has to be known: what went so is remembered (`lettingGo`).
 */
import { apis } from '../../protocol/apis.ts'
import { listOffsets, maxTimestamp } from '../../src/client/offsets.ts'
import { byTopic } from '../../src/client/topic-partition.ts'
import { isPassing } from './auditor.ts'
import type { PartitionHistory } from './history.ts'
import { lastBatches, newestTimestamp, type ProducerMark } from './log-files.ts'
import type { Client, Stage } from './stage.ts'
import { Violation } from './violation.ts'

const defaultExpirationMs = 86_400_000

interface Described {
  readonly producerId: number
  readonly producerEpoch: number
  readonly lastSequence: number
}

/** A segment of it goes, with these bytes. */
export function lettingGo(partition: PartitionHistory, content: Buffer): void {
  const { goneProducers, truncations, startMax } = partition
  for (const [producerId, mark] of lastBatches(content)) {
    // Of a batch that somebody had deleted before nothing has to be known, as of one that is still there.
    if (mark.offset < startMax) continue
    const known = goneProducers.get(producerId)
    if ((known?.offset ?? -1) < mark.offset) goneProducers.set(producerId, { ...mark, truncations })
  }
}

/** Of what is offline nothing is asked. Rejects with Violation. */
export async function compareRecovered(stage: Stage, client: Client): Promise<void> {
  // What damage takes is not known beforehand.
  if (stage.temper.flipChance > 0) return
  const partitions = [...stage.history.partitions.values()].filter((one) => !one.needsAudit)
  try {
    const online = await compareProducers(stage, client, partitions)
    await compareTimes(stage, client, online)
  } catch (error) {
    if (!isPassing(error)) throw error
    stage.trace.say(client.name, `knows not what is recovered: ${(error as Error).message}`)
  }
}

/** Those that have answered. */
async function compareProducers(
  stage: Stage,
  client: Client,
  partitions: readonly PartitionHistory[],
): Promise<PartitionHistory[]> {
  const asked = partitions.map(({ topic, index }) => ({ topic, partition: index }))
  const { topics } = await client.cluster.callAny(apis.describeProducers, {
    topics: Array.from(byTopic(asked), ([name, rows]) => {
      return { name, partitionIndexes: rows.map(({ partition }) => partition) }
    }),
  })
  const online: PartitionHistory[] = []
  for (const { name, partitions: rows } of topics) {
    for (const { partitionIndex, errorCode, activeProducers } of rows) {
      if (errorCode !== 0) continue
      const partition = stage.history.partition(name, partitionIndex)
      online.push(partition)
      // With the clock, the time after which producers are forgotten may have jumped.
      if (stage.temper.blows.clockJump === 0) mustKnow(stage, client, partition, activeProducers)
    }
  }
  return online
}

function mustKnow(
  stage: Stage,
  client: Client,
  partition: PartitionHistory,
  described: readonly Described[],
): void {
  const { settings } = stage.temper
  const expirationMs = Number(settings.get('producer.id.expiration.ms') ?? defaultExpirationMs)
  const known = new Map(described.map((one) => [one.producerId, one]))
  const marks = new Map<number, ProducerMark>()
  for (const [producerId, mark] of partition.goneProducers) {
    if (mark.truncations === partition.truncations) marks.set(producerId, mark)
  }
  for (const content of segmentsOf(stage, partition)) {
    for (const [producerId, mark] of lastBatches(content)) {
      // Of a batch that is to be passed over by those who read, nothing has to be known.
      if (mark.offset >= partition.startMax) marks.set(producerId, mark)
    }
  }
  for (const [producerId, mark] of marks) {
    if (client.environment.clock.now() - mark.timestamp > expirationMs / 2) continue
    const { producerEpoch = -1, lastSequence = -1 } = known.get(producerId) ?? {}
    const isBehind = producerEpoch === mark.epoch && lastSequence < mark.lastSequence
    if (producerEpoch >= mark.epoch && !isBehind) continue
    throw new Violation(
      `${partition.name} knows producer ${producerId} up to ${lastSequence} of epoch ` +
        `${producerEpoch}; its batch at ${mark.offset} is ${mark.lastSequence} of ${mark.epoch}`,
    )
  }
}

async function compareTimes(
  stage: Stage,
  { cluster }: Client,
  partitions: readonly PartitionHistory[],
): Promise<void> {
  const newestOf = (one: PartitionHistory): number =>
    Math.max(-1, ...segmentsOf(stage, one).map(newestTimestamp))
  // Of a segment whose first records were deleted the newest may be among them.
  const whole = partitions.filter(({ startMax }) => startMax === 0)
  const before = new Map(whole.map((one) => [one.name, newestOf(one)]))
  const asked = whole.map(({ topic, index }) => {
    return { topic, partition: index, timestamp: maxTimestamp }
  })
  for (const { topic, partition, timestamp } of await listOffsets(cluster, asked)) {
    const one = stage.history.partition(topic, partition)
    const newest = newestOf(one)
    // Retention, too, looks at a log that was started.
    if (timestamp === newest || newest !== before.get(one.name) || one.startMax > 0) continue
    throw new Violation(`the newest record of ${one.name} is of ${newest}, not of ${timestamp}`)
  }
}

/** In the order of their offsets; none where it is not certain which directory is its own. */
function segmentsOf({ world, temper }: Stage, { name }: PartitionHistory): Buffer[] {
  const disk = world.disk('broker')
  const directories = temper.logDirs
    .map((logDir) => disk.look(`${logDir}/${name}`))
    .filter(({ size }) => size > 0)
  if (directories.length !== 1) return []
  return [...(directories[0] as Map<string, Buffer | null>)]
    .filter(([file]) => /^\d{20}\.log$/.test(file))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, content]) => content as Buffer)
}

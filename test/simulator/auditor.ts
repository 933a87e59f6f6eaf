/**
 * Reads partitions as a whole while nobody writes: finds where they begin and end, sees every record
 * in between, and lets the history judge. Damaged batches are stepped over.
 */
import { errors, KafkaError } from '../../protocol/errors.ts'
import { Consumer } from '../../src/client/consumer.ts'
import { ConnectionError, isAnswer, TimeoutError } from '../../src/client/failures.ts'
import { earliest, latest, listOffsets, offsetIn } from '../../src/client/offsets.ts'
import type { PartitionHistory } from './history.ts'
import type { Client, Stage } from './stage.ts'
import { Violation } from './violation.ts'

/** Polls that give nothing, before somebody looks why. */
const idlePollsMax = 30

/** What was not audited as its directory is offline stays as it was. */
export async function audit(
  stage: Stage,
  client: Client,
  partitions: readonly PartitionHistory[],
): Promise<void> {
  // What the client knows of the cluster it has learnt since.
  const since = stage.starts
  for (const partition of partitions) await auditPartition(stage, client, partition, since)
}

async function auditPartition(
  stage: Stage,
  client: Client,
  partition: PartitionHistory,
  since: number,
): Promise<void> {
  const { topic, index, name } = partition
  const place = { topic, partition: index }
  try {
    const ends = await listOffsets(client.cluster, [{ ...place, timestamp: latest }])
    const starts = await listOffsets(client.cluster, [{ ...place, timestamp: earliest }])
    const { leaderEpoch = -1 } = client.cluster.metadata.partition(topic, index) ?? {}
    stage.history.checkLeaderEpoch(partition, leaderEpoch, { since, until: stage.starts })
    const end = offsetIn(ends, place)
    const start = offsetIn(starts, place)
    const offsets = await readAll(stage, client, partition, start, end)
    if (offsets === null) {
      await auditPartition(stage, client, partition, since)
      return
    }
    stage.trace.say('auditor', `${name}: ${start} to ${end}, ${offsets.size} records read`)
    stage.history.audit(partition, { start, end, offsets })
  } catch (error) {
    if (error instanceof Violation) throw error
    // Offline, or the broker is gone again: there will be another audit.
    if (!isPassing(error))
      throw new Violation(`${name} cannot be read: ${(error as Error).message}`)
    stage.trace.say('auditor', `${name}: ${(error as Error).message}`)
  }
}

/** Whether the broker was in no state to answer. */
export function isPassing(error: unknown): boolean {
  return (
    error instanceof ConnectionError ||
    error instanceof TimeoutError ||
    (error instanceof KafkaError && error.error.retriable)
  )
}

/** Null: retention has taken from under it what it was about to read. */
async function readAll(
  stage: Stage,
  { cluster }: Client,
  partition: PartitionHistory,
  start: number,
  end: number,
): Promise<Set<number> | null> {
  const { topic, index, damage } = partition
  const place = { topic, partition: index }
  const offsets = new Set<number>()
  const consumer = new Consumer(cluster, { autoOffsetReset: 'none', fetchMaxWaitMs: 100 })
  consumer.assign([{ ...place, offset: start }])
  let next = start
  let idle = 0
  while (next < end) {
    try {
      const polled = await consumer.poll({ timeoutMs: 1_000 })
      if (polled.length === 0 && idle++ > idlePollsMax) {
        if (damage === null || next < damage.base) throw new TimeoutError('it gives no records')
        // A client asks again and again for what is damaged.
        next++
        consumer.seek(place, next)
      }
      for (const { records } of polled) {
        for (const { offset, value } of records) {
          stage.history.see('the auditor', topic, index, offset, `${value}`)
          offsets.add(offset)
          next = offset + 1
        }
      }
    } catch (error) {
      if (isAnswer(error, 'OFFSET_OUT_OF_RANGE') && next < partition.startMax) return null
      if (error instanceof Violation || damage === null || next < damage.base) throw error
      const isDamage = error instanceof KafkaError && error.error === errors.CORRUPT_MESSAGE
      if (isPassing(error) && !isDamage) throw error
      // Behind the damage.
      next++
      consumer.seek(place, next)
    }
  }
  await consumer.close()
  return offsets
}

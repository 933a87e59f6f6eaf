/**
 * DeleteRecords: moves the start of partitions up, so that what lies before it can go (KIP-107). Answered
 * when the new starts would outlive a crash, for which the records before them must be on the device: a log
 * that ended below its start would begin anew with them.
 */

import { apis } from '../../protocol/apis.ts'
import { type ErrorRow, errors, KafkaError } from '../../protocol/errors.ts'
import type {
  DeleteRecordsRequest,
  DeleteRecordsResponse,
} from '../../protocol/messages/delete-records.ts'
import { isInternalTopic } from '../config/internal-topics.ts'
import { DiskError } from '../environment/disk.ts'
import { mapInSteps, mapSteps } from '../environment/in-turns.ts'
import { Partition } from '../replication/partition.ts'
import type { Replicas } from '../replication/replicas.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'

const deleteTopic = rule('DELETE', 'TOPIC', 'topics.partitions.errorCode')

type RequestedPartition = DeleteRecordsRequest['topics'][number]['partitions'][number]
type Answer = DeleteRecordsResponse['topics'][number]

export const deleteRecords = ({ replicas }: { replicas: Replicas }) =>
  handler(
    apis.deleteRecords,
    async (request, context) => {
      const syncing: Promise<void>[] = []
      // As Kafka, whose answers are by partition.
      const asked = request.topics.filter(({ partitions }) => partitions.length > 0)
      const answers = mapSteps(asked, function* ({ name, partitions }) {
        const isAllowed = deleteTopic.allows(context, name)
        const answer = ({ partitionIndex, offset }: RequestedPartition) => {
          const deleted = isAllowed
            ? deleteBefore(replicas, name, partitionIndex, offset, syncing)
            : deleteTopic.error
          return typeof deleted === 'number'
            ? { partitionIndex, lowWatermark: deleted, errorCode: errors.NONE.code }
            : { partitionIndex, lowWatermark: -1, errorCode: deleted.code }
        }
        return { name, partitions: yield* mapInSteps(partitions, answer) }
      })
      const topics = await context.inTurns(answers)
      if (topics.every(({ partitions }) => partitions.every(hasFailed))) return { topics }
      try {
        await Promise.all(syncing)
        await replicas.persistLogStarts()
        return { topics }
      } catch (error) {
        // KafkaError: the log was given up meanwhile.
        if (error instanceof DiskError || error instanceof KafkaError) {
          return { topics: topics.map(notPersisted) }
        }
        throw error
      }
    },
    { access: [deleteTopic] },
  )

function hasFailed({ errorCode }: Answer['partitions'][number]): boolean {
  return errorCode !== errors.NONE.code
}

/** A crash could bring the records back. */
function notPersisted({ name, partitions }: Answer): Answer {
  const { code: errorCode } = errors.KAFKA_STORAGE_ERROR
  return {
    name,
    partitions: partitions.map((partition) =>
      hasFailed(partition) ? partition : { ...partition, lowWatermark: -1, errorCode },
    ),
  }
}

/** The new start of the log, or what is against it. */
function deleteBefore(
  replicas: Replicas,
  topic: string,
  index: number,
  offset: number,
  syncing: Promise<void>[],
): number | ErrorRow {
  const found = replicas.find(topic, index)
  if (!(found instanceof Partition)) return found
  if (isInternalTopic(topic)) return errors.INVALID_TOPIC_EXCEPTION
  try {
    const start = found.deleteRecords(offset)
    const log = found.openedLog
    if (log !== null && log.recoveryPoint < start) {
      const synced = log.flush()
      // It may fail in a turn before it is waited for.
      synced.catch(() => {})
      syncing.push(synced)
    }
    return start
  } catch (error) {
    if (error instanceof KafkaError) return error.error
    if (error instanceof DiskError) return errors.KAFKA_STORAGE_ERROR
    throw error
  }
}

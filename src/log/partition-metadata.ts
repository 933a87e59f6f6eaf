/** The `partition.metadata` file: which topic, by id, the directory belongs to. */
import { errors, KafkaError } from '../../protocol/errors.ts'
import type { Disk } from '../environment/disk.ts'
import { readFileIfAny } from './checkpoints.ts'

const fileName = 'partition.metadata'

/** The topic id in Kafka's base64url form; null where there is no file or none that can be read. */
export function readPartitionMetadata(disk: Disk, directory: string): string | null {
  const bytes = readFileIfAny(disk, `${directory}/${fileName}`)
  if (bytes === null) return null
  const match = /^version: 0\ntopic_id: ([A-Za-z0-9_-]{22})\n?$/.exec(bytes.toString('utf8'))
  return match?.[1] ?? null
}

/**
 * Writes the file where it is missing. Throws KafkaError INCONSISTENT_TOPIC_ID where the directory
 * belongs to another topic, of the same name.
 */
export function claimDirectory(disk: Disk, directory: string, topicId: string): void {
  const found = readPartitionMetadata(disk, directory)
  if (found === topicId) return
  if (found === null) {
    writePartitionMetadata(disk, directory, topicId)
    return
  }
  const message = `${directory} holds topic id ${found}, not ${topicId}.`
  throw new KafkaError(errors.INCONSISTENT_TOPIC_ID, message)
}

/**
 * Not synced: the directory's own name says the rest, and the file is written again if it is lost.
 */
export function writePartitionMetadata(disk: Disk, directory: string, topicId: string): void {
  const file = disk.open(`${directory}/${fileName}`, 'create')
  try {
    const bytes = Buffer.from(`version: 0\ntopic_id: ${topicId}`)
    file.write([bytes], 0)
    if (file.size() !== bytes.length) file.truncate(bytes.length)
  } finally {
    file.close()
  }
}

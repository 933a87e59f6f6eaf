/**
 * The `partition.metadata` file: which topic, by id, the directory belongs to. It tells the
 * partitions of a deleted topic from those of a later one of the same name, and nothing else depends
 * on it: where it is missing or damaged, the directory's name decides and the file is written anew.
 */
import { errors, KafkaError } from '../../protocol/errors.ts'
import type { Disk } from '../environment/disk.ts'
import type { Logger } from '../environment/environment.ts'
import { moveAside, readFileIfReadable } from './checkpoints.ts'
import { nameOf } from './segment-options.ts'

const fileName = 'partition.metadata'
/** Ids are random: of 16 bytes two have at most a few in common by chance. */
const commonBytesOfDamagedId = 10

/** The topic id in Kafka's base64url form; null where there is no file or none that can be read. */
export function readPartitionMetadata(disk: Disk, directory: string): string | null {
  const bytes = readFileIfReadable(disk, `${directory}/${fileName}`)
  if (bytes === null) return null
  const match = /^version: 0\ntopic_id: ([A-Za-z0-9_-]{22})\n?$/.exec(bytes.toString('utf8'))
  return match?.[1] ?? null
}

/**
 * Whether a directory with `found` in its file (null: nothing readable) is that of the topic
 * `topicId`. An id that differs in a few bytes only is the same one, damaged.
 */
export function isOfTopic(found: string | null, topicId: string): boolean {
  if (found === null || found === topicId) return true
  const expected = Buffer.from(topicId, 'base64url')
  const bytes = Buffer.from(found, 'base64url')
  let common = 0
  // Zeros say little: the ids that Kafka reserves hardly have anything else.
  for (const [at, byte] of bytes.entries()) if (byte !== 0 && byte === expected[at]) common++
  return common >= commonBytesOfDamagedId
}

/**
 * Writes the file where it is missing or damaged, of which the latter is told. Throws DiskError, and
 * KafkaError INCONSISTENT_TOPIC_ID where the directory belongs to another topic of the same name.
 */
export function claimDirectory(disk: Disk, directory: string, topicId: string, log: Logger): void {
  const found = readPartitionMetadata(disk, directory)
  if (found === topicId) return
  if (isOfTopic(found, topicId)) {
    if (found !== null || disk.exists(`${directory}/${fileName}`)) {
      const message = 'partition.metadata is damaged and is written anew: the name of the directory'
      log.warn(`${message} says whose it is`, { partition: nameOf(directory), topicId: found })
    }
    writePartitionMetadata(disk, directory, topicId)
    return
  }
  const message =
    `${directory}/${fileName} names topic id ${found}, not ${topicId}: put that id into it if the ` +
    'records are of this topic, else move the directory away.'
  throw new KafkaError(errors.INCONSISTENT_TOPIC_ID, message)
}

/**
 * Not synced: the directory's own name says the rest, and the file is written again if it is lost.
 */
function writePartitionMetadata(disk: Disk, directory: string, topicId: string): void {
  const path = `${directory}/${fileName}`
  if (disk.exists(path) && disk.stat(path).isDirectory) moveAside(disk, path)
  const file = disk.open(path, 'create')
  try {
    const bytes = Buffer.from(`version: 0\ntopic_id: ${topicId}`)
    file.write([bytes], 0)
    if (file.size() !== bytes.length) file.truncate(bytes.length)
  } finally {
    file.close()
  }
}

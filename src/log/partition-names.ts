/**
 * The names of what lies in a log directory: `topic-partition`; with a random id and `-future`, what is to
 * take a partition's place; with one and `-delete` or `-stray`, what nobody wants any more.
 */

/** The metadata quorum's own log; it is not a topic's. */
export const metadataLogName = '__cluster_metadata-0'
const nameBytesMax = 255
export const futureSuffix = '-future'
/** Of what makes a name unique. */
export const idBytes = 16

/** Of the log that is to take the place of another: of the partition, `topic-partition`. */
export function partitionNameOf(name: string): string {
  const future = parseFutureName(name)
  return future === null ? name : `${future.topic}-${future.partition}`
}

export function parseFutureName(name: string): { topic: string; partition: number } | null {
  const [, partitionName] = /^(.+)\.[0-9a-f]{32}-future$/.exec(name) ?? []
  return partitionName === undefined ? null : parsePartitionName(partitionName)
}

/** Whether the topic's name is too long for a log that is to take the place of another (KAFKA-4893). */
export function isTooLongForFuture(topic: string, partition: number): boolean {
  return `${topic}-${partition}.${futureSuffix}`.length + 2 * idBytes > nameBytesMax
}

/** Whether a directory of this name is that of a topic's partition. */
export const isPartitionName = (name: string): boolean => parsePartitionName(name) !== null

/** Null for what is no topic's partition. */
export function parsePartitionName(name: string): { topic: string; partition: number } | null {
  if (name === metadataLogName) return null
  const [, topic = '', partition = ''] = /^([A-Za-z0-9._-]+)-(0|[1-9]\d{0,8})$/.exec(name) ?? []
  return topic === '' ? null : { topic, partition: Number(partition) }
}

/**
 * A name that no directory has, for the one of this name or what takes its place: of the topic's as much
 * as fits.
 */
export function uniqueName(name: string, id: Buffer, suffix: string): string {
  const partitionName = partitionNameOf(name)
  const dash = partitionName.lastIndexOf('-')
  const end = `${partitionName.slice(dash)}.${id.toString('hex')}${suffix}`
  return partitionName.slice(0, Math.min(dash, nameBytesMax - end.length)) + end
}

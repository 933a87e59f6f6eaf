/**
 * The `meta.properties` file: to which cluster and node a directory belongs, and its own id.
 * Version 0, from before KRaft, says `broker.id` and knows no directory id. The ids exist nowhere
 * else, so a file that makes no sense is refused, never guessed.
 */
import { type Disk, DiskError } from '../environment/disk.ts'
import { readFileIfAny, replaceFile } from './checkpoints.ts'

export interface MetaProperties {
  readonly version: number
  /** Empty where the file has none. */
  readonly clusterId: string
  readonly nodeId: number
  /** Kafka's base64url form; empty where the file has none. */
  readonly directoryId: string
}

const fileName = 'meta.properties'
const contentMessage =
  'It says to which cluster and node the directory belongs: restore it from a copy, or write the ' +
  'lines version=1, cluster.id=<id> and node.id=<id> into it.'

/** Whether the directory was given an identity. */
export const hasMetaProperties = (disk: Disk, directory: string): boolean =>
  disk.exists(`${directory}/${fileName}`)

/** Null where there is no such file. Throws DiskError, and Error for one that makes no sense. */
export function readMetaProperties(disk: Disk, directory: string): MetaProperties | null {
  const path = `${directory}/${fileName}`
  let bytes: Buffer | null
  try {
    bytes = readFileIfAny(disk, path)
  } catch (error) {
    if (!(error instanceof DiskError) || error.code !== 'EISDIR') throw error
    throw new Error(`${path} is a directory. ${contentMessage}`, { cause: error })
  }
  if (bytes === null) return null
  const properties = parseMetaProperties(bytes.toString('utf8'))
  if (typeof properties === 'string') {
    throw new Error(`${path} ${properties}. ${contentMessage}`)
  }
  return properties
}

/** Durable when it returns. Throws DiskError. */
export function writeMetaProperties(
  disk: Disk,
  directory: string,
  properties: MetaProperties,
): void {
  const path = `${directory}/${fileName}`
  replaceFile(disk, path, formatMetaProperties(properties), { sync: true })
}

/** What the text says, or what is wrong with it. */
export function parseMetaProperties(text: string): MetaProperties | string {
  const fields = new Map<string, string>()
  for (const line of text.split(/\r?\n/)) {
    const match = /^\s*([^#!=:\s][^=:\s]*)\s*[=:]\s*(.*?)\s*$/.exec(line)
    if (match?.[1] !== undefined) fields.set(match[1], (match[2] ?? '').replace(/\\(.)/g, '$1'))
  }
  if (fields.size === 0) return 'is empty or damaged'
  const version = fields.get('version') ?? '0'
  if (version !== '0' && version !== '1') return `has version ${version}, which is not known`
  const nodeKey = version === '0' ? 'broker.id' : 'node.id'
  const nodeId = fields.get(nodeKey)
  if (nodeId === undefined) return `names no ${nodeKey}`
  if (!/^\d{1,10}$/.test(nodeId)) return `has ${nodeKey} ${nodeId}, which is no number`
  const clusterId = fields.get('cluster.id') ?? ''
  if (clusterId === '' && version === '1') return 'names no cluster.id'
  const directoryId = fields.get('directory.id') ?? ''
  if (directoryId !== '' && !/^[A-Za-z0-9_-]{22}$/.test(directoryId)) {
    return `has directory.id ${directoryId}, which is no id`
  }
  return { version: Number(version), clusterId, nodeId: Number(nodeId), directoryId }
}

/** Always version 1. */
function formatMetaProperties(properties: MetaProperties): string {
  const { clusterId, nodeId, directoryId } = properties
  const lines = [`cluster.id=${clusterId}`, `directory.id=${directoryId}`, `node.id=${nodeId}`]
  return `${lines.join('\n')}\nversion=1\n`
}

/**
 * The `meta.properties` file: to which cluster and node a directory belongs, and its own id.
 * Version 0, from before KRaft, says `broker.id` and knows no directory id.
 */

export interface MetaProperties {
  readonly version: number
  /** Empty where the file has none. */
  readonly clusterId: string
  readonly nodeId: number
  /** Kafka's base64url form; empty where the file has none. */
  readonly directoryId: string
}

/** Throws Error for a version or a node id that makes no sense. */
export function parseMetaProperties(text: string): MetaProperties {
  const fields = new Map<string, string>()
  for (const line of text.split(/\r?\n/)) {
    const match = /^\s*([^#!=:\s][^=:\s]*)\s*[=:]\s*(.*?)\s*$/.exec(line)
    if (match?.[1] !== undefined) fields.set(match[1], (match[2] ?? '').replace(/\\(.)/g, '$1'))
  }
  const version = Number(fields.get('version') ?? '0')
  const nodeId = Number(fields.get(version === 0 ? 'broker.id' : 'node.id') ?? '-1')
  if ((version !== 0 && version !== 1) || !Number.isInteger(nodeId)) {
    throw new Error(`meta.properties has version ${fields.get('version')}, node ${nodeId}`)
  }
  return {
    version,
    clusterId: fields.get('cluster.id') ?? '',
    nodeId,
    directoryId: fields.get('directory.id') ?? '',
  }
}

/** Always version 1. */
export function formatMetaProperties(properties: MetaProperties): string {
  const { clusterId, nodeId, directoryId } = properties
  const lines = [`cluster.id=${clusterId}`, `directory.id=${directoryId}`, `node.id=${nodeId}`]
  return `${lines.join('\n')}\nversion=1\n`
}

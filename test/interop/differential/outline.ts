/**
 * An answer as lines that two brokers can be compared by: the error codes and where they stand, and the
 * values that do not depend on whose answer it is.
 */
import { errorByCode } from '../../../protocol/errors.ts'

/** What an element of a list is known by, whatever its place in the list. */
const identities = [
  'name',
  'topic',
  'topicName',
  'topicId',
  'groupId',
  'partitionIndex',
  'partition',
  'partitionId',
  'index',
  'key',
  'resourceName',
  'transactionalId',
  'user',
  'configName',
  'feature',
  'producerId',
]
/** Times, addresses, names given out, texts, and what depends on the disk. */
const ownWords = new Set([
  ...['throttleTimeMs', 'errorMessage', 'host', 'port', 'rack', 'clusterId', 'memberId', 'leader'],
  ...['producerId', 'producerEpoch', 'topicId', 'logAppendTimeMs', 'timestamp', 'clientHost'],
  ...['maxTimestamp', 'usableBytes', 'totalBytes', 'logDir', 'size', 'members', 'nodeEndpoints'],
  ...['sessionId', 'clientInstanceId', 'subscriptionId', 'transactionStartTimeMs', 'salt'],
  ...['batchIndexErrorMessage', 'lastTimestamp', 'documentation', 'brokers', 'records'],
  ...['controllerId', 'synonyms', 'message', 'heartbeatIntervalMs', 'lastFetchTimestamp'],
  ...['lastCaughtUpTimestamp', 'logEndOffset', 'replicaDirectoryId', 'nodes', 'recordErrors'],
  ...['lastKnownElr', 'eligibleLeaderReplicas', 'firstOffset', 'lastOffset'],
])

export interface Outline {
  /** `where: NAME` for every error code. */
  readonly errors: readonly string[]
  /** `where: value`. */
  readonly values: readonly string[]
}

export function outline(answer: unknown, nameOf: (topicId: string) => string): Outline {
  const lines: { errors: string[]; values: string[] } = { errors: [], values: [] }
  walk(answer, '', lines, nameOf)
  return { errors: lines.errors.sort(), values: lines.values.sort() }
}

function walk(
  value: unknown,
  path: string,
  lines: { errors: string[]; values: string[] },
  nameOf: (topicId: string) => string,
): void {
  if (Array.isArray(value)) {
    value.forEach((element, at) => {
      walk(element, `${path}[${identityOf(element, at, nameOf)}]`, lines, nameOf)
    })
    return
  }
  if (typeof value === 'object' && value !== null && !Buffer.isBuffer(value)) {
    for (const [name, inner] of Object.entries(value)) {
      if (ownWords.has(name)) continue
      if (name === 'errorCode' || name.endsWith('ErrorCode')) {
        lines.errors.push(`${path}.${name}: ${errorByCode(inner as number).name}`)
      } else walk(inner, `${path}.${name}`, lines, nameOf)
    }
    return
  }
  lines.values.push(`${path}: ${Buffer.isBuffer(value) ? `${value.length} bytes` : String(value)}`)
}

function identityOf(element: unknown, at: number, nameOf: (topicId: string) => string): string {
  if (typeof element !== 'object' || element === null) return String(at)
  const fields = element as Readonly<Record<string, unknown>>
  for (const name of identities) {
    const value = fields[name]
    if (value === undefined || value === null || value === '' || value === 0) continue
    if (name === 'topicId') return nameOf(String(value))
    if (name === 'producerId') return 'producer'
    return String(value).slice(0, 20)
  }
  return 'partitionIndex' in fields || 'partition' in fields || 'index' in fields ? '0' : String(at)
}

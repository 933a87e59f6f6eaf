/**
 * An answer as lines that two brokers can be compared by: the error codes and where they stand, and the
 * values that do not depend on whose answer it is.
 */
import { errorByCode } from '../../../protocol/errors.ts'
import { zeroUuid } from '../../../protocol/types.ts'
import type { World } from './world.ts'

/** What an element of a list is known by, whatever its place in the list. */
const identities = [
  'name',
  'topic',
  'topicName',
  'topicId',
  'apiKey',
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
  ...['acquisitionLockTimeoutMs', 'pushIntervalMs', 'acceptedCompressionTypes', 'entity'],
  ...[
    'lastKnownElr',
    'finalizedFeaturesEpoch',
    'eligibleLeaderReplicas',
    'firstOffset',
    'lastOffset',
  ],
])

/** How much the two have written there depends on what each calls its members. */
const ofInternalTopic = '.topics[__'

export interface Outline {
  /** `where: NAME` for every error code. */
  readonly errors: readonly string[]
  /** `where: value`. */
  readonly values: readonly string[]
}

interface Lines {
  readonly errors: string[]
  readonly values: string[]
}

export function outline(answer: unknown, world: World): Outline {
  const lines: Lines = { errors: [], values: [] }
  walk(answer, '', lines, world)
  return { errors: lines.errors.sort(), values: lines.values.sort() }
}

function walk(value: unknown, path: string, lines: Lines, world: World): void {
  if (Array.isArray(value)) {
    value.forEach((element, at) => {
      const identity = identityOf(element, at, world)
      if (identity !== null) walk(element, `${path}[${identity}]`, lines, world)
    })
    return
  }
  if (typeof value === 'object' && value !== null && !Buffer.isBuffer(value)) {
    for (const [name, inner] of Object.entries(value)) {
      if (ownWords.has(name) || (name === 'partitionSize' && path.includes(ofInternalTopic)))
        continue
      if (name === 'errorCode' || name.endsWith('ErrorCode')) {
        lines.errors.push(`${path}.${name}: ${errorByCode(inner as number).name}`)
      } else walk(inner, `${path}.${name}`, lines, world)
    }
    return
  }
  lines.values.push(`${path}: ${shown(value, world)}`)
}

function shown(value: unknown, world: World): string {
  if (Buffer.isBuffer(value)) return `${value.length} bytes`
  return typeof value === 'string' ? String(world.plain(value)) : String(value)
}

/** By its name where it has one, so that the order of a list does not matter; null: it is not compared. */
function identityOf(element: unknown, at: number, world: World): string | null {
  if (typeof element === 'string') return world.plain(element)
  if (typeof element !== 'object' || element === null) return String(at)
  const fields = element as Readonly<Record<string, unknown>>
  if (Array.isArray(fields.entity)) return entityName(fields.entity)
  for (const name of identities) {
    const value = fields[name]
    if (value === undefined || value === null || value === '' || value === 0) continue
    if (name === 'topicId' && value === zeroUuid) continue
    if (name === 'topicId') return world.nameOf(String(value))
    if (name === 'producerId') return 'producer'
    return world.plain(String(value))?.slice(0, 20) ?? null
  }
  const first = identities.find((name) => fields[name] !== undefined)
  return first === undefined ? String(at) : String(fields[first])
}

/** Whom a quota is for, whatever the order in which that is said. */
function entityName(parts: readonly unknown[]): string {
  return parts
    .map((part) => JSON.stringify(part))
    .sort()
    .join(' ')
}

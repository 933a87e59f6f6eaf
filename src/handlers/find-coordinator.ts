/**
 * FindCoordinator: which broker coordinates a group (or whatever the key type means), one key at a
 * time before version 4. The first to ask has the internal topic made; while it has no leader the
 * answer is COORDINATOR_NOT_AVAILABLE, and clients ask again.
 */

import { apis } from '../../protocol/apis.ts'
import { type ErrorRow, errors } from '../../protocol/errors.ts'
import type { FindCoordinatorResponse } from '../../protocol/messages/find-coordinator.ts'
import { coordinatorPartition } from '../coordinator/coordinator-partition.ts'
import { mapInSteps } from '../environment/in-turns.ts'
import { type AccessRule, rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'
import type { RequestContext } from '../server/request-context.ts'

/** What kind of coordinator a key type means, as far as it is coordinated here. */
export interface CoordinatedTopic {
  readonly keyType: number
  readonly topic: string
  /** Partitions of the topic; undefined while it does not exist. */
  partitionCount(): number | undefined
  /** Where not every text can be a key. */
  isKey?(text: string): boolean
}

export interface CoordinatorNode {
  readonly nodeId: number
  readonly host: string
  readonly port: number
}

export interface FindCoordinatorParts {
  readonly coordinated: readonly CoordinatedTopic[]
  /** Makes an internal topic; resolves when that is done, or has failed and was logged. */
  readonly ensureTopic: (name: string) => Promise<void>
  /**
   * The leader of a partition, at the address that this client is told; undefined if there is none.
   */
  readonly leaderOf: (
    topic: string,
    partition: number,
    context: RequestContext,
  ) => CoordinatorNode | undefined
}

const firstVersionWithKeys = 4
const firstVersionWithShareKeys = 6
const shareKeyType = 2

const describeGroup = rule('DESCRIBE', 'GROUP', 'coordinators.errorCode')
const describeTransactionalId = rule('DESCRIBE', 'TRANSACTIONAL_ID', 'coordinators.errorCode')
/** Brokers alone ask for the coordinators of share groups' partitions. */
const actForCluster = rule('CLUSTER_ACTION', 'CLUSTER', 'coordinators.errorCode')
/** What is asked of each key, by the key's type. */
const accessToKey: readonly (AccessRule | undefined)[] = [describeGroup, describeTransactionalId]

type Found = CoordinatorNode & { readonly error: ErrorRow }
type Coordinator = NonNullable<FindCoordinatorResponse['coordinators']>[number]

export const findCoordinator = (parts: FindCoordinatorParts) =>
  handler(
    apis.findCoordinator,
    async (request, context) => {
      const { key, keyType, coordinatorKeys } = request
      if (context.apiVersion < firstVersionWithKeys) {
        const find = await allowedFinder(parts, keyType, [key], context)
        return soleAnswer(find(key))
      }
      const find = await allowedFinder(parts, keyType, coordinatorKeys, context)
      const answers = mapInSteps(coordinatorKeys, (each) => coordinatorAnswer(each, find(each)))
      return { coordinators: await context.inTurns(answers) }
    },
    {
      access: [describeGroup, describeTransactionalId, actForCluster],
      onError: ({ coordinatorKeys }, error, version) =>
        version < firstVersionWithKeys
          ? soleAnswer(nobody(error))
          : { coordinators: coordinatorKeys.map((key) => coordinatorAnswer(key, nobody(error))) },
    },
  )

/** As `finderOf`, for keys that the client may know of; where there are none, nothing is made for it. */
async function allowedFinder(
  parts: FindCoordinatorParts,
  keyType: number,
  keys: readonly string[],
  context: RequestContext,
): Promise<(key: string) => Found> {
  if (keyType === shareKeyType) actForCluster.require(context)
  const access = accessToKey[keyType]
  if (access === undefined) return finderOf(parts, keyType, context)
  const { allowed, denied } = access.split(context, keys, (key) => key)
  if (denied.length === 0) return finderOf(parts, keyType, context)
  const refused = new Set(denied)
  const find = allowed.length === 0 ? undefined : await finderOf(parts, keyType, context)
  return (key) => (find === undefined || refused.has(key) ? nobody(access.error) : find(key))
}

/** Finds the coordinator of one key; the leaders are looked up once for all keys of a request. */
async function finderOf(
  parts: FindCoordinatorParts,
  keyType: number,
  context: RequestContext,
): Promise<(key: string) => Found> {
  const isTooEarly = keyType === shareKeyType && context.apiVersion < firstVersionWithShareKeys
  const coordinated = parts.coordinated.find((each) => each.keyType === keyType)
  if (coordinated === undefined || isTooEarly) return () => nobody(errors.INVALID_REQUEST)
  const { topic } = coordinated
  if (coordinated.partitionCount() === undefined) await parts.ensureTopic(topic)
  const partitionCount = coordinated.partitionCount()
  if (partitionCount === undefined) return () => nobody(errors.COORDINATOR_NOT_AVAILABLE)
  const leaders = new Map<number, CoordinatorNode | undefined>()
  return (key) => {
    if (coordinated.isKey?.(key) === false) return nobody(errors.INVALID_REQUEST)
    const partition = coordinatorPartition(key, partitionCount)
    if (!leaders.has(partition)) leaders.set(partition, parts.leaderOf(topic, partition, context))
    const leader = leaders.get(partition)
    return leader ? { ...leader, error: errors.NONE } : nobody(errors.COORDINATOR_NOT_AVAILABLE)
  }
}

function nobody(error: ErrorRow): Found {
  return { nodeId: -1, host: '', port: -1, error }
}

function soleAnswer({ error, nodeId, host, port }: Found): FindCoordinatorResponse {
  return { errorCode: error.code, errorMessage: error.message, nodeId, host, port }
}

function coordinatorAnswer(key: string, { error, nodeId, host, port }: Found): Coordinator {
  const errorMessage = error === errors.NONE ? null : error.message
  return { key, nodeId, host, port, errorCode: error.code, errorMessage }
}

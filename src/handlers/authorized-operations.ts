/** The bit fields of what whoever asks may do with a resource (KIP-430). */
import {
  type AclOperation,
  aclOperations,
  clusterName,
  operationsOf,
  type ResourceType,
} from '../../protocol/acls.ts'
import { filter } from '../server/access.ts'
import type { RequestContext } from '../server/request-context.ts'

/** What a response says where nobody asked. */
export const operationsNotAsked = -0x8000_0000

/** To see what one may do with the cluster; whoever may not sees that it is nothing. */
export const describeOperations = filter('DESCRIBE', 'CLUSTER', 'clusterAuthorizedOperations')

export function clusterOperations(context: RequestContext): number {
  return describeOperations.allows(context) ? authorizedOperations(context, 'CLUSTER') : 0
}

/** Of the operations that the kind of resource knows; all of them where there is no authorizer. */
export function authorizedOperations(
  context: RequestContext,
  resource: ResourceType,
  name: string = clusterName,
): number {
  const { authorizer } = context
  if (authorizer === null) return everyOperation[resource]
  return bits(
    operationsOf[resource].filter((operation) =>
      authorizer.allows(context, operation, resource, name, false),
    ),
  )
}

function bits(operations: readonly AclOperation[]): number {
  return operations.reduce((field, operation) => field | (1 << aclOperations[operation]), 0)
}

const everyOperation = Object.fromEntries(
  Object.entries(operationsOf).map(([resource, operations]) => [resource, bits(operations)]),
) as Readonly<Record<ResourceType, number>>

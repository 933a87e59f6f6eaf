/** Access control entries: who may do what, and who may not. */
import {
  aclOperations,
  patternTypes,
  permissionTypes,
  resourceTypes,
  wordOf,
} from '../../../protocol/acls.ts'
import { apis } from '../../../protocol/apis.ts'
import type { Cluster } from '../cluster.ts'
import { check, failure, type Outcome, outcome, throwMoved } from './outcome.ts'

/** In the words of `protocol/acls.ts`. */
export interface Acl {
  readonly resourceType: string
  readonly resourceName: string
  readonly patternType: string
  readonly principal: string
  readonly host: string
  readonly operation: string
  readonly permission: string
}

/** What is left out may be anything; the pattern MATCH asks for all that is about the named resource. */
export interface AclFilter extends Partial<Acl> {
  readonly patternType: string
}

type Numbers = Readonly<Record<string, number>>

const number = (table: Numbers, word: string | undefined): number => table[word ?? 'ANY'] ?? 0

function filterOf(filter: AclFilter) {
  return {
    resourceTypeFilter: number(resourceTypes, filter.resourceType),
    resourceNameFilter: filter.resourceName ?? null,
    patternTypeFilter: number(patternTypes, filter.patternType),
    principalFilter: filter.principal ?? null,
    hostFilter: filter.host ?? null,
    operation: number(aclOperations, filter.operation),
    permissionType: number(permissionTypes, filter.permission),
  }
}

interface Pattern {
  readonly resourceType: number
  readonly resourceName: string
  readonly patternType: number
}

interface Entry {
  readonly principal: string
  readonly host: string
  readonly operation: number
  readonly permissionType: number
}

function aclOf(pattern: Pattern, entry: Entry): Acl {
  return {
    resourceType: wordOf(resourceTypes, pattern.resourceType),
    resourceName: pattern.resourceName,
    patternType: wordOf(patternTypes, pattern.patternType),
    principal: entry.principal,
    host: entry.host,
    operation: wordOf(aclOperations, entry.operation),
    permission: wordOf(permissionTypes, entry.permissionType),
  }
}

export function describeAcls(cluster: Cluster, filter: AclFilter): Promise<Acl[]> {
  return cluster.retrying('read access control entries', async () => {
    const answer = await cluster.callAny(apis.describeAcls, filterOf(filter))
    check(answer.errorCode, answer.errorMessage)
    return answer.resources.flatMap((resource) =>
      resource.acls.map((entry) => aclOf(resource, entry)),
    )
  })
}

/** What exists already is no failure. */
export function createAcls(cluster: Cluster, acls: readonly Acl[]): Promise<Outcome[]> {
  const creations = acls.map((acl) => ({
    resourceType: number(resourceTypes, acl.resourceType),
    resourceName: acl.resourceName,
    resourcePatternType: number(patternTypes, acl.patternType),
    principal: acl.principal,
    host: acl.host,
    operation: number(aclOperations, acl.operation),
    permissionType: number(permissionTypes, acl.permission),
  }))
  return cluster.retrying('add access control entries', async () => {
    const { results } = await cluster.callAny(apis.createAcls, { creations })
    const outcomes = results.map(({ errorCode, errorMessage }, index) =>
      outcome(describeAcl(acls[index]!), errorCode, errorMessage),
    )
    throwMoved(outcomes)
    return outcomes
  })
}

/** The entries that are gone. */
export function deleteAcls(cluster: Cluster, filter: AclFilter): Promise<Acl[]> {
  return cluster.retrying('remove access control entries', async () => {
    const request = { filters: [filterOf(filter)] }
    const { filterResults } = await cluster.callAny(apis.deleteAcls, request)
    for (const { errorCode, errorMessage } of filterResults) check(errorCode, errorMessage)
    const matching = filterResults.flatMap(({ matchingAcls }) => matchingAcls)
    const failed = matching.find(({ errorCode }) => failure(errorCode) !== null)
    if (failed !== undefined) check(failed.errorCode, failed.errorMessage)
    return matching.map((acl) => aclOf(acl, acl))
  })
}

function describeAcl(acl: Acl): string {
  const { resourceType, resourceName, patternType } = acl
  const prefix = patternType === 'PREFIXED' ? `${resourceName}…` : resourceName
  const { permission, principal, operation, host } = acl
  const from = host === '*' ? '' : ` from ${host}`
  return `${permission} ${principal} ${operation} on ${resourceType} ${prefix}${from}`
}

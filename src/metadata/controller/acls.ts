/**
 * CreateAcls and DeleteAcls: entries come and go as records of their own. An entry that exists is not made
 * again, and one that several filters match goes once.
 */
import {
  aclOperations,
  clusterName,
  patternTypes,
  permissionTypes,
  resourceTypes,
  wildcard,
  wordOf,
} from '../../../protocol/acls.ts'
import { errors, KafkaError } from '../../../protocol/errors.ts'
import type { CreateAclsRequest } from '../../../protocol/messages/create-acls.ts'
import type { DeleteAclsRequest } from '../../../protocol/messages/delete-acls.ts'
import type { Uuid } from '../../../protocol/types.ts'
import type { AclImage, MetadataImage } from '../image.ts'
import { type MetadataRecord, record } from '../record.ts'
import {
  type Decision,
  failed,
  type Outcome,
  recordsPerRequestMax,
  succeeded,
  tooLarge,
} from './decision.ts'

export type AclCreation = CreateAclsRequest['creations'][number]
export type AclFilter = DeleteAclsRequest['filters'][number]

/** Entries that one request may be compared with: a tenth of a second. */
const comparisonsMax = 10_000_000

/** Outcomes in the order of the request. Throws KafkaError POLICY_VIOLATION for too large a request. */
export function createAcls(
  image: MetadataImage,
  creations: readonly AclCreation[],
  newUuid: () => Uuid,
): Decision<Outcome[]> {
  const records: MetadataRecord[] = []
  const names = new Set(creations.map(({ resourceName }) => resourceName))
  const existing = new Set<string>()
  for (const acl of image.acls.values()) {
    if (names.has(acl.resourceName)) existing.add(keyOf(acl))
  }
  const reply = creations.map((creation) => {
    const reason = refuseCreation(creation)
    if (reason !== undefined) return failed(errors.INVALID_REQUEST, reason)
    const { resourcePatternType: patternType, ...rest } = creation
    const acl = { patternType, ...rest }
    const key = keyOf(acl)
    if (existing.has(key)) return succeeded
    existing.add(key)
    records.push(record('AccessControlEntryRecord', { id: newUuid(), ...acl }))
    if (records.length > recordsPerRequestMax) throw tooLarge()
    return succeeded
  })
  return { records, reply }
}

function keyOf(acl: Omit<AclImage, 'id'>): string {
  const { resourceType, resourceName, patternType, principal, host } = acl
  const numbers = [resourceType, patternType, acl.operation, acl.permissionType]
  return JSON.stringify([...numbers, resourceName, principal, host])
}

/** Why the entry cannot be, as Kafka words it. */
function refuseCreation(creation: AclCreation): string | undefined {
  const { resourceType, resourceName, operation, permissionType, principal } = creation
  const { resourcePatternType: patternType } = creation
  if (resourceType === resourceTypes.CLUSTER && resourceName !== clusterName) {
    return `The only valid name for the CLUSTER resource is ${clusterName}`
  }
  if (resourceName === '') return 'Invalid empty resource name'
  if (!isConcrete(resourceTypes, resourceType)) {
    return `Invalid resourceType ${wordOf(resourceTypes, resourceType)}`
  }
  if (patternType !== patternTypes.LITERAL && patternType !== patternTypes.PREFIXED) {
    return `Invalid patternType ${wordOf(patternTypes, patternType)}`
  }
  if (!isConcrete(aclOperations, operation)) {
    return `Invalid operation ${wordOf(aclOperations, operation)}`
  }
  if (!isConcrete(permissionTypes, permissionType)) {
    return `Invalid permissionType ${wordOf(permissionTypes, permissionType)}`
  }
  if (principal.includes(':')) return undefined
  return (
    `Could not parse principal from \`${principal}\` ` +
    '(no colon is present separating the principal type from the principal name)'
  )
}

/** Neither UNKNOWN nor ANY. */
function isConcrete(table: Readonly<Record<string, number>>, number: number): boolean {
  return number !== table.ANY && Object.values(table).includes(number)
}

/**
 * For each filter the entries that go because of it. Throws KafkaError INVALID_REQUEST where that is too
 * much for one request.
 */
export function deleteAcls(
  image: MetadataImage,
  filters: readonly AclFilter[],
): Decision<(readonly AclImage[])[]> {
  if (filters.length * image.acls.size > comparisonsMax) {
    const message = `Too many filters for ${image.acls.size} acls: send fewer in a request.`
    throw new KafkaError(errors.INVALID_REQUEST, message)
  }
  const gone = new Set<Uuid>()
  let matches = 0
  const reply = filters.map((filter) => {
    const matching = matchingAcls(image, filter)
    matches += matching.length
    if (matches > recordsPerRequestMax) {
      const message = `Cannot remove more than ${recordsPerRequestMax} acls in a single delete operation.`
      throw new KafkaError(errors.INVALID_REQUEST, message)
    }
    for (const { id } of matching) gone.add(id)
    return matching
  })
  const records = [...gone].map((id) => record('RemoveAccessControlEntryRecord', { id }))
  return { records, reply }
}

/** The entries that a filter is about. */
export function matchingAcls({ acls }: MetadataImage, filter: AclFilter): AclImage[] {
  const matching: AclImage[] = []
  for (const acl of acls.values()) if (matches(filter, acl)) matching.push(acl)
  return matching
}

function matches(filter: AclFilter, acl: AclImage): boolean {
  const { resourceTypeFilter, principalFilter, hostFilter, operation, permissionType } = filter
  return (
    (resourceTypeFilter === resourceTypes.ANY || resourceTypeFilter === acl.resourceType) &&
    (principalFilter === null || principalFilter === acl.principal) &&
    (hostFilter === null || hostFilter === acl.host) &&
    (operation === aclOperations.ANY || operation === acl.operation) &&
    (permissionType === permissionTypes.ANY || permissionType === acl.permissionType) &&
    matchesPattern(filter, acl)
  )
}

/** MATCH asks for every pattern by which an entry is about the resource of that name. */
function matchesPattern(filter: AclFilter, { patternType, resourceName }: AclImage): boolean {
  const { patternTypeFilter: asked, resourceNameFilter: name } = filter
  const isMatch = asked === patternTypes.MATCH
  if (asked !== patternTypes.ANY && !isMatch && asked !== patternType) return false
  if (name === null) return true
  if (!isMatch) return name === resourceName
  return patternType === patternTypes.PREFIXED
    ? name.startsWith(resourceName)
    : name === resourceName || resourceName === wildcard
}

/**
 * Access control entries, found by what a request names: a resource, and who asks for it.
 *
 * By type, then by name and by prefix, then by principal. A name is looked up literally, as the wildcard,
 * and once for each length that a prefix has; however many entries there are, a check sees only those that
 * are about both its resource and its principal.
 */
import {
  type AclOperation,
  aclOperations,
  everybody,
  patternTypes,
  permissionTypes,
  wildcard,
} from '../../../protocol/acls.ts'
import type { AclImage } from '../image.ts'

/** Entries about one resource pattern, by principal. */
type Entries = Map<string, AclImage[]>
type Patterns = Map<string, Entries>

/** All entries about one type of resource. */
interface Section {
  readonly literal: Patterns
  readonly prefixed: Patterns
  /** Lengths that prefixes have, ascending, with how many prefixes have each. */
  prefixLengths: { readonly length: number; count: number }[]
}

export interface Who {
  /** As `User:alice`. */
  readonly principal: string
  /** As Kafka writes addresses. */
  readonly host: string
}

/** What the entries say about an operation. */
export interface Found {
  /** The first that denies; one denial outweighs all that allow. */
  readonly deny: AclImage | undefined
  readonly allow: AclImage | undefined
  /** Whether there are any about the resource, whoever and whatever they are for. */
  readonly hasEntries: boolean
}

/** Operations of which each implies DESCRIBE, and DESCRIBE_CONFIGS, where it is allowed. */
const impliesDescribe = new Set<number>([
  aclOperations.READ,
  aclOperations.WRITE,
  aclOperations.DELETE,
  aclOperations.ALTER,
])
const impliesDescribeConfigs = new Set<number>([aclOperations.ALTER_CONFIGS])

export class AclIndex {
  readonly #sections = new Map<number, Section>()
  #count = 0

  get count(): number {
    return this.#count
  }

  add(acl: AclImage): void {
    this.#count++
    const section = this.#section(acl.resourceType)
    const patterns = patternsOf(section, acl)
    let entries = patterns.get(acl.resourceName)
    if (entries === undefined) {
      entries = new Map()
      patterns.set(acl.resourceName, entries)
      if (patterns === section.prefixed) countLength(section, acl.resourceName.length, 1)
    }
    const ofPrincipal = entries.get(acl.principal)
    if (ofPrincipal === undefined) entries.set(acl.principal, [acl])
    else ofPrincipal.push(acl)
  }

  /** An entry that was added. */
  remove(acl: AclImage): void {
    const section = this.#section(acl.resourceType)
    const patterns = patternsOf(section, acl)
    const entries = patterns.get(acl.resourceName)
    const left = entries?.get(acl.principal)?.filter(({ id }) => id !== acl.id) ?? []
    this.#count--
    if (left.length > 0) entries?.set(acl.principal, left)
    else entries?.delete(acl.principal)
    if (entries?.size !== 0) return
    patterns.delete(acl.resourceName)
    if (patterns === section.prefixed) countLength(section, acl.resourceName.length, -1)
  }

  find(who: Who, operation: AclOperation, resourceType: number, name: string): Found {
    const section = this.#sections.get(resourceType)
    if (section === undefined) return { deny: undefined, allow: undefined, hasEntries: false }
    let deny: AclImage | undefined
    let allow: AclImage | undefined
    let hasEntries = false
    const look = (entries: Entries | undefined): void => {
      if (entries === undefined || deny !== undefined) return
      hasEntries = true
      for (const acl of matching(entries, who, operation)) {
        if (acl.permissionType === permissionTypes.DENY) deny ??= acl
        else allow ??= acl
      }
    }
    look(section.literal.get(name))
    if (name !== wildcard) look(section.literal.get(wildcard))
    for (const { length } of section.prefixLengths) {
      if (length > name.length) break
      look(section.prefixed.get(name.slice(0, length)))
    }
    return { deny, allow, hasEntries }
  }

  /**
   * Whether there is a name for which the operation is allowed: some allowed pattern that no denied one
   * covers whole. Only what is said about the operation itself, or all of them, counts.
   */
  allowsAny(who: Who, operation: AclOperation, resourceType: number): boolean {
    const section = this.#sections.get(resourceType)
    if (section === undefined) return false
    const allowed: string[] = []
    const allowedPrefixes: string[] = []
    const denied = new Set<string>()
    const deniedPrefixes = new Set<string>()
    const sort = (patterns: Patterns, allow: string[], deny: Set<string>): void => {
      for (const [name, entries] of patterns) {
        for (const acl of matching(entries, who, operation, isExactly)) {
          if (acl.permissionType === permissionTypes.DENY) deny.add(name)
          else allow.push(name)
        }
      }
    }
    sort(section.literal, allowed, denied)
    sort(section.prefixed, allowedPrefixes, deniedPrefixes)
    if (denied.has(wildcard)) return false
    if (allowed.includes(wildcard)) return true
    const isCovered = (name: string): boolean =>
      section.prefixLengths.some(({ length }) => deniedPrefixes.has(name.slice(0, length)))
    return (
      allowed.some((name) => !denied.has(name) && !isCovered(name)) ||
      allowedPrefixes.some((name) => !isCovered(name))
    )
  }

  #section(resourceType: number): Section {
    let section = this.#sections.get(resourceType)
    if (section === undefined) {
      section = { literal: new Map(), prefixed: new Map(), prefixLengths: [] }
      this.#sections.set(resourceType, section)
    }
    return section
  }
}

function patternsOf(section: Section, { patternType }: AclImage): Patterns {
  return patternType === patternTypes.PREFIXED ? section.prefixed : section.literal
}

function countLength(section: Section, length: number, more: number): void {
  const known = section.prefixLengths.find((each) => each.length === length)
  if (known !== undefined) known.count += more
  else section.prefixLengths.push({ length, count: more })
  section.prefixLengths = section.prefixLengths
    .filter(({ count }) => count > 0)
    .sort((a, b) => a.length - b.length)
}

function* matching(
  entries: Entries,
  { principal, host }: Who,
  operation: AclOperation,
  isAbout: (acl: AclImage, asked: number) => boolean = isAboutOperation,
): Generator<AclImage, void, void> {
  const asked = aclOperations[operation]
  const own = entries.get(principal)
  const general = principal === everybody ? undefined : entries.get(everybody)
  for (const acls of [own, general]) {
    for (const acl of acls ?? []) {
      const isFromHere = acl.host === wildcard || acl.host === host
      if (isFromHere && isAbout(acl, asked)) yield acl
    }
  }
}

/** What is allowed implies that one may look at it; what is denied implies nothing. */
function isAboutOperation(acl: AclImage, asked: number): boolean {
  if (isExactly(acl, asked)) return true
  if (acl.permissionType !== permissionTypes.ALLOW) return false
  if (asked === aclOperations.DESCRIBE) return impliesDescribe.has(acl.operation)
  if (asked === aclOperations.DESCRIBE_CONFIGS) return impliesDescribeConfigs.has(acl.operation)
  return false
}

function isExactly({ operation }: AclImage, asked: number): boolean {
  return operation === asked || operation === aclOperations.ALL
}

/**
 * Kafka's standard authorizer: super users may do everything; else an entry that denies decides, then one
 * that allows; where there are entries about a resource and none matches, nobody may; where there are none,
 * `allow.everyone.if.no.acl.found` decides.
 *
 * It follows the metadata: a change is in force before whoever made it is answered. What a connection was
 * told is kept until the entries change, so that asking again costs two lookups.
 */
import {
  type AclOperation,
  aclOperations,
  type ResourceType,
  resourceTypes,
} from '../../../protocol/acls.ts'
import { hostAddress } from '../../environment/host-address.ts'
import type { AclImage, MetadataImage } from '../image.ts'
import type { MetadataCache } from '../metadata-cache.ts'
import { AclIndex, type Who } from './acl-index.ts'

/** The name by which `authorizer.class.name` asks for it. */
export const standardAuthorizerClass = 'org.apache.kafka.metadata.authorizer.StandardAuthorizer'

/** Decisions that are kept for one connection; beyond it they begin anew. */
const decisionsMax = 4096

/** Who asks, and over which connection. */
export interface Asking {
  readonly apiKey: number
  readonly connection: {
    readonly principal: string
    readonly remote: { readonly host: string }
  }
}

/** What was asked for. */
export interface Action {
  readonly operation: AclOperation
  readonly resource: ResourceType
  readonly name: string
}

export interface Verdict {
  readonly isAllowed: boolean
  readonly because: AclImage | 'DefaultAllow' | 'DefaultDeny'
}

export interface AuthorizerOptions {
  /** As `User:admin`. */
  readonly superUsers: ReadonlySet<string>
  readonly allowEveryoneIfNoAclFound: boolean
  /** Told of denials of what was asked for by name, and of what is allowed for the first time. */
  readonly onVerdict: (asking: Asking, who: Who, action: Action, verdict: Verdict) => void
}

const defaultDeny: Verdict = { isAllowed: false, because: 'DefaultDeny' }
const defaultAllow: Verdict = { isAllowed: true, because: 'DefaultAllow' }

/** What one connection was told. */
interface Told {
  readonly who: Who
  readonly isSuperUser: boolean
  /** Of the entries; once they have changed, everything is decided anew. */
  readonly version: number
  /** By operation and type of resource, then by name. */
  readonly verdicts: Map<number, Map<string, Verdict>>
  readonly anywhere: Map<number, boolean>
  count: number
}

export class StandardAuthorizer {
  readonly #index = new AclIndex()
  readonly #options: AuthorizerOptions
  readonly #unmatched: Verdict
  readonly #told = new WeakMap<Asking['connection'], Told>()
  #version = 0

  constructor(cache: MetadataCache, options: AuthorizerOptions) {
    this.#options = options
    this.#unmatched = options.allowEveryoneIfNoAclFound ? defaultAllow : defaultDeny
    for (const acl of cache.image.acls.values()) this.#index.add(acl)
    cache.subscribe((image, { base, acls }) => this.#follow(base, image, acls.changed))
  }

  allows(
    asking: Asking,
    operation: AclOperation,
    resource: ResourceType,
    name: string,
    isAsked: boolean,
  ): boolean {
    const told = this.#toldTo(asking)
    if (told.isSuperUser) return true
    const place = slot(operation, resource)
    let verdict = told.verdicts.get(place)?.get(name)
    const isNew = verdict === undefined
    verdict ??= this.#decide(told, operation, resource, name)
    if (isNew) {
      if (++told.count > decisionsMax) this.#told.delete(asking.connection)
      else remember(told.verdicts, place, name, verdict)
    }
    if (verdict.isAllowed ? isNew : isAsked) {
      this.#options.onVerdict(asking, told.who, { operation, resource, name }, verdict)
    }
    return verdict.isAllowed
  }

  allowsAny(asking: Asking, operation: AclOperation, resource: ResourceType): boolean {
    const told = this.#toldTo(asking)
    if (told.isSuperUser) return true
    const place = slot(operation, resource)
    let isAllowed = told.anywhere.get(place)
    if (isAllowed === undefined) {
      // As for any name that nobody has thought of.
      isAllowed =
        this.#decide(told, operation, resource, 'hardcode').isAllowed ||
        this.#index.allowsAny(told.who, operation, resourceTypes[resource])
      told.anywhere.set(place, isAllowed)
    }
    return isAllowed
  }

  #decide(told: Told, operation: AclOperation, resource: ResourceType, name: string): Verdict {
    const found = this.#index.find(told.who, operation, resourceTypes[resource], name)
    if (found.deny !== undefined) return { isAllowed: false, because: found.deny }
    if (found.allow !== undefined) return { isAllowed: true, because: found.allow }
    return found.hasEntries ? defaultDeny : this.#unmatched
  }

  #toldTo({ connection }: Asking): Told {
    const { principal } = connection
    const known = this.#told.get(connection)
    if (known?.version === this.#version && known.who.principal === principal) return known
    const told: Told = {
      who: { principal, host: hostAddress(connection.remote.host) },
      isSuperUser: this.#options.superUsers.has(principal),
      version: this.#version,
      verdicts: new Map(),
      anywhere: new Map(),
      count: 0,
    }
    this.#told.set(connection, told)
    return told
  }

  #follow(before: MetadataImage, after: MetadataImage, changed: ReadonlySet<string>): void {
    if (changed.size === 0) return
    this.#version++
    for (const id of changed) {
      const old = before.acls.get(id)
      const acl = after.acls.get(id)
      if (old !== undefined) this.#index.remove(old)
      if (acl !== undefined) this.#index.add(acl)
    }
  }
}

function remember(verdicts: Told['verdicts'], place: number, name: string, verdict: Verdict): void {
  const byName = verdicts.get(place)
  if (byName === undefined) verdicts.set(place, new Map([[name, verdict]]))
  else byName.set(name, verdict)
}

function slot(operation: AclOperation, resource: ResourceType): number {
  return aclOperations[operation] * 8 + resourceTypes[resource]
}

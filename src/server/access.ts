/**
 * What a client must be allowed to do before an API does it. A handler declares its rules beside itself,
 * in its options, and asks by them and by nothing else:
 *
 *     const readGroup = rule('READ', 'GROUP', 'errorCode')
 *     const readTopics = rule('READ', 'TOPIC', 'topics.partitions.errorCode')
 *
 *     handler(apis.offsetCommit, (request, context) => {
 *       readGroup.require(context, request.groupId)      // throws: the whole request fails, by onError
 *       const topics = readTopics.split(context, request.topics, ({ name }) => name)
 *       …                                                // topics.allowed, topics.denied, in order
 *     }, { access: [readGroup, readTopics], onError: … })
 *
 * So the table of APIs by resource, operation and denied answer is the code itself: a test goes through it
 * cell by cell. `rule` is for what is asked for by name, and a denial is logged; `filter` is for lists in
 * which only what may be seen is shown. Without an authorizer everything is allowed, and asking costs a
 * comparison with null.
 */

import { type AclOperation, clusterName, type ResourceType } from '../../protocol/acls.ts'
import { apiByKey } from '../../protocol/apis.ts'
import { type ErrorRow, errors, KafkaError } from '../../protocol/errors.ts'
import type { RequestContext } from './request-context.ts'

/** Whoever decides. `isAsked`: it was asked for by name, so a denial is worth a line in the log. */
export interface Authorizer {
  allows(
    context: RequestContext,
    operation: AclOperation,
    resource: ResourceType,
    name: string,
    isAsked: boolean,
  ): boolean
  /** Whether there may be any resource of the type for which it is allowed. */
  allowsAny(context: RequestContext, operation: AclOperation, resource: ResourceType): boolean
}

interface RuleOptions {
  /** Where it is not the one of the kind of resource. */
  readonly error?: ErrorRow
  /** An operation on the whole cluster that makes up for this one. */
  readonly unless?: AclOperation
  /** An operation that makes up for this one where it is allowed for any topic at all. */
  readonly unlessAnyTopic?: AclOperation
  /** A denial is not worth a line in the log. */
  readonly silent?: boolean
}

const errorOf: Readonly<Record<ResourceType, ErrorRow>> = {
  TOPIC: errors.TOPIC_AUTHORIZATION_FAILED,
  GROUP: errors.GROUP_AUTHORIZATION_FAILED,
  CLUSTER: errors.CLUSTER_AUTHORIZATION_FAILED,
  TRANSACTIONAL_ID: errors.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
  DELEGATION_TOKEN: errors.DELEGATION_TOKEN_AUTHORIZATION_FAILED,
  USER: errors.DELEGATION_TOKEN_AUTHORIZATION_FAILED,
}

/**
 * What whoever is denied gets to see: an error at a place of the answer, an answer that lacks something, or
 * a remark in an answer that is none the less one.
 */
export type Denial = 'error' | 'lack' | 'remark'

export class AccessRule {
  readonly operation: AclOperation
  readonly resource: ResourceType
  /** Fields from the response inwards: to the error code, the list or bits that lack what is denied, the remark. */
  readonly at: string
  readonly denial: Denial
  readonly error: ErrorRow
  readonly unless: AclOperation | undefined
  readonly unlessAnyTopic: AclOperation | undefined
  readonly #isLogged: boolean

  constructor(
    what: Pick<AccessRule, 'operation' | 'resource' | 'at' | 'denial'>,
    options: RuleOptions,
  ) {
    this.operation = what.operation
    this.resource = what.resource
    this.at = what.at
    this.denial = what.denial
    this.error = options.error ?? errorOf[what.resource]
    this.unless = options.unless
    this.unlessAnyTopic = options.unlessAnyTopic
    this.#isLogged = options.silent !== true
  }

  /** `name` may be left out for the cluster. */
  allows(context: RequestContext, name: string = clusterName): boolean {
    const { authorizer } = context
    if (authorizer === null) return true
    const { operation, resource, unless, unlessAnyTopic } = this
    return (
      (unless !== undefined && authorizer.allows(context, unless, 'CLUSTER', clusterName, false)) ||
      authorizer.allows(context, operation, resource, name, this.#isLogged) ||
      (unlessAnyTopic !== undefined && authorizer.allowsAny(context, unlessAnyTopic, 'TOPIC'))
    )
  }

  /** Throws KafkaError. */
  require(context: RequestContext, name: string = clusterName): void {
    if (!this.allows(context, name)) throw this.refusal(context)
  }

  /** What `require` throws. */
  refusal({ apiKey }: RequestContext): KafkaError {
    if (this.resource !== 'CLUSTER') return new KafkaError(this.error)
    const message = `Request ${apiByKey(apiKey)?.name} needs ${this.operation} permission.`
    return new KafkaError(this.error, message)
  }

  /** What is allowed and what is not, each in the order in which it was. */
  split<Item>(
    context: RequestContext,
    items: readonly Item[],
    nameOf: (item: Item) => string,
  ): { readonly allowed: readonly Item[]; readonly denied: readonly Item[] } {
    if (context.authorizer === null) return { allowed: items, denied: [] }
    const allowed: Item[] = []
    const denied: Item[] = []
    for (const item of items) (this.allows(context, nameOf(item)) ? allowed : denied).push(item)
    return { allowed, denied }
  }

  /** Of the items, those that are allowed. */
  only<Item>(
    context: RequestContext,
    items: readonly Item[],
    nameOf: (item: Item) => string,
  ): readonly Item[] {
    return this.split(context, items, nameOf).allowed
  }
}

/** `at`: where the error code of the answer is, as `topics.partitions.errorCode`. */
export function rule(
  operation: AclOperation,
  resource: ResourceType,
  at: string,
  options: RuleOptions = {},
): AccessRule {
  return new AccessRule({ operation, resource, at, denial: 'error' }, options)
}

/** `at`: the text of the answer that says it. */
export function remark(
  operation: AclOperation,
  resource: ResourceType,
  at: string,
  options: RuleOptions = {},
): AccessRule {
  return new AccessRule({ operation, resource, at, denial: 'remark' }, options)
}

/** `at`: what the answer lacks where it may not be seen, as `groups`: the list, or the bits. */
export function filter(
  operation: AclOperation,
  resource: ResourceType,
  at: string,
  options: Pick<RuleOptions, 'unless'> = {},
): AccessRule {
  return new AccessRule({ operation, resource, at, denial: 'lack' }, { ...options, silent: true })
}

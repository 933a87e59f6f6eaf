/**
 * Who may see and change settings: those of topics and groups are the topic's and the group's, those of
 * brokers and of client metrics subscriptions are the cluster's.
 */
import type { AclOperation } from '../../protocol/acls.ts'
import { configResource } from '../metadata/image.ts'
import { type AccessRule, rule } from '../server/access.ts'
import type { RequestContext } from '../server/request-context.ts'

interface Resource {
  readonly resourceType: number
  readonly resourceName: string
}

export class ConfigAccess {
  readonly rules: readonly AccessRule[]
  readonly #cluster: AccessRule
  readonly #topic: AccessRule
  readonly #group: AccessRule

  constructor(operation: AclOperation, at: string) {
    this.#cluster = rule(operation, 'CLUSTER', at)
    this.#topic = rule(operation, 'TOPIC', at)
    this.#group = rule(operation, 'GROUP', at)
    this.rules = [this.#cluster, this.#topic, this.#group]
  }

  /** The resources that may be touched, and a refusal for each other one, as entries of a response. */
  split<R extends Resource>(context: RequestContext, resources: readonly R[]) {
    const allowed: R[] = []
    const denied: (Resource & { readonly errorCode: number; readonly errorMessage: null })[] = []
    for (const resource of resources) {
      const { resourceType, resourceName } = resource
      const access = this.#ruleOf(resourceType)
      const name = access === this.#cluster ? undefined : resourceName
      if (access.allows(context, name)) allowed.push(resource)
      else {
        const errorCode = access.error.code
        denied.push({ resourceType, resourceName, errorCode, errorMessage: null })
      }
    }
    return { allowed, denied }
  }

  #ruleOf(resourceType: number): AccessRule {
    if (resourceType === configResource.TOPIC) return this.#topic
    return resourceType === configResource.GROUP ? this.#group : this.#cluster
  }
}

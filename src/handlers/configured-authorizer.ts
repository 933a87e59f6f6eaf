/**
 * The authorizer that the settings ask for, and its audit log: what is denied at info, one line for each
 * client, operation and kind of resource now and then; what is allowed at debug, when it is asked for the
 * first time.
 */

import {
  aclOperations,
  patternTypes,
  permissionTypes,
  resourceTypes,
  wordOf,
} from '../../protocol/acls.ts'
import { apiByKey } from '../../protocol/apis.ts'
import type { BrokerConfig } from '../config/broker-config.ts'
import { principalNames } from '../config/definition.ts'
import type { Environment } from '../environment/environment.ts'
import {
  type Action,
  type Asking,
  StandardAuthorizer,
  type Verdict,
} from '../metadata/authorizer/standard-authorizer.ts'
import type { AclImage } from '../metadata/image.ts'
import type { MetadataCache } from '../metadata/metadata-cache.ts'
import type { Authorizer } from '../server/access.ts'
import { PeerWarnings } from '../server/peer-warnings.ts'

export interface ConfiguredAuthorizer {
  /** null: none is asked for. */
  readonly authorizer: Authorizer | null
  /** Tells what was left out of the log until now. */
  close(): void
}

export function configuredAuthorizer(
  environment: Pick<Environment, 'log' | 'timers'>,
  config: BrokerConfig,
  cache: MetadataCache,
): ConfiguredAuthorizer {
  if (config.get('authorizer.class.name') === '') return { authorizer: null, close: () => {} }
  const log = environment.log.child({ audit: 'kafka.authorizer.logger' })
  const superUsers = new Set(principalNames(config.get('super.users')))
  const isOpen = config.get('allow.everyone.if.no.acl.found')
  if (superUsers.size === 0 && !isOpen)
    environment.log.warn(
      'authorizer.class.name is set and super.users is not: nobody may do anything, not even set ' +
        'ACLs, unless ACLs that are there allow it; set super.users, as to User:admin',
    )
  const denials = new PeerWarnings(log, environment.timers)
  const authorizer = new StandardAuthorizer(cache, {
    superUsers,
    allowEveryoneIfNoAclFound: isOpen,
    onVerdict: (asking, { principal, host }, action, verdict) => {
      const { operation, resource } = action
      const isAllowed = verdict.isAllowed ? 'Allowed' : 'Denied'
      const message = `Principal = ${principal} is ${isAllowed} operation = ${operation}`
      const fields = describe(asking, host, action, verdict)
      if (verdict.isAllowed) log.debug(message, fields)
      else denials.info(`${host} ${principal} ${operation} ${resource}`, message, fields)
    },
  })
  return { authorizer, close: () => denials.close() }
}

function describe(asking: Asking, host: string, action: Action, { because }: Verdict) {
  return {
    host,
    resource: `${action.resource}:LITERAL:${action.name}`,
    request: apiByKey(asking.apiKey)?.name,
    rule: typeof because === 'string' ? because : describeAcl(because),
  }
}

function describeAcl(acl: AclImage): string {
  const resource = wordOf(resourceTypes, acl.resourceType)
  const pattern = wordOf(patternTypes, acl.patternType)
  const permission = wordOf(permissionTypes, acl.permissionType)
  const operation = wordOf(aclOperations, acl.operation)
  return (
    `${permission} ${acl.principal} from ${acl.host} ${operation} ` +
    `on ${resource}:${pattern}:${acl.resourceName}`
  )
}

/**
 * The words of access control and their numbers, the same in requests, in answers and in the metadata log.
 * ANY and MATCH are for filters only. Number 0 means UNKNOWN in each of the tables: a word that a newer
 * Kafka has, or nothing.
 */

export const resourceTypes = {
  ANY: 1,
  TOPIC: 2,
  GROUP: 3,
  CLUSTER: 4,
  TRANSACTIONAL_ID: 5,
  DELEGATION_TOKEN: 6,
  USER: 7,
} as const

export const patternTypes = { ANY: 1, MATCH: 2, LITERAL: 3, PREFIXED: 4 } as const

export const aclOperations = {
  ANY: 1,
  ALL: 2,
  READ: 3,
  WRITE: 4,
  CREATE: 5,
  DELETE: 6,
  ALTER: 7,
  DESCRIBE: 8,
  CLUSTER_ACTION: 9,
  DESCRIBE_CONFIGS: 10,
  ALTER_CONFIGS: 11,
  IDEMPOTENT_WRITE: 12,
  CREATE_TOKENS: 13,
  DESCRIBE_TOKENS: 14,
  TWO_PHASE_COMMIT: 15,
} as const

export const permissionTypes = { ANY: 1, DENY: 2, ALLOW: 3 } as const

/** Resources that an access control entry can be about. */
export type ResourceType = Exclude<keyof typeof resourceTypes, 'ANY'>
/** Operations that somebody may ask to do. */
export type AclOperation = Exclude<keyof typeof aclOperations, 'ANY' | 'ALL'>

/** The only name of the resource CLUSTER. */
export const clusterName = 'kafka-cluster'

/** As a name: every resource of the type. As a host: from anywhere. */
export const wildcard = '*'
export const everybody = 'User:*'

/** The operations that each kind of resource knows. */
export const operationsOf: Readonly<Record<ResourceType, readonly AclOperation[]>> = {
  TOPIC: [
    'READ',
    'WRITE',
    'CREATE',
    'DELETE',
    'ALTER',
    'DESCRIBE',
    'DESCRIBE_CONFIGS',
    'ALTER_CONFIGS',
  ],
  GROUP: ['READ', 'DELETE', 'DESCRIBE', 'DESCRIBE_CONFIGS', 'ALTER_CONFIGS'],
  CLUSTER: [
    'CREATE',
    'ALTER',
    'DESCRIBE',
    'CLUSTER_ACTION',
    'DESCRIBE_CONFIGS',
    'ALTER_CONFIGS',
    'IDEMPOTENT_WRITE',
  ],
  TRANSACTIONAL_ID: ['WRITE', 'DESCRIBE', 'TWO_PHASE_COMMIT'],
  DELEGATION_TOKEN: ['DESCRIBE'],
  USER: ['CREATE_TOKENS', 'DESCRIBE_TOKENS'],
}

/** The word for a number of one of the tables; UNKNOWN where it has none. */
export function wordOf(table: Readonly<Record<string, number>>, number: number): string {
  return Object.keys(table).find((word) => table[word] === number) ?? 'UNKNOWN'
}

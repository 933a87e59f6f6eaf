/**
 * The bit fields of operations that a principal may do (KIP-430), where no authorizer says otherwise:
 * every operation that the kind of resource knows.
 */

/** The numbers of operations, as in ACLs. */
const operation = {
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
} as const

type Operation = keyof typeof operation

/** What a response says where nobody asked. */
export const operationsNotAsked = -0x8000_0000

export const topicOperations = bits(
  'READ',
  'WRITE',
  'CREATE',
  'DELETE',
  'ALTER',
  'DESCRIBE',
  'DESCRIBE_CONFIGS',
  'ALTER_CONFIGS',
)

export const clusterOperations = bits(
  'CREATE',
  'ALTER',
  'DESCRIBE',
  'CLUSTER_ACTION',
  'DESCRIBE_CONFIGS',
  'ALTER_CONFIGS',
  'IDEMPOTENT_WRITE',
)

function bits(...operations: readonly Operation[]): number {
  return operations.reduce((field, name) => field | (1 << operation[name]), 0)
}

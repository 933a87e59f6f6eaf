/** What the five APIs of group state (KIP-932) ask of a client, and answer to a request that failed as a whole. */
import type { ErrorRow } from '../../protocol/errors.ts'
import type { Uuid } from '../../protocol/types.ts'
import { rule } from '../server/access.ts'

/** Brokers alone read and write the state of groups. */
export const actForCluster = rule('CLUSTER_ACTION', 'CLUSTER', 'results.partitions.errorCode')

interface StateRequest {
  readonly topics: readonly {
    readonly topicId: Uuid
    readonly partitions: readonly { readonly partition: number }[]
  }[]
}

/** Each partition is told the error, and beside it that nothing is known. */
export function groupStateRefusal<Unknown extends object>(
  { topics }: StateRequest,
  { code, message }: ErrorRow,
  unknown: Unknown,
) {
  const refused = { errorCode: code, errorMessage: message, ...unknown }
  return {
    results: topics.map(({ topicId, partitions }) => ({
      topicId,
      partitions: partitions.map(({ partition }) => ({ partition, ...refused })),
    })),
  }
}

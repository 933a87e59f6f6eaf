/** The answer of the five APIs of group state (KIP-932) to a request that failed as a whole. */
import type { ErrorRow } from '../../protocol/errors.ts'
import type { Uuid } from '../../protocol/types.ts'

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

/**
 * Who votes on the metadata does not change yet: AddRaftVoter and RemoveRaftVoter (KIP-853) are refused as
 * by a Kafka whose voters are a setting (kraft.version 0), in the order in which Kafka looks at a request.
 */
import { type ErrorRow, errors, KafkaError } from '../../protocol/errors.ts'
import { type Uuid, zeroUuid } from '../../protocol/types.ts'
import { rule } from '../server/access.ts'

export const alterQuorum = rule('ALTER', 'CLUSTER', 'errorCode')

interface VoterChange {
  readonly clusterId: string | null
  readonly voterId: number
  readonly voterDirectoryId: Uuid
}

/** Throws KafkaError INCONSISTENT_CLUSTER_ID or INVALID_REQUEST. `change` is Add or Remove. */
export function checkVoterChange(
  change: string,
  { clusterId, voterId, voterDirectoryId }: VoterChange,
  ownClusterId: string,
): void {
  if (clusterId !== null && clusterId !== ownClusterId) {
    throw new KafkaError(
      errors.INCONSISTENT_CLUSTER_ID,
      `The given id "${clusterId}" doesn't match the cluster id "${ownClusterId}"`,
    )
  }
  if (voterId < 0 || voterDirectoryId === zeroUuid) {
    const message = `${change} voter request didn't include a valid voter`
    throw new KafkaError(errors.INVALID_REQUEST, message)
  }
}

/** `change` is adding or removing. */
export function votersAreFixed(change: string): KafkaError {
  return new KafkaError(
    errors.UNSUPPORTED_VERSION,
    `Cluster doesn't support ${change} voter because the kraft.version feature is 0`,
  )
}

export function voterChangeRefused({ code }: ErrorRow, errorMessage: string | null) {
  return { errorCode: code, errorMessage }
}

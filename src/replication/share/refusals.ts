/** Why a member may not say what became of records. */

/** What an acknowledgement is refused with: the row's name, and Kafka's words. */
export interface Refusal {
  readonly error: 'INVALID_REQUEST' | 'INVALID_RECORD_STATE'
  readonly message: string
}

export const refusals = {
  notFound: {
    error: 'INVALID_RECORD_STATE',
    message: 'Batch record not found. The request batch offsets are not found in the cache.',
  },
  firstPast: {
    error: 'INVALID_REQUEST',
    message: 'Batch record not found. The first offset in request is past acquired records.',
  },
  lastPast: {
    error: 'INVALID_REQUEST',
    message: 'Batch record not found. The last offset in request is past acquired records.',
  },
  notAcquired: {
    error: 'INVALID_RECORD_STATE',
    message: 'The batch cannot be acknowledged. The batch is not in the acquired state.',
  },
  beingStored: {
    error: 'INVALID_RECORD_STATE',
    message: 'The record state is invalid. The acknowledgement of delivery could not be completed.',
  },
  notOwner: { error: 'INVALID_RECORD_STATE', message: 'Member is not the owner of batch record' },
} as const satisfies Record<string, Refusal>

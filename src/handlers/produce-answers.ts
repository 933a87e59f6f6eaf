/** What a producer is answered, by partition: where its records are now, or why they are nowhere. */
import { type ErrorRow, errors, KafkaError } from '../../protocol/errors.ts'
import type { ProduceRequest, ProduceResponse } from '../../protocol/messages/produce.ts'
import { zeroUuid } from '../../protocol/types.ts'
import { RecordsRejected } from '../log/validation.ts'

export type AnsweredTopic = ProduceResponse['responses'][number]
export type AnsweredPartition = Mutable<AnsweredTopic['partitionResponses'][number]>
export type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** KIP-890: the producer knows TRANSACTION_ABORTABLE; producing adds a partition to the transaction. */
export const firstVersionWithAbortable = 11
export const firstVersionWithAdding = 12
export const nothingWritten = { baseOffset: -1, logAppendTimeMs: -1, logStartOffset: -1 }

export function accepted(
  index: number,
  written: { baseOffset: number; logAppendTimeMs: number; logStartOffset: number },
): AnsweredPartition {
  return {
    index,
    errorCode: errors.NONE.code,
    baseOffset: written.baseOffset,
    logAppendTimeMs: written.logAppendTimeMs,
    logStartOffset: written.logStartOffset,
    recordErrors: [],
    errorMessage: null,
  }
}

/** `cause`: what is told besides; null: what the error says of itself. */
export function refused(index: number, error: ErrorRow, cause: Error | null): AnsweredPartition {
  const answer = accepted(index, nothingWritten)
  answer.errorCode = error.code
  answer.errorMessage = cause?.message ?? error.message
  if (cause instanceof RecordsRejected) {
    answer.recordErrors = cause.recordErrors.map(({ batchIndex, message }) => ({
      batchIndex,
      batchIndexErrorMessage: message,
    }))
  }
  return answer
}

/** The bytes of an append that was already in line did not get to the disk. */
export function lose(answer: AnsweredPartition): void {
  answer.errorCode = errors.KAFKA_STORAGE_ERROR.code
  answer.errorMessage = errors.KAFKA_STORAGE_ERROR.message
  Object.assign(answer, nothingWritten)
}

/** Older producers try again only on errors that they know from Produce; this one costs them nothing more. */
const retriedAsNotEnoughReplicas: readonly ErrorRow[] = [
  errors.NETWORK_EXCEPTION,
  errors.COORDINATOR_LOAD_IN_PROGRESS,
  errors.COORDINATOR_NOT_AVAILABLE,
  errors.NOT_COORDINATOR,
]

/** Why a batch is not appended whose transaction could not be verified, as producers of that version are told. */
export function notAdmitted(error: ErrorRow, version: number): KafkaError {
  const isConcurrent = error === errors.CONCURRENT_TRANSACTIONS && version < firstVersionWithAdding
  if (isConcurrent || retriedAsNotEnoughReplicas.includes(error)) {
    const message = `The transaction could not be verified: ${error.message}`
    return new KafkaError(errors.NOT_ENOUGH_REPLICAS, message)
  }
  const isUnknown = error === errors.INVALID_TXN_STATE
  return new KafkaError(error, isUnknown ? 'The partition is not in the transaction' : undefined)
}

/** Kafka answers by partition: a topic without one is not in the answer. */
export function hasPartitions({ partitionData }: ProduceRequest['topicData'][number]): boolean {
  return partitionData.length > 0
}

export function refuseAll(
  request: ProduceRequest,
  error: ErrorRow,
  message: string | null,
): ProduceResponse {
  const cause = message === null ? null : new Error(message)
  return {
    responses: request.topicData.filter(hasPartitions).map(({ name, topicId, partitionData }) => ({
      name,
      topicId: topicId ?? zeroUuid,
      partitionResponses: partitionData.map(({ index }) => refused(index, error, cause)),
    })),
    throttleTimeMs: 0,
  }
}

/**
 * InitProducerId (KIP-98, KIP-360): gives an idempotent producer its id; makes the one who asks the only
 * producer of a transactional id.
 */
import { apis } from '../../protocol/apis.ts'
import { type ErrorRow, errors } from '../../protocol/errors.ts'
import type {
  InitProducerIdRequest,
  InitProducerIdResponse,
} from '../../protocol/messages/init-producer-id.ts'
import type { ProducerAnswer } from '../coordinator/transaction/producer-answer.ts'
import type { TransactionCoordinator } from '../coordinator/transaction/transaction-coordinator.ts'
import type { ProducerIds } from '../metadata/producer-ids.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'
import { fencedAs } from './fenced-as.ts'

const writeTransactionalId = rule('WRITE', 'TRANSACTIONAL_ID', 'errorCode')
const writeIdempotently = rule('IDEMPOTENT_WRITE', 'CLUSTER', 'errorCode', {
  unlessAnyTopic: 'WRITE',
  silent: true,
})

const noProducerId = -1
const noProducerEpoch = -1
const firstVersionWithProducerFenced = 4

export interface InitProducerIdParts {
  readonly producerIds: ProducerIds
  readonly transactions: TransactionCoordinator
}

export const initProducerId = ({ producerIds, transactions }: InitProducerIdParts) =>
  handler(
    apis.initProducerId,
    (request, context) => {
      const { transactionalId, producerId, producerEpoch } = request
      if (transactionalId === null) writeIdempotently.require(context)
      else writeTransactionalId.require(context, transactionalId)
      if ((producerId === noProducerId) !== (producerEpoch === noProducerEpoch)) {
        return failed(errors.INVALID_REQUEST)
      }
      if (transactionalId === null) {
        const id = producerIds.next()
        return typeof id === 'number' ? given(id) : id.then(given)
      }
      return transactions
        .initProducerId({ ...producerRequest(request), transactionalId })
        .then((answer) => answered(answer, context.apiVersion))
    },
    {
      access: [writeTransactionalId, writeIdempotently],
      onError: (_request, error) =>
        // The controller has gone for the moment: the producer asks again.
        failed(error === errors.NOT_CONTROLLER ? errors.COORDINATOR_NOT_AVAILABLE : error),
    },
  )

function producerRequest(request: InitProducerIdRequest) {
  const { transactionTimeoutMs, producerId, producerEpoch, enable2Pc, keepPreparedTxn } = request
  return {
    timeoutMs: transactionTimeoutMs,
    expected: producerId === noProducerId ? null : { producerId, producerEpoch },
    isTwoPhaseCommit: enable2Pc,
    keepsPrepared: keepPreparedTxn,
  }
}

function answered(answer: ProducerAnswer, version: number): InitProducerIdResponse {
  const { producerId, producerEpoch } = answer
  const error = fencedAs(answer.error, version >= firstVersionWithProducerFenced)
  return { errorCode: error.code, producerId, producerEpoch }
}

function given(producerId: number): InitProducerIdResponse {
  return { errorCode: errors.NONE.code, producerId, producerEpoch: 0 }
}

function failed(error: ErrorRow): InitProducerIdResponse {
  return { errorCode: error.code, producerId: noProducerId, producerEpoch: noProducerEpoch }
}

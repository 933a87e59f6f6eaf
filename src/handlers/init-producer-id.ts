/**
 * InitProducerId: gives an idempotent producer its id (KIP-98). There is no transaction coordinator in
 * this version, so a transactional id is refused, for good: nothing would get better by trying again.
 */
import { apis } from '../../protocol/apis.ts'
import { type ErrorRow, errors } from '../../protocol/errors.ts'
import type {
  InitProducerIdRequest,
  InitProducerIdResponse,
} from '../../protocol/messages/init-producer-id.ts'
import type { ProducerIds } from '../metadata/producer-ids.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'

const writeTransactionalId = rule('WRITE', 'TRANSACTIONAL_ID', 'errorCode')
const writeIdempotently = rule('IDEMPOTENT_WRITE', 'CLUSTER', 'errorCode', {
  unlessAnyTopic: 'WRITE',
  silent: true,
})

const noProducerId = -1
const noProducerEpoch = -1

export const initProducerId = ({ producerIds }: { producerIds: ProducerIds }) =>
  handler(
    apis.initProducerId,
    (request, context) => {
      if (request.transactionalId === null) writeIdempotently.require(context)
      else writeTransactionalId.require(context, request.transactionalId)
      const error = refuse(request)
      if (error !== undefined) return failed(error)
      const producerId = producerIds.next()
      return typeof producerId === 'number' ? given(producerId) : producerId.then(given)
    },
    {
      access: [writeTransactionalId, writeIdempotently],
      onError: (_request, error) =>
        // The controller has gone for the moment: the producer asks again.
        failed(error === errors.NOT_CONTROLLER ? errors.COORDINATOR_NOT_AVAILABLE : error),
    },
  )

function refuse(request: InitProducerIdRequest): ErrorRow | undefined {
  const { transactionalId, producerId, producerEpoch } = request
  if ((producerId === noProducerId) !== (producerEpoch === noProducerEpoch)) {
    return errors.INVALID_REQUEST
  }
  if (transactionalId === null) return undefined
  return transactionalId === '' ? errors.INVALID_REQUEST : errors.UNSUPPORTED_VERSION
}

function given(producerId: number): InitProducerIdResponse {
  return { errorCode: errors.NONE.code, producerId, producerEpoch: 0 }
}

function failed(error: ErrorRow): InitProducerIdResponse {
  return { errorCode: error.code, producerId: noProducerId, producerEpoch: noProducerEpoch }
}

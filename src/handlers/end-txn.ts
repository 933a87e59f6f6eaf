/**
 * EndTxn (KIP-98): commits or aborts a transaction. Answered when the decision is recorded; the markers
 * follow. Producers of version 5 take a new epoch with every end (KIP-890).
 */
import { apis } from '../../protocol/apis.ts'
import type { TransactionCoordinator } from '../coordinator/transaction/transaction-coordinator.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'
import { fencedAs } from './fenced-as.ts'

const writeTransactionalId = rule('WRITE', 'TRANSACTIONAL_ID', 'errorCode')

const firstVersionWithProducerFenced = 2
const firstVersionWithEpochs = 5

export const endTxn = ({ transactions }: { transactions: TransactionCoordinator }) =>
  handler(
    apis.endTxn,
    async (request, context) => {
      const { apiVersion } = context
      writeTransactionalId.require(context, request.transactionalId)
      const { transactionalId, producerId, producerEpoch, committed } = request
      const answer = await transactions.endTransaction({
        transactionalId,
        producerId,
        producerEpoch,
        isCommit: committed,
        clientVersion: apiVersion >= firstVersionWithEpochs ? 2 : 0,
      })
      const error = fencedAs(answer.error, apiVersion >= firstVersionWithProducerFenced)
      return {
        errorCode: error.code,
        producerId: answer.producerId,
        producerEpoch: answer.producerEpoch,
      }
    },
    {
      access: [writeTransactionalId],
      onError: (_, error) => ({ errorCode: error.code, producerEpoch: -1 }),
    },
  )

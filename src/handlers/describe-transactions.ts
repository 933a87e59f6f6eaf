/** DescribeTransactions (KIP-664): the state of transactional ids that are coordinated here. */
import { apis } from '../../protocol/apis.ts'
import { undescribed } from '../coordinator/transaction/describe.ts'
import type { TransactionCoordinator } from '../coordinator/transaction/transaction-coordinator.ts'
import { filter, rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'

const describeTransactionalId = rule('DESCRIBE', 'TRANSACTIONAL_ID', 'transactionStates.errorCode')
const describeTopic = filter('DESCRIBE', 'TOPIC', 'transactionStates.topics')

export const describeTransactions = ({ transactions }: { transactions: TransactionCoordinator }) =>
  handler(
    apis.describeTransactions,
    async (request, context) => {
      const asked = describeTransactionalId.split(context, request.transactionalIds, (id) => id)
      const described = await transactions.describe(asked.allowed)
      const shown = described.map((each) => ({
        ...each,
        topics: describeTopic.only(context, each.topics, ({ topic }) => topic),
      }))
      const refused = [...new Set(asked.denied)].map((transactionalId) =>
        undescribed(transactionalId, describeTransactionalId.error),
      )
      return { transactionStates: [...shown, ...refused] }
    },
    {
      access: [describeTransactionalId, describeTopic],
      onError: ({ transactionalIds }, error) => ({
        transactionStates: transactionalIds.map((id) => undescribed(id, error)),
      }),
    },
  )

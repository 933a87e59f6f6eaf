/**
 * ListTransactions (KIP-664): the transactional ids that are coordinated here, by state, producer id, age
 * of the transaction (KIP-994) and a pattern of ids (KIP-1152), as far as each is asked for.
 */
import { apis } from '../../protocol/apis.ts'
import { errors, KafkaError } from '../../protocol/errors.ts'
import type { ListTransactionsRequest } from '../../protocol/messages/list-transactions.ts'
import { Pattern } from '../config/pattern.ts'
import { PatternError } from '../config/pattern-syntax.ts'
import { type Transaction, transactionStates } from '../coordinator/transaction/transaction.ts'
import type { TransactionCoordinator } from '../coordinator/transaction/transaction-coordinator.ts'
import { filter } from '../server/access.ts'
import { handler } from '../server/handler.ts'

const describeTransactionalId = filter('DESCRIBE', 'TRANSACTIONAL_ID', 'transactionStates')

export const listTransactions = ({ transactions }: { transactions: TransactionCoordinator }) =>
  handler(
    apis.listTransactions,
    async (request, context) => {
      const found = await transactions.select(selector(request))
      const listed = found.map(([transactionalId, { producerId, state }]) => ({
        transactionalId,
        producerId,
        transactionState: state,
      }))
      const known: ReadonlySet<string> = new Set(transactionStates)
      return {
        errorCode: errors.NONE.code,
        unknownStateFilters: request.stateFilters.filter((name) => !known.has(name)),
        transactionStates: describeTransactionalId.only(
          context,
          listed,
          ({ transactionalId }) => transactionalId,
        ),
      }
    },
    {
      access: [describeTransactionalId],
      onError: (_, error) => ({
        errorCode: error.code,
        unknownStateFilters: [],
        transactionStates: [],
      }),
    },
  )

/** Throws KafkaError INVALID_REGULAR_EXPRESSION. */
function selector(request: ListTransactionsRequest) {
  const { durationFilter, transactionalIdPattern } = request
  const states = new Set(request.stateFilters)
  const producerIds = new Set(request.producerIdFilters)
  const pattern = transactionalIdPattern ? patternOf(transactionalIdPattern) : null
  return (transactionalId: string, transaction: Transaction, nowMs: number): boolean => {
    if (producerIds.size > 0 && !producerIds.has(transaction.producerId)) return false
    if (states.size > 0 && !states.has(transaction.state)) return false
    // Measured as Kafka does: what has no start has lasted for ever.
    if (durationFilter >= 0 && nowMs - transaction.startMs <= durationFilter) return false
    return pattern === null || pattern.matches(transactionalId)
  }
}

function patternOf(text: string): Pattern {
  try {
    return new Pattern(text)
  } catch (error) {
    if (!(error instanceof PatternError)) throw error
    const message = `Transaction ID pattern \`${text}\` is not a valid regular expression: ${error.message}.`
    throw new KafkaError(errors.INVALID_REGULAR_EXPRESSION, message)
  }
}

/**
 * Lists the transactions of this coordinator, by state, producer id, duration or a pattern of ids.
 */

import type { InputOf, MessageOf } from '../schema.ts'
import {
  array,
  int16,
  int32,
  int64,
  message,
  nullable,
  since,
  string,
  withDefault,
} from '../schema.ts'

export const listTransactionsRequest = message(
  66,
  'ListTransactionsRequest',
  { valid: '0-2', flexible: '0+' },
  {
    stateFilters: array(string),
    producerIdFilters: array(int64),
    durationFilter: since(1, withDefault(-1, int64)),
    transactionalIdPattern: since(2, nullable(string)),
  },
)
export type ListTransactionsRequest = MessageOf<typeof listTransactionsRequest>

export const listTransactionsResponse = message(
  66,
  'ListTransactionsResponse',
  { valid: '0-2', flexible: '0+' },
  {
    throttleTimeMs: withDefault(0, int32),
    errorCode: int16,
    unknownStateFilters: array(string),
    transactionStates: array({
      transactionalId: string,
      producerId: int64,
      transactionState: string,
    }),
  },
)
export type ListTransactionsResponse = InputOf<typeof listTransactionsResponse>

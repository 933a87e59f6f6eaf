/**
 * Lists the quotas of users, client ids and addresses that match a filter (KIP-546).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import {
  array,
  bool,
  float64,
  int8,
  int16,
  int32,
  message,
  nullable,
  string,
  withDefault,
} from '../schema.ts'

export const describeClientQuotasRequest = message(
  48,
  'DescribeClientQuotasRequest',
  { valid: '0-1', flexible: '1+' },
  {
    components: array({ entityType: string, matchType: int8, match: nullable(string) }),
    strict: bool,
  },
)
export type DescribeClientQuotasRequest = MessageOf<typeof describeClientQuotasRequest>

const entryData = {
  entity: array({ entityType: string, entityName: nullable(string) }),
  values: array({ key: string, value: float64 }),
}

export const describeClientQuotasResponse = message(
  48,
  'DescribeClientQuotasResponse',
  { valid: '0-1', flexible: '1+' },
  {
    throttleTimeMs: withDefault(0, int32),
    errorCode: int16,
    errorMessage: nullable(string),
    entries: nullable(array(entryData)),
  },
)
export type DescribeClientQuotasResponse = InputOf<typeof describeClientQuotasResponse>

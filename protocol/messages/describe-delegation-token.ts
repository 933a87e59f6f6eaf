/**
 * Lists the delegation tokens of owners, or all that the caller may see.
 */

import type { InputOf, MessageOf } from '../schema.ts'
import {
  array,
  bytes,
  int16,
  int32,
  int64,
  message,
  nullable,
  since,
  string,
  withDefault,
} from '../schema.ts'

export const describeDelegationTokenRequest = message(
  41,
  'DescribeDelegationTokenRequest',
  { valid: '0-3', flexible: '2+' },
  {
    owners: nullable(array({ principalType: string, principalName: string })),
  },
)
export type DescribeDelegationTokenRequest = MessageOf<typeof describeDelegationTokenRequest>

export const describeDelegationTokenResponse = message(
  41,
  'DescribeDelegationTokenResponse',
  { valid: '0-3', flexible: '2+' },
  {
    errorCode: int16,
    tokens: array({
      principalType: string,
      principalName: string,
      tokenRequesterPrincipalType: since(3, string),
      tokenRequesterPrincipalName: since(3, string),
      issueTimestamp: int64,
      expiryTimestamp: int64,
      maxTimestamp: int64,
      tokenId: string,
      hmac: bytes,
      renewers: array({ principalType: string, principalName: string }),
    }),
    throttleTimeMs: withDefault(0, int32),
  },
)
export type DescribeDelegationTokenResponse = InputOf<typeof describeDelegationTokenResponse>

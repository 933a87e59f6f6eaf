/**
 * Issues a token with which others authenticate as the owner (KIP-48).
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

export const createDelegationTokenRequest = message(
  38,
  'CreateDelegationTokenRequest',
  { valid: '0-3', flexible: '2+' },
  {
    ownerPrincipalType: since(3, withDefault('', nullable(string))),
    ownerPrincipalName: since(3, withDefault('', nullable(string))),
    renewers: array({ principalType: string, principalName: string }),
    maxLifetimeMs: int64,
  },
)
export type CreateDelegationTokenRequest = MessageOf<typeof createDelegationTokenRequest>

export const createDelegationTokenResponse = message(
  38,
  'CreateDelegationTokenResponse',
  { valid: '0-3', flexible: '2+' },
  {
    errorCode: int16,
    principalType: string,
    principalName: string,
    tokenRequesterPrincipalType: since(3, string),
    tokenRequesterPrincipalName: since(3, string),
    issueTimestampMs: int64,
    expiryTimestampMs: int64,
    maxTimestampMs: int64,
    tokenId: string,
    hmac: bytes,
    throttleTimeMs: withDefault(0, int32),
  },
)
export type CreateDelegationTokenResponse = InputOf<typeof createDelegationTokenResponse>

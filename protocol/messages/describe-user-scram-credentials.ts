/**
 * Tells which SCRAM credentials users have, without their secrets (KIP-554).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import { array, int8, int16, int32, message, nullable, string, withDefault } from '../schema.ts'

export const describeUserScramCredentialsRequest = message(
  50,
  'DescribeUserScramCredentialsRequest',
  { valid: '0', flexible: '0+' },
  {
    users: nullable(array({ name: string })),
  },
)
export type DescribeUserScramCredentialsRequest = MessageOf<
  typeof describeUserScramCredentialsRequest
>

export const describeUserScramCredentialsResponse = message(
  50,
  'DescribeUserScramCredentialsResponse',
  { valid: '0', flexible: '0+' },
  {
    throttleTimeMs: withDefault(0, int32),
    errorCode: int16,
    errorMessage: nullable(string),
    results: array({
      user: string,
      errorCode: int16,
      errorMessage: nullable(string),
      credentialInfos: array({ mechanism: int8, iterations: int32 }),
    }),
  },
)
export type DescribeUserScramCredentialsResponse = InputOf<
  typeof describeUserScramCredentialsResponse
>

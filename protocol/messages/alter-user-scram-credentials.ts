/**
 * Adds, changes or deletes SCRAM credentials; the salted password is computed by the client.
 */

import type { InputOf, MessageOf } from '../schema.ts'
import {
  array,
  bytes,
  int8,
  int16,
  int32,
  message,
  nullable,
  string,
  withDefault,
} from '../schema.ts'

export const alterUserScramCredentialsRequest = message(
  51,
  'AlterUserScramCredentialsRequest',
  { valid: '0', flexible: '0+' },
  {
    deletions: array({ name: string, mechanism: int8 }),
    upsertions: array({
      name: string,
      mechanism: int8,
      iterations: int32,
      salt: bytes,
      saltedPassword: bytes,
    }),
  },
)
export type AlterUserScramCredentialsRequest = MessageOf<typeof alterUserScramCredentialsRequest>

export const alterUserScramCredentialsResponse = message(
  51,
  'AlterUserScramCredentialsResponse',
  { valid: '0', flexible: '0+' },
  {
    throttleTimeMs: withDefault(0, int32),
    results: array({ user: string, errorCode: int16, errorMessage: nullable(string) }),
  },
)
export type AlterUserScramCredentialsResponse = InputOf<typeof alterUserScramCredentialsResponse>

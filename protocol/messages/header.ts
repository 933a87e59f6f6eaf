/**
 * The headers in front of requests and responses. A request's is version 2 when the request is
 * flexible, else 1; a response's is version 1 when flexible, else 0.
 */

import type { MessageOf } from '../schema.ts'
import {
  int16,
  int32,
  message,
  neverCompact,
  nullable,
  since,
  string,
  withDefault,
} from '../schema.ts'

/** Precedes every request. */
export const requestHeader = message(
  null,
  'RequestHeader',
  { valid: '0-2', flexible: '2+' },
  {
    requestApiKey: int16,
    requestApiVersion: int16,
    correlationId: int32,
    // Keeps its two-byte length, so that old brokers can read it.
    clientId: since(1, withDefault('', nullable(neverCompact(string)))),
  },
)
export type RequestHeader = MessageOf<typeof requestHeader>

/** Precedes every response. */
export const responseHeader = message(
  null,
  'ResponseHeader',
  { valid: '0-1', flexible: '1+' },
  {
    correlationId: int32,
  },
)
export type ResponseHeader = MessageOf<typeof responseHeader>

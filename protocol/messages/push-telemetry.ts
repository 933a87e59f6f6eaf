/**
 * A client sends its metrics, compressed and in the OpenTelemetry format (KIP-714).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import { bool, bytes, int8, int16, int32, message, uuid, withDefault } from '../schema.ts'

export const pushTelemetryRequest = message(
  72,
  'PushTelemetryRequest',
  { valid: '0', flexible: '0+' },
  {
    clientInstanceId: uuid,
    subscriptionId: int32,
    terminating: bool,
    compressionType: int8,
    metrics: bytes,
  },
)
export type PushTelemetryRequest = MessageOf<typeof pushTelemetryRequest>

export const pushTelemetryResponse = message(
  72,
  'PushTelemetryResponse',
  { valid: '0', flexible: '0+' },
  {
    throttleTimeMs: withDefault(0, int32),
    errorCode: int16,
  },
)
export type PushTelemetryResponse = InputOf<typeof pushTelemetryResponse>

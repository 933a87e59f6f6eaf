/**
 * A client asks which of its metrics the broker would like to have, how often and in which form
 * (KIP-714).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import { array, bool, int8, int16, int32, message, string, uuid, withDefault } from '../schema.ts'

export const getTelemetrySubscriptionsRequest = message(
  71,
  'GetTelemetrySubscriptionsRequest',
  { valid: '0', flexible: '0+' },
  {
    clientInstanceId: uuid,
  },
)
export type GetTelemetrySubscriptionsRequest = MessageOf<typeof getTelemetrySubscriptionsRequest>

export const getTelemetrySubscriptionsResponse = message(
  71,
  'GetTelemetrySubscriptionsResponse',
  { valid: '0', flexible: '0+' },
  {
    throttleTimeMs: withDefault(0, int32),
    errorCode: int16,
    clientInstanceId: uuid,
    subscriptionId: int32,
    acceptedCompressionTypes: array(int8),
    pushIntervalMs: int32,
    telemetryMaxBytes: int32,
    deltaTemporality: bool,
    requestedMetrics: array(string),
  },
)
export type GetTelemetrySubscriptionsResponse = InputOf<typeof getTelemetrySubscriptionsResponse>

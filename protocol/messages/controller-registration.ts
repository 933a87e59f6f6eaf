/**
 * A controller registers its endpoints and features with the active controller (KIP-919).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import {
  array,
  bool,
  int16,
  int32,
  message,
  nullable,
  string,
  uint16,
  uuid,
  withDefault,
} from '../schema.ts'

export const controllerRegistrationRequest = message(
  70,
  'ControllerRegistrationRequest',
  { valid: '0', flexible: '0+' },
  {
    controllerId: int32,
    incarnationId: uuid,
    zkMigrationReady: bool,
    listeners: array({
      name: string,
      host: string,
      port: uint16,
      securityProtocol: int16,
    }),
    features: array({ name: string, minSupportedVersion: int16, maxSupportedVersion: int16 }),
  },
)
export type ControllerRegistrationRequest = MessageOf<typeof controllerRegistrationRequest>

export const controllerRegistrationResponse = message(
  70,
  'ControllerRegistrationResponse',
  { valid: '0', flexible: '0+' },
  {
    throttleTimeMs: withDefault(0, int32),
    errorCode: int16,
    errorMessage: nullable(string),
  },
)
export type ControllerRegistrationResponse = InputOf<typeof controllerRegistrationResponse>

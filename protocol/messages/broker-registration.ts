/**
 * A broker that starts registers with the controller and is given its epoch (KIP-631).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import {
  array,
  bool,
  int16,
  int32,
  int64,
  message,
  nullable,
  since,
  string,
  uint16,
  uuid,
  withDefault,
} from '../schema.ts'

export const brokerRegistrationRequest = message(
  62,
  'BrokerRegistrationRequest',
  { valid: '0-4', flexible: '0+' },
  {
    brokerId: int32,
    clusterId: string,
    incarnationId: uuid,
    listeners: array({
      name: string,
      host: string,
      port: uint16,
      securityProtocol: int16,
    }),
    features: array({ name: string, minSupportedVersion: int16, maxSupportedVersion: int16 }),
    rack: nullable(string),
    isMigratingZkBroker: since(1, bool),
    logDirs: since(2, array(uuid)),
    previousBrokerEpoch: since(3, withDefault(-1, int64)),
  },
)
export type BrokerRegistrationRequest = MessageOf<typeof brokerRegistrationRequest>

export const brokerRegistrationResponse = message(
  62,
  'BrokerRegistrationResponse',
  { valid: '0-4', flexible: '0+' },
  {
    throttleTimeMs: withDefault(0, int32),
    errorCode: int16,
    brokerEpoch: withDefault(-1, int64),
  },
)
export type BrokerRegistrationResponse = InputOf<typeof brokerRegistrationResponse>

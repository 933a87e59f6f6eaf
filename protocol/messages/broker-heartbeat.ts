/**
 * A broker says that it is alive, whether it wants to be fenced or shut down and which of its
 * directories failed; the answer says whether it may serve.
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
  tagged,
  uuid,
  withDefault,
} from '../schema.ts'

export const brokerHeartbeatRequest = message(
  63,
  'BrokerHeartbeatRequest',
  { valid: '0-2', flexible: '0+' },
  {
    brokerId: int32,
    brokerEpoch: withDefault(-1, int64),
    currentMetadataOffset: int64,
    wantFence: bool,
    wantShutDown: bool,
    offlineLogDirs: since(1, tagged(0, array(uuid))), // KIP-858.
    cordonedLogDirs: since(2, tagged(1, nullable(array(uuid)))),
  },
)
export type BrokerHeartbeatRequest = MessageOf<typeof brokerHeartbeatRequest>

export const brokerHeartbeatResponse = message(
  63,
  'BrokerHeartbeatResponse',
  { valid: '0-2', flexible: '0+' },
  {
    throttleTimeMs: withDefault(0, int32),
    errorCode: int16,
    isCaughtUp: withDefault(false, bool),
    isFenced: withDefault(true, bool),
    shouldShutDown: bool,
  },
)
export type BrokerHeartbeatResponse = InputOf<typeof brokerHeartbeatResponse>

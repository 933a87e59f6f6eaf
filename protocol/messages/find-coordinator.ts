/**
 * Asks which broker coordinates a group, a transactional id or a share partition. From version 4
 * for several at once (KIP-699).
 */

import type { InputOf, MessageOf } from '../schema.ts'
import {
  array,
  int8,
  int16,
  int32,
  message,
  nullable,
  since,
  string,
  until,
  versions,
  withDefault,
} from '../schema.ts'

export const findCoordinatorRequest = message(
  10,
  'FindCoordinatorRequest',
  { valid: '0-6', flexible: '3+' },
  {
    key: until(3, string),
    keyType: since(1, int8), // 0 group, 1 transaction, 2 share partition.
    coordinatorKeys: since(4, array(string)),
  },
)
export type FindCoordinatorRequest = MessageOf<typeof findCoordinatorRequest>

const coordinator = {
  key: string,
  nodeId: int32,
  host: string,
  port: int32,
  errorCode: int16,
  errorMessage: nullable(string),
}

export const findCoordinatorResponse = message(
  10,
  'FindCoordinatorResponse',
  { valid: '0-6', flexible: '3+' },
  {
    throttleTimeMs: since(1, int32),
    errorCode: until(3, int16),
    errorMessage: versions('1-3', withDefault('', nullable(string))),
    nodeId: until(3, int32),
    host: until(3, string),
    port: until(3, int32),
    coordinators: since(4, array(coordinator)),
  },
)
export type FindCoordinatorResponse = InputOf<typeof findCoordinatorResponse>

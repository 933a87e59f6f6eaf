/**
 * Creates topics, or only checks whether they could be created.
 */

import type { InputOf, MessageOf } from '../schema.ts'
import {
  array,
  bool,
  int8,
  int16,
  int32,
  message,
  nullable,
  since,
  string,
  tagged,
  uuid,
  withDefault,
} from '../schema.ts'

export const createTopicsRequest = message(
  19,
  'CreateTopicsRequest',
  { valid: '0-7', flexible: '5+' },
  {
    topics: array({
      name: string,
      numPartitions: int32, // -1 for the default, or with assignments.
      replicationFactor: int16, // -1 for the default, or with assignments.
      assignments: array({ partitionIndex: int32, brokerIds: array(int32) }),
      configs: array({ name: string, value: nullable(string) }),
    }),
    timeoutMs: withDefault(60000, int32),
    validateOnly: since(1, bool),
  },
)
export type CreateTopicsRequest = MessageOf<typeof createTopicsRequest>

const creatableTopicConfigs = {
  name: string,
  value: nullable(string),
  readOnly: bool,
  configSource: withDefault(-1, int8),
  isSensitive: bool,
}

export const createTopicsResponse = message(
  19,
  'CreateTopicsResponse',
  { valid: '0-7', flexible: '5+' },
  {
    throttleTimeMs: since(2, int32),
    topics: array({
      name: string,
      topicId: since(7, uuid),
      errorCode: int16,
      errorMessage: since(1, withDefault('', nullable(string))),
      topicConfigErrorCode: since(5, tagged(0, int16)),
      numPartitions: since(5, withDefault(-1, int32)),
      replicationFactor: since(5, withDefault(-1, int16)),
      configs: since(5, withDefault([], nullable(array(creatableTopicConfigs)))), // KIP-525.
    }),
  },
)
export type CreateTopicsResponse = InputOf<typeof createTopicsResponse>

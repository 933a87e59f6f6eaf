/**
 * Tells a client which brokers there are, which topics, and who leads each partition; may create
 * topics on the way.
 */

import type { InputOf, MessageOf } from '../schema.ts'
import {
  array,
  bool,
  int16,
  int32,
  message,
  nullable,
  nullableSince,
  since,
  string,
  uuid,
  versions,
  withDefault,
} from '../schema.ts'

const metadataRequestTopic = {
  topicId: since(10, uuid), // KIP-516.
  name: nullableSince(10, string),
}

export const metadataRequest = message(
  3,
  'MetadataRequest',
  { valid: '0-13', flexible: '9+' },
  {
    // Null is all topics; in version 0 that is an empty array.
    topics: nullableSince(1, array(metadataRequestTopic)),
    allowAutoTopicCreation: since(4, withDefault(true, bool)),
    includeClusterAuthorizedOperations: versions('8-10', bool),
    includeTopicAuthorizedOperations: since(8, bool),
  },
)
export type MetadataRequest = MessageOf<typeof metadataRequest>

export const metadataResponse = message(
  3,
  'MetadataResponse',
  { valid: '0-13', flexible: '9+' },
  {
    throttleTimeMs: since(3, int32),
    brokers: array({
      nodeId: int32,
      host: string,
      port: int32,
      rack: since(1, nullable(string)),
    }),
    clusterId: since(2, nullable(string)),
    controllerId: since(1, withDefault(-1, int32)),
    topics: array({
      errorCode: int16,
      name: nullableSince(12, string),
      topicId: since(10, uuid),
      isInternal: since(1, bool),
      partitions: array({
        errorCode: int16,
        partitionIndex: int32,
        leaderId: int32,
        leaderEpoch: since(7, withDefault(-1, int32)),
        replicaNodes: array(int32),
        isrNodes: array(int32),
        offlineReplicas: since(5, array(int32)),
      }),
      topicAuthorizedOperations: since(8, withDefault(-0x8000_0000, int32)),
    }),
    clusterAuthorizedOperations: versions('8-10', withDefault(-0x8000_0000, int32)),
    errorCode: since(13, int16),
  },
)
export type MetadataResponse = InputOf<typeof metadataResponse>

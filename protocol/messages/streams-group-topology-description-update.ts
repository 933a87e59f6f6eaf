/**
 * A member hands in a description of its streams group's topology, for people to read.
 */

import type { InputOf, MessageOf } from '../schema.ts'
import {
  array,
  int8,
  int16,
  int32,
  message,
  nullable,
  string,
  struct,
  withDefault,
} from '../schema.ts'

const topologyDescriptionNode = {
  name: string,
  nodeType: int8,
  sourceTopics: array(string),
  sinkTopic: nullable(string),
  stores: array(string),
  successors: array(string),
}

export const streamsGroupTopologyDescriptionUpdateRequest = message(
  93,
  'StreamsGroupTopologyDescriptionUpdateRequest',
  { valid: '0', flexible: '0+' },
  {
    groupId: string,
    memberId: string,
    topologyEpoch: int32,
    topologyDescription: struct({
      subtopologies: array({ subtopologyId: string, nodes: array(topologyDescriptionNode) }),
      globalStores: array({
        source: struct(topologyDescriptionNode),
        processor: struct(topologyDescriptionNode),
      }),
    }),
  },
)
export type StreamsGroupTopologyDescriptionUpdateRequest = MessageOf<
  typeof streamsGroupTopologyDescriptionUpdateRequest
>

export const streamsGroupTopologyDescriptionUpdateResponse = message(
  93,
  'StreamsGroupTopologyDescriptionUpdateResponse',
  { valid: '0', flexible: '0+' },
  {
    throttleTimeMs: withDefault(0, int32),
    errorCode: int16,
    errorMessage: nullable(string),
  },
)
export type StreamsGroupTopologyDescriptionUpdateResponse = InputOf<
  typeof streamsGroupTopologyDescriptionUpdateResponse
>

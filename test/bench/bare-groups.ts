/**
 * What a Node process reaches on this machine where groups of one member join, without any broker: it answers what
 * a broker would, of one topic without records, but keeps nothing, writes nothing and waits for nothing. Only
 * the codecs and the way to the sockets are the broker's. `node bare-groups.js TOPIC PARTITIONS` prints its port.
 */
import { type ApiRow, apis } from '../../protocol/apis.ts'
import { errors } from '../../protocol/errors.ts'
import { decodeRequest, decodeRequestHeader, encodeResponse } from '../../protocol/frame.ts'
import { Reader } from '../../protocol/reader.ts'
import type { InputOf, MessageOf } from '../../protocol/schema.ts'
import type { Stream } from '../../src/environment/network.ts'
import { NodeNetwork } from '../../src/environment/node/network.ts'

type Answer = (reader: Reader, version: number, correlationId: number) => Buffer[]

const [topic = '', partitionCount = '1'] = process.argv.slice(2)
const topicId = 'AAAAAAAAAAAAAAAAAAAAAQ'
const nodeId = 1
const host = '127.0.0.1'
const memberId = 'member'
const heartbeatIntervalMs = 5000
const partitions = Array.from({ length: Number(partitionCount) }, (_, index) => index)
const answers = new Map<number, Answer>()
const served: ApiRow[] = [apis.fetch]

function on<Api extends ApiRow>(
  api: Api,
  reply: (request: MessageOf<Api['request']>) => InputOf<Api['response']>,
): void {
  served.push(api)
  answers.set(api.key, (reader, version, correlationId) => {
    const value = reply(decodeRequest<Api['request']>(api.request, version, reader))
    return encodeResponse<Api['response']>(api.response, version, correlationId, value)
  })
}

on(apis.apiVersions, () => ({
  errorCode: 0,
  apiKeys: served.map(({ key, request: { valid }, isLatestUnstable }) => ({
    apiKey: key,
    minVersion: valid.min,
    maxVersion: isLatestUnstable ? valid.max - 1 : valid.max,
  })),
}))

on(apis.createTopics, () => ({ topics: [{ name: topic, topicId, errorCode: 0 }] }))

on(apis.metadata, () => ({
  brokers: [{ nodeId, host, port: address.port, rack: null }],
  clusterId: 'bare',
  controllerId: nodeId,
  topics: [
    {
      ...{ errorCode: 0, name: topic, topicId, isInternal: false },
      partitions: partitions.map((partitionIndex) => ({
        ...{ errorCode: 0, partitionIndex, leaderId: nodeId, leaderEpoch: 0 },
        ...{ replicaNodes: [nodeId], isrNodes: [nodeId], offlineReplicas: [] },
      })),
    },
  ],
  errorCode: 0,
}))

on(apis.listOffsets, ({ topics }) => ({
  topics: topics.map(({ name, partitions }) => ({
    name,
    partitions: partitions.map(({ partitionIndex }) => ({
      ...{ partitionIndex, errorCode: 0, oldStyleOffsets: [0], offset: 0, leaderEpoch: 0 },
    })),
  })),
}))

on(apis.findCoordinator, ({ coordinatorKeys }) => {
  const found = { nodeId, host, port: address.port, errorCode: 0, errorMessage: null }
  return { ...found, coordinators: coordinatorKeys.map((key) => ({ key, ...found })) }
})

/** Told its id first, a member joins with it, and leads its group. */
on(apis.joinGroup, (request) => {
  const isNew = request.memberId === ''
  const [{ name, metadata } = { name: '', metadata: Buffer.alloc(0) }] = request.protocols
  return {
    errorCode: isNew ? errors.MEMBER_ID_REQUIRED.code : 0,
    generationId: isNew ? -1 : 1,
    protocolType: request.protocolType,
    protocolName: name,
    leader: memberId,
    skipAssignment: false,
    memberId,
    members: isNew ? [] : [{ memberId, groupInstanceId: null, metadata }],
  }
})

on(apis.syncGroup, ({ protocolType, protocolName, assignments }) => ({
  ...{ errorCode: 0, protocolType, protocolName },
  assignment: assignments[0]?.assignment ?? Buffer.alloc(0),
}))

on(apis.heartbeat, () => ({ errorCode: 0 }))

on(apis.consumerGroupHeartbeat, (request) => ({
  ...{ errorCode: 0, errorMessage: null, memberId: request.memberId, heartbeatIntervalMs },
  memberEpoch: Math.max(1, request.memberEpoch),
  assignment: request.memberEpoch === 0 ? { topicPartitions: [{ topicId, partitions }] } : null,
}))

on(apis.offsetFetch, ({ groups }) => ({
  topics: [],
  errorCode: 0,
  groups: groups.map(({ groupId, topics }) => ({
    groupId,
    topics: (topics ?? []).map(({ name, topicId, partitionIndexes }) => ({
      ...{ name, topicId },
      partitions: partitionIndexes.map((partitionIndex) => ({
        ...{ partitionIndex, committedOffset: -1, metadata: null, errorCode: 0 },
      })),
    })),
  })),
}))

/** A Fetch is not answered: it waits for records. */
function answersTo(frame: Buffer): Buffer[] {
  const reader = new Reader(frame)
  const { apiKey, apiVersion, correlationId } = decodeRequestHeader(reader)
  return answers.get(apiKey)?.(reader, apiVersion, correlationId) ?? []
}

function serve(stream: Stream): void {
  let unread: Buffer = Buffer.alloc(0)
  stream.onClose = () => undefined
  stream.onDrain = () => undefined
  stream.onData = (chunk) => {
    const bytes = Buffer.concat([unread, chunk])
    const sent: Buffer[] = []
    let at = 0
    while (bytes.length - at >= 4 && bytes.length - at >= 4 + bytes.readInt32BE(at)) {
      const end = at + 4 + bytes.readInt32BE(at)
      sent.push(...answersTo(bytes.subarray(at + 4, end)))
      at = end
    }
    unread = bytes.subarray(at)
    if (sent.length > 0) stream.write(sent)
  }
}

const { address } = await new NodeNetwork().listen({ host, port: 0 }, serve)
console.log(address.port)

/**
 * What the fields of requests may hold, by what the fields are called. A pool is two lists: the first is
 * sane, the second is not.
 */
import { setCrc } from '../../../protocol/records/batch.ts'
import { compressions } from '../../../protocol/records/compression/compression.ts'
import { BatchPlan, Placeholder } from './stand-ins.ts'

export type Pool = readonly [sane: readonly unknown[], odd: readonly unknown[]]

/** The first byte of a batch that its CRC covers. */
const coveredByCrc = 21
export const longName = 'x'.repeat(300)
export const topics = ['orders', 'compacted', 'ledger'] as const
const topicNames: Pool = [
  ['orders', 'orders', 'compacted', 'ledger', 'missing'],
  ['', '..', 'bad name!', longName, '__consumer_offsets'],
]
const newTopicNames: Pool = [['made-1', 'made-2', 'made-3', 'orders'], topicNames[1]]
const groupIds: Pool = [
  ['group-1', 'group-2', 'new-style'],
  ['', 'nobody-s', longName],
]
const shareGroupIds: Pool = [
  ['sharers', 'sharers', 'sharers', 'group-1'],
  ['', 'nobody-s', longName],
]
const emptyGroupIds: Pool = [['empty-sharers'], ['sharers', 'group-1', '', 'nobody-s']]
/** Clients of share groups and streams groups make their ids themselves. */
export const ownMemberId = 'AAAAAAAAAAAAAAAAAAAACA'
const ownMemberIds: Pool = [[ownMemberId], ['', 'nobody', longName]]
const shareGroupRequests = [
  ...['ShareFetch', 'ShareAcknowledge', 'ShareGroupHeartbeat', 'ShareGroupDescribe'],
  ...['AlterShareGroupOffsets', 'DeleteShareGroupOffsets', 'DescribeShareGroupOffsets'],
  ...['InitializeShareGroupState', 'ReadShareGroupState', 'WriteShareGroupState'],
  ...['DeleteShareGroupState', 'ReadShareGroupStateSummary'],
]
const memberIds: Pool = [
  ['', new Placeholder('member id', ''), new Placeholder('member id', '')],
  ['nobody', longName],
]
const partitions: Pool = [
  [0, 0, 1, 2],
  [99, -1, 2147483647],
]
export const small: Pool = [
  [0, 1],
  [-1, -2, 2147483647],
]
const timeouts: Pool = [[1000], [0, -1, 2147483647]]
const resourceTypes: Pool = [
  [2, 2, 4, 32],
  [0, 1, 3, 8, 16, 99, -1],
]
const configNames: Pool = [
  ['retention.ms', 'cleanup.policy', 'segment.bytes', 'min.insync.replicas', 'log.retention.ms'],
  ['', 'no.such.setting', 'node.id', 'listeners', 'log.dirs'],
]
const configValues: Pool = [
  ['100000', 'compact', 'delete', '1'],
  ['', 'nonsense', '-5', null, '99999999999999999999'],
]

/** Of each share group request, whatever its field is called. */
const ofShareGroups = Object.fromEntries(
  shareGroupRequests.flatMap((name) =>
    ['groupId', 'groupIds', 'groups.groupId'].map((field) => [
      `${name}Request.${field}`,
      shareGroupIds,
    ]),
  ),
)

/** By the field's name, with the names of what is around it in front where that matters. */
export const pools: Readonly<Record<string, Pool>> = {
  ...ofShareGroups,
  'AlterShareGroupOffsetsRequest.groupId': emptyGroupIds,
  'DeleteShareGroupOffsetsRequest.groupId': emptyGroupIds,
  'ShareFetchRequest.memberId': ownMemberIds,
  'ShareAcknowledgeRequest.memberId': ownMemberIds,
  'StreamsGroupHeartbeatRequest.memberId': ownMemberIds,
  'ConsumerGroupHeartbeatRequest.groupId': [['new-style'], ['group-1', '', 'nobody-s']],
  salt: [[Buffer.from('salt')], [Buffer.alloc(0)]],
  saltedPassword: [[Buffer.alloc(32, 7)], [Buffer.alloc(0)]],
  topic: topicNames,
  topicName: topicNames,
  topicNames,
  'topics.name': topicNames,
  'topicData.name': topicNames,
  'CreateTopicsRequest.topics.name': newTopicNames,
  'DeleteTopicsRequest.topics.name': newTopicNames,
  'DeleteTopicsRequest.topicNames': newTopicNames,
  'cursor.topicName': topicNames,
  partition: partitions,
  partitionIndex: partitions,
  partitionIndexes: partitions,
  partitionId: partitions,
  'partitionData.index': partitions,
  index: partitions,
  partitions,
  groupId: groupIds,
  groupIds,
  groups: groupIds,
  groupsNames: groupIds,
  memberId: memberIds,
  groupInstanceId: [[null], ['instance-1', '']],
  generationId: [
    [new Placeholder('member epoch', ''), -1],
    [0, 7, 2147483647],
  ],
  generationIdOrMemberEpoch: [
    [new Placeholder('member epoch', ''), -1],
    [0, 7],
  ],
  memberEpoch: [
    [0, new Placeholder('member epoch', ''), -1],
    [-2, -3, 99],
  ],
  protocolType: [['consumer'], ['', 'connect', null]],
  protocolName: [['range'], ['', 'nonsense', null]],
  'protocols.name': [['range', 'roundrobin'], ['']],
  sessionTimeoutMs: [[10_000], [1, 0, -1, 2147483647]],
  rebalanceTimeoutMs: [[400], [-1, 1]],
  transactionalId: [
    ['tx-1', 'tx-2'],
    ['', null, longName],
  ],
  v3AndBelowTransactionalId: [
    ['tx-1', 'tx-2'],
    ['', longName],
  ],
  transactionalIds: [
    ['tx-1', 'tx-2'],
    ['', 'missing'],
  ],
  producerId: [[new Placeholder('producer id', '')], [-1, 0, 999_999]],
  v3AndBelowProducerId: [[new Placeholder('producer id', '')], [-1, 0, 999_999]],
  producerEpoch: [[new Placeholder('producer epoch', '')], [-1, 0, 9]],
  v3AndBelowProducerEpoch: [[new Placeholder('producer epoch', '')], [-1, 0, 9]],
  transactionTimeoutMs: [[60_000], [0, -1, 2147483647]],
  'InitProducerIdRequest.producerId': [[-1], [new Placeholder('producer id', ''), 0, 999_999]],
  'InitProducerIdRequest.producerEpoch': [[-1], [new Placeholder('producer epoch', ''), 0, 9]],
  enable2Pc: [[false], [true]],
  keepPreparedTxn: [[false], [true]],
  coordinatorEpoch: [[0], [-1, 5]],
  acks: [
    [-1, 1],
    [2, -2],
  ],
  timeoutMs: timeouts,
  maxWaitMs: [[0, 20], [-1]],
  minBytes: [
    [0, 1],
    [-1, 1_000_000],
  ],
  maxBytes: [[1_000_000], [0, -1]],
  partitionMaxBytes: [[100_000], [0, -1]],
  isolationLevel: [
    [0, 1],
    [2, -1],
  ],
  replicaId: [[-1], [1, 5, -2]],
  'replicaState.replicaId': [[-1], [5]],
  sessionId: [[0], [1, 99]],
  sessionEpoch: [
    [-1, 0],
    [1, 5],
  ],
  shareSessionEpoch: [
    [0, -1],
    [1, 5],
  ],
  currentLeaderEpoch: [
    [-1, 0],
    [1, 9, -2],
  ],
  leaderEpoch: [
    [-1, 0],
    [1, 9, -2],
  ],
  lastFetchedEpoch: [[-1], [0, 5]],
  fetchOffset: [
    [0, 1, 3],
    [-1, 999_999],
  ],
  logStartOffset: [[-1], [0, 5]],
  offset: [
    [0, 1, -1],
    [-2, 999_999],
  ],
  committedOffset: [
    [0, 1, 5],
    [-1, -2, 999_999_999],
  ],
  committedLeaderEpoch: [
    [-1, 0],
    [-2, 9],
  ],
  committedMetadata: [
    ['', 'note'],
    [null, 'm'.repeat(5000)],
  ],
  retentionTimeMs: [[-1], [0, 1000]],
  commitTimestamp: [[-1], [0]],
  timestamp: [
    [-1, -2, -3, -4, 0, 1_700_000_000_000],
    [-5, -6, -7, -9],
  ],
  numPartitions: [
    [1, 3, -1],
    [0, -2, 200_000],
  ],
  replicationFactor: [
    [1, -1],
    [0, 2, -2],
  ],
  count: [
    [4, 5],
    [0, -1, 3, 1, 20_000],
  ],
  brokerIds: [[1], [2, -1]],
  brokerId: [[1], [2, -1]],
  replicas: [[1], [2, -1]],
  validateOnly: [[true, false], []],
  'UpdateFeaturesRequest.validateOnly': [[true], []],
  resourceType: resourceTypes,
  resourceName: [
    ['orders', 'group-1', '1', ''],
    ['missing', '2', 'bad name!', longName],
  ],
  'configs.name': configNames,
  configurationKeys: configNames,
  'configs.value': configValues,
  configOperation: [
    [0, 1],
    [2, 3, 4, -1],
  ],
  keyType: [
    [0, 1],
    [2, 3, -1],
  ],
  key: [
    ['group-1', 'tx-1'],
    ['', longName],
  ],
  coordinatorKeys: [
    ['group-1', 'tx-1'],
    ['', longName],
  ],
  statesFilter: [
    ['Stable', 'Empty'],
    ['nonsense', ''],
  ],
  stateFilters: [
    ['Ongoing', 'Empty'],
    ['nonsense', ''],
  ],
  typesFilter: [
    ['classic', 'consumer'],
    ['nonsense', ''],
  ],
  durationFilter: [[-1], [0, 1000]],
  electionType: [
    [0, 1],
    [2, -1],
  ],
  mechanism: [
    [1, 2],
    [0, 9],
  ],
  iterations: [[4096], [1, 0, 100_000]],
  'users.name': [['alice', 'bob'], ['']],
  'deletions.name': [['alice', 'bob'], ['']],
  'upsertions.name': [['alice', 'bob'], ['']],
  entityType: [
    ['user', 'client-id'],
    ['', 'ip', 'nonsense'],
  ],
  entityName: [['alice', null], ['']],
  'components.match': [['alice', null], ['']],
  matchType: [
    [0, 1, 2],
    [3, -1],
  ],
  'ops.key': [
    ['producer_byte_rate', 'consumer_byte_rate', 'request_percentage'],
    ['nonsense', ''],
  ],
  'ops.value': [
    [1000, 1_000_000],
    [-1, 0, Number.NaN],
  ],
  'featureUpdates.feature': [
    ['metadata.version', 'group.version', 'transaction.version'],
    ['nonsense', ''],
  ],
  maxVersionLevel: [
    [1, 2, 30],
    [0, -1, 99],
  ],
  upgradeType: [[1], [0, 2, 3, 9]],
  subscribedTopicNames: [
    ['orders', 'compacted'],
    ['missing', ''],
  ],
  subscribedTopicRegex: [
    [null, 'ord.*'],
    ['[', ''],
  ],
  serverAssignor: [
    [null, 'uniform', 'range'],
    ['nonsense', ''],
  ],
  rackId: [[null, 'rack-1'], ['']],
  'StreamsGroupHeartbeatRequest.rackId': [[null, 'rack-1'], ['']],
  'StreamsGroupHeartbeatRequest.groupId': [['streams-1'], ['group-1', '', 'nobody-s']],
  'StreamsGroupDescribeRequest.groupIds': [
    ['streams-1', 'group-1'],
    ['', 'nobody-s'],
  ],
  endpointInformationEpoch: [[0], [-1, 7]],
  processId: [['process-1'], [null, '']],
  shutdownApplication: [[false], [true]],
  instanceId: [[null], ['instance-1', '']],
  'assignments.memberId': memberIds,
  'members.memberId': memberIds,
  path: [[new Placeholder('log directory', '')], ['/nowhere', '']],
  userPrincipal: [[null], ['alice']],
  principalType: [['User'], ['', 'Group']],
  principalName: [['alice'], ['']],
  principal: [
    ['User:alice', 'User:*'],
    ['alice', ''],
  ],
  principalFilter: [
    [null, 'User:alice'],
    ['alice', ''],
  ],
  resourceNameFilter: [[null, 'orders'], ['']],
  resourceTypeFilter: [
    [1, 2, 3],
    [0, 99],
  ],
  resourcePatternType: [
    [3, 4],
    [0, 1, 2, 9],
  ],
  patternTypeFilter: [
    [1, 3],
    [0, 9],
  ],
  host: [['*', '127.0.0.1'], ['']],
  hostFilter: [[null, '*'], ['']],
  operation: [
    [2, 3],
    [0, 1, 99],
  ],
  permissionType: [
    [2, 3],
    [0, 1, 9],
  ],
  transactionVersion: [[2], [0, 9]],
  responsePartitionLimit: [[2000], [1, 0, -1]],
  batchSize: [[100], [0]],
  maxRecords: [[100], [0, -1]],
  shareAcquireMode: [
    [0, 1],
    [2, -1],
  ],
  isRenewAck: [[false], [true]],
  firstOffset: [
    [0, 0, 1],
    [-1, 5],
  ],
  lastOffset: [
    [0, 1, 2],
    [-1, 99],
  ],
  acknowledgeTypes: [
    [1, 2, 3],
    [0, 4, 9, -1],
  ],
  stateEpoch: [
    [0, 1],
    [-1, 9],
  ],
  startOffset: [
    [0, 1],
    [-1, -2, 999_999],
  ],
  deliveryCompleteCount: [[0, -1], [5]],
  deliveryState: [
    [0, 2, 4],
    [1, 3, 9],
  ],
  deliveryCount: [[1], [0, -1]],
  'ShareGroupHeartbeatRequest.memberId': ownMemberIds,
  subscriptionId: [[0], [1, -1]],
  compressionType: [
    [0, 1],
    [9, -1],
  ],
  voterId: [[7, 1], [-1]],
  'listeners.name': [['CONTROLLER'], ['', 'PLAINTEXT']],
  clusterId: [[null], ['another']],
}

const reads = (sourceTopics: readonly string[], parts: object = {}) => ({
  subtopologyId: '0',
  sourceTopics,
  sourceTopicRegex: [],
  stateChangelogTopics: [],
  repartitionSinkTopics: [],
  repartitionSourceTopics: [],
  copartitionGroups: [],
  ...parts,
})
const topology = (...subtopologies: readonly object[]) => ({ epoch: 0, subtopologies })
const made = (name: string, partitions = 0) => {
  return { name, partitions, replicationFactor: 0, topicConfigs: [] }
}
const tasks: Pool = [
  [[]],
  [null, [{ subtopologyId: '0', partitions: [0] }], [{ subtopologyId: '7', partitions: [0] }]],
]
const acknowledged = { firstOffset: 0, lastOffset: 0, acknowledgeTypes: [1] }
const batches: Pool = [
  [[], [], [acknowledged]],
  [
    [{ ...acknowledged, lastOffset: 99 }],
    [{ ...acknowledged, firstOffset: 5 }],
    [{ ...acknowledged, acknowledgeTypes: [9] }],
    [{ ...acknowledged, acknowledgeTypes: [] }],
    [{ ...acknowledged, acknowledgeTypes: [1, 2] }],
    [acknowledged, acknowledged],
  ],
]
const joined = { sourceTopics: [0, 1], sourceTopicRegex: [], repartitionSourceTopics: [] }

/** Fields that make sense as a whole only. */
export const wholes: Readonly<Record<string, Pool>> = {
  'ShareFetchRequest.topics.partitions.acknowledgementBatches': batches,
  'ShareAcknowledgeRequest.topics.partitions.acknowledgementBatches': batches,
  'ConsumerGroupHeartbeatRequest.topicPartitions': [[[], null], []],
  'StreamsGroupHeartbeatRequest.topology': [
    [null, topology(reads(['orders'])), topology(reads(['orders']))],
    [
      topology(),
      topology(reads([])),
      topology(reads(['orders', 'missing'])),
      topology(reads(['orders'], { sourceTopicRegex: ['.*'] })),
      topology(reads(['__consumer_offsets'])),
      topology(reads(['bad name!'])),
      topology(reads(['orders', 'compacted'], { copartitionGroups: [joined] })),
      topology(reads(['orders'], { stateChangelogTopics: [made('changelog', 3)] })),
      topology(reads(['orders'], { repartitionSourceTopics: [made('never-written')] })),
      { ...topology(reads(['orders'])), epoch: 1 },
    ],
  ],
  'StreamsGroupHeartbeatRequest.activeTasks': tasks,
  'StreamsGroupHeartbeatRequest.standbyTasks': tasks,
  'StreamsGroupHeartbeatRequest.warmupTasks': tasks,
  'StreamsGroupHeartbeatRequest.taskOffsets': [[null], [[]]],
  'StreamsGroupHeartbeatRequest.taskEndOffsets': [[null], [[]]],
  'StreamsGroupHeartbeatRequest.userEndpoint': [[null], [{ host: 'example', port: 80 }]],
  'StreamsGroupHeartbeatRequest.clientTags': [[[], null], [[{ key: 'zone', value: 'a' }]]],
}

/** With another byte at `at`; the CRC is right again where it covers that byte. */
const byteAt = (at: number, value: number) => (batch: Buffer) => {
  const changed = Buffer.from(batch)
  changed.writeUInt8(value, at)
  if (at >= coveredByCrc) setCrc(changed, 0)
  return [changed]
}
const record = { timestamp: 1_700_000_000_000, key: Buffer.from('k'), value: Buffer.from('v') }
const ofProducer = { isOfProducer: true }
const withoutEnd = { damage: (batch: Buffer) => [batch.subarray(0, batch.length - 3)] }
export const batchPlans: readonly [sane: readonly BatchPlan[], odd: readonly BatchPlan[]] = [
  [
    // Older Node.js cannot write zstd.
    ...compressions.slice(0, -1).map((compression) => new BatchPlan(compression, { compression })),
    new BatchPlan('idempotent', {}, ofProducer),
    new BatchPlan('transactional', { isTransactional: true }, ofProducer),
  ],
  [
    new BatchPlan('without key', { records: [{ ...record, key: null }] }),
    new BatchPlan('without records', { records: [] }),
    new BatchPlan('control', { isControl: true }),
    new BatchPlan('transactional of nobody', { isTransactional: true }),
    new BatchPlan('out of order', { baseSequence: 7 }, ofProducer),
    new BatchPlan('without time', { records: [{ ...record, timestamp: -1 }] }),
    new BatchPlan('too large', { records: [{ ...record, value: Buffer.alloc(1_200_000) }] }),
    new BatchPlan('wrong CRC', {}, { damage: byteAt(20, 1) }),
    new BatchPlan('magic 1', {}, { damage: byteAt(16, 1) }),
    new BatchPlan('magic 9', {}, { damage: byteAt(16, 9) }),
    new BatchPlan('no zstd', {}, { damage: byteAt(22, 4) }),
    new BatchPlan('unknown codec', {}, { damage: byteAt(22, 7) }),
    new BatchPlan('more records than said', {}, { damage: byteAt(60, 5) }),
    new BatchPlan('gzip cut short', { compression: 'gzip' }, withoutEnd),
    new BatchPlan('cut short', {}, withoutEnd),
    new BatchPlan('two batches', {}, { damage: (batch: Buffer) => [batch, batch] }),
    new BatchPlan('nothing', {}, { damage: () => [] }),
  ],
]

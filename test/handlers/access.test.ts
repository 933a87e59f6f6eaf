/**
 * Who may do what, cell by cell. The table is what the handlers declare: for each of their rules one client
 * is denied exactly that, over the wire of a whole broker, and must meet the denial where the rule says it
 * is; with it allowed again the denial must be gone; and what an API declares must be enough to use it.
 */
import t from 'tap'
import {
  type AclOperation,
  aclOperations,
  clusterName,
  patternTypes,
  permissionTypes,
  type ResourceType,
  resourceTypes,
} from '../../protocol/acls.ts'
import { type ApiRow, apis } from '../../protocol/apis.ts'
import { errors } from '../../protocol/errors.ts'
import { encodeBatch } from '../../protocol/records/record.ts'
import { zeroUuid } from '../../protocol/types.ts'
import { type HandlerParts, handlerTable } from '../../src/handlers/handler-table.ts'
import { configResource } from '../../src/metadata/image.ts'
import type { AccessRule } from '../../src/server/access.ts'
import { type AnyHandler, servedVersions } from '../../src/server/handler.ts'
import { OneBroker } from './one-broker.ts'

const topic = 'orders'
const group = 'readers'
const consumerGroup = 'consumers'
const streamsGroup = 'applications'
const transactionalId = 'payments'
const openTransactionalId = 'open-payments'
const doomedTopic = 'doomed'

/** What handlers are made of, where only what they declare is asked for: anything will do. */
const noParts: unknown = new Proxy(() => {}, { get: () => noParts, apply: () => noParts })
const handlers: readonly AnyHandler[] = handlerTable(noParts as HandlerParts)

const voter = { clusterId: null, voterId: 7, voterDirectoryId: 'AAAAAAAAAAAAAAAAAAAABQ' }

/** A request that meets the rule, with the fields of all versions. */
const requests: Readonly<Record<string, (rule: AccessRule, topicId: string) => unknown>> = {
  Produce: ({ resource }, topicId) => ({
    transactionalId: resource === 'TRANSACTIONAL_ID' ? transactionalId : null,
    acks: -1,
    timeoutMs: 1000,
    topicData: [
      {
        topicId,
        partitionData: [
          {
            index: 0,
            records: [
              encodeBatch({
                records: [{ timestamp: 1, key: null, value: Buffer.from('v') }],
                ...(resource === 'TRANSACTIONAL_ID' && {
                  producerId: 1,
                  producerEpoch: 0,
                  baseSequence: 0,
                  isTransactional: true,
                }),
              }),
            ],
          },
        ],
      },
    ],
  }),
  Fetch: ({ resource }, topicId) => ({
    replicaId: resource === 'CLUSTER' ? 7 : -1,
    replicaState: { replicaId: resource === 'CLUSTER' ? 7 : -1, replicaEpoch: -1 },
    maxWaitMs: 0,
    minBytes: 0,
    maxBytes: 1000,
    isolationLevel: 0,
    sessionId: 0,
    sessionEpoch: -1,
    topics: [
      {
        topicId,
        partitions: [{ partition: 0, fetchOffset: 0, logStartOffset: -1, partitionMaxBytes: 1000 }],
      },
    ],
    forgottenTopicsData: [],
    rackId: '',
  }),
  ListOffsets: () => ({
    replicaId: -1,
    isolationLevel: 0,
    topics: [{ name: topic, partitions: [{ partitionIndex: 0, timestamp: -1 }] }],
  }),
  Metadata: ({ operation, denial }) => ({
    topics:
      denial === 'lack' ? null : [{ name: operation === 'CREATE' ? `new-${created++}` : topic }],
    allowAutoTopicCreation: true,
    includeClusterAuthorizedOperations: true,
  }),
  OffsetCommit: (_, topicId) => ({
    groupId: group,
    generationIdOrMemberEpoch: -1,
    memberId: '',
    topics: [
      { topicId, partitions: [{ partitionIndex: 0, committedOffset: 1, committedMetadata: '' }] },
    ],
  }),
  OffsetFetch: ({ denial }, topicId) => ({
    groupId: group,
    topics: denial === 'lack' ? null : [{ name: topic, partitionIndexes: [0] }],
    groups: [
      {
        groupId: group,
        topics: denial === 'lack' ? null : [{ topicId, partitionIndexes: [0] }],
      },
    ],
  }),
  AddRaftVoter: () => ({ ...voter, timeoutMs: 1000, listeners: [] }),
  RemoveRaftVoter: () => voter,
  FindCoordinator: ({ resource }) =>
    resource === 'CLUSTER'
      ? { keyType: 2, coordinatorKeys: [`${group}:AAAAAAAAAAAAAAAAAAAAAQ:0`] }
      : resource === 'GROUP'
        ? { keyType: 0, coordinatorKeys: [group] }
        : { keyType: 1, coordinatorKeys: [transactionalId] },
  JoinGroup: () => ({
    groupId: group,
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 10_000,
    memberId: 'nobody',
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: Buffer.alloc(0) }],
  }),
  Heartbeat: () => ({ groupId: group, generationId: 1, memberId: 'nobody' }),
  LeaveGroup: () => ({ groupId: group, members: [{ memberId: 'nobody' }] }),
  SyncGroup: () => ({
    groupId: group,
    generationId: 1,
    memberId: 'nobody',
    protocolType: 'consumer',
    protocolName: 'range',
    assignments: [],
  }),
  DescribeGroups: () => ({ groups: [group] }),
  ConsumerGroupHeartbeat: ({ denial }) => ({
    // What an expression stands for is looked up for a new group.
    groupId: denial === 'lack' ? `${consumerGroup}-${created++}` : consumerGroup,
    memberId: 'member',
    memberEpoch: 0,
    rebalanceTimeoutMs: 1000,
    ...(denial === 'lack' ? { subscribedTopicRegex: topic } : { subscribedTopicNames: [topic] }),
    topicPartitions: [],
  }),
  ConsumerGroupDescribe: () => ({ groupIds: [consumerGroup] }),
  StreamsGroupHeartbeat: ({ denial }) => ({
    groupId: denial === 'remark' ? `${streamsGroup}-${created++}` : streamsGroup,
    memberId: 'member',
    memberEpoch: 0,
    endpointInformationEpoch: 0,
    rebalanceTimeoutMs: 1000,
    processId: 'process',
    topology: {
      epoch: 0,
      subtopologies: [
        {
          subtopologyId: '0',
          sourceTopics: [topic],
          sourceTopicRegex: [],
          stateChangelogTopics:
            denial === 'remark'
              ? [
                  {
                    name: `changelog-${created}`,
                    partitions: 0,
                    replicationFactor: 0,
                    topicConfigs: [],
                  },
                ]
              : [],
          repartitionSinkTopics: [],
          repartitionSourceTopics: [],
          copartitionGroups: [],
        },
      ],
    },
    activeTasks: [],
    standbyTasks: [],
    warmupTasks: [],
  }),
  StreamsGroupDescribe: () => ({ groupIds: [streamsGroup] }),
  ListGroups: () => ({ statesFilter: [], typesFilter: [] }),
  CreateTopics: () => ({
    topics: [
      {
        name: `new-${created++}`,
        numPartitions: 1,
        replicationFactor: 1,
        assignments: [],
        configs: [],
      },
    ],
    timeoutMs: 1000,
    validateOnly: false,
  }),
  DeleteTopics: () => ({
    topics: [{ name: doomedTopic }],
    topicNames: [doomedTopic],
    timeoutMs: 1000,
  }),
  DeleteRecords: () => ({
    topics: [{ name: topic, partitions: [{ partitionIndex: 0, offset: 0 }] }],
    timeoutMs: 1000,
  }),
  InitProducerId: ({ resource }) => ({
    transactionalId: resource === 'TRANSACTIONAL_ID' ? transactionalId : null,
    transactionTimeoutMs: 1000,
  }),
  OffsetForLeaderEpoch: () => ({
    topics: [{ topic, partitions: [{ partition: 0, leaderEpoch: 0 }] }],
  }),
  AddPartitionsToTxn: ({ resource }) => {
    const topics = [{ name: topic, partitions: [0] }]
    const producer = { transactionalId, producerId: 9, producerEpoch: 0, topics }
    return resource === 'CLUSTER'
      ? { transactions: [{ ...producer, verifyOnly: true }] }
      : addPartitionsInput(producer)
  },
  AddOffsetsToTxn: () => ({ transactionalId, producerId: 9, producerEpoch: 0, groupId: group }),
  EndTxn: () => ({ transactionalId, producerId: 9, producerEpoch: 0, committed: true }),
  WriteTxnMarkers: () => ({
    markers: [
      {
        producerId: 9,
        producerEpoch: 0,
        transactionResult: false,
        topics: [{ name: topic, partitionIndexes: [0] }],
        coordinatorEpoch: 0,
      },
    ],
  }),
  TxnOffsetCommit: () => ({
    transactionalId,
    groupId: group,
    producerId: 9,
    producerEpoch: 0,
    topics: [
      {
        name: topic,
        partitions: [{ partitionIndex: 0, committedOffset: 1, committedMetadata: '' }],
      },
    ],
  }),
  DescribeConfigs: () => ({ resources: ofEveryKind.map((one) => ({ ...one })) }),
  AlterConfigs: () => ({
    resources: ofEveryKind.map((one) => ({ ...one, configs: [] })),
    validateOnly: true,
  }),
  IncrementalAlterConfigs: () => ({
    resources: ofEveryKind.map((one) => ({ ...one, configs: [] })),
    validateOnly: true,
  }),
  AlterReplicaLogDirs: () => ({
    dirs: [{ path: '/nowhere', topics: [{ name: topic, partitions: [0] }] }],
  }),
  DescribeLogDirs: () => ({ topics: null }),
  CreatePartitions: () => ({
    topics: [{ name: topic, count: 1, assignments: null }],
    timeoutMs: 1000,
    validateOnly: true,
  }),
  DeleteGroups: () => ({ groupsNames: [`no-${group}`] }),
  OffsetDelete: () => ({
    groupId: group,
    topics: [{ name: topic, partitions: [{ partitionIndex: 9 }] }],
  }),
  DescribeAcls: () => anyAcl,
  CreateAcls: () => ({ creations: [acl('DESCRIBE', 'GROUP', 'ALLOW', 'nowhere')] }),
  DeleteAcls: () => ({ filters: [{ ...anyAcl, hostFilter: 'nowhere' }] }),
  ElectLeaders: () => ({ electionType: 0, topicPartitions: [{ topic, partitions: [0] }] }),
  AlterPartitionReassignments: () => ({
    topics: [{ name: topic, partitions: [{ partitionIndex: 0, replicas: [1] }] }],
  }),
  ListPartitionReassignments: () => ({ topics: null }),
  DescribeClientQuotas: () => ({ components: [], strict: false }),
  AlterClientQuotas: () => ({
    entries: [
      {
        entity: [{ entityType: 'user', entityName: 'alice' }],
        ops: [{ key: 'producer_byte_rate', value: 1000, remove: false }],
      },
    ],
    validateOnly: true,
  }),
  DescribeUserScramCredentials: () => ({ users: null }),
  AlterUserScramCredentials: () => ({
    deletions: [{ name: 'nobody', mechanism: 1 }],
    upsertions: [],
  }),
  UnregisterBroker: () => ({ brokerId: 9 }),
  DescribeQuorum: () => ({ topics: [] }),
  UpdateFeatures: () => ({ featureUpdates: [], validateOnly: true, timeoutMs: 1000 }),
  DescribeCluster: () => ({ includeClusterAuthorizedOperations: true }),
  DescribeProducers: () => ({ topics: [{ name: topic, partitionIndexes: [0] }] }),
  DescribeTransactions: () => ({ transactionalIds: [openTransactionalId] }),
  ListTransactions: () => ({ stateFilters: [], producerIdFilters: [] }),
  ListConfigResources: () => ({ resourceTypes: [] }),
  InitializeShareGroupState: (...met) => ofPartition(...met),
  ReadShareGroupState: (...met) => ofPartition(...met),
  ReadShareGroupStateSummary: (...met) => ofPartition(...met),
  WriteShareGroupState: (...met) => ofPartition(...met),
  DeleteShareGroupState: (...met) => ofPartition(...met),
  ShareGroupHeartbeat: () => ({
    groupId: shareGroup,
    memberId: shareMember.memberId,
    memberEpoch: 0,
    rackId: null,
    subscribedTopicNames: [topic],
  }),
  ShareGroupDescribe: () => ({ groupIds: [shareGroup], includeAuthorizedOperations: false }),
  DescribeShareGroupOffsets: ({ denial }) => ({
    groups: [
      {
        groupId: shareGroup,
        topics: denial === 'lack' ? null : [{ topicName: topic, partitions: [0] }],
      },
    ],
  }),
  AlterShareGroupOffsets: () => ({
    groupId: `no-${shareGroup}`,
    topics: [{ topicName: topic, partitions: [{ partitionIndex: 0, startOffset: 0 }] }],
  }),
  DeleteShareGroupOffsets: () => ({
    groupId: `no-${shareGroup}`,
    topics: [{ topicName: topic }],
  }),
  // Each opens the session anew, in which ShareAcknowledge then comes with one epoch after the other.
  ShareFetch: (_, topicId) => {
    shareEpoch = 0
    const topics = [{ topicId, partitions: [{ partitionIndex: 0, acknowledgementBatches: [] }] }]
    const limits = { maxWaitMs: 0, minBytes: 0, maxRecords: 1, batchSize: 1 }
    return { ...shareMember, ...limits, shareSessionEpoch: 0, topics, forgottenTopicsData: [] }
  },
  ShareAcknowledge: ({ resource }, topicId) => ({
    ...shareMember,
    shareSessionEpoch: resource === 'TOPIC' ? ++shareEpoch : 99,
    topics: [{ topicId, partitions: [{ partitionIndex: 0, acknowledgementBatches: [] }] }],
  }),
  DescribeTopicPartitions: ({ denial }) => ({
    topics: denial === 'lack' ? [] : [{ name: topic }],
    responsePartitionLimit: 100,
    cursor: null,
  }),
}

const shareGroup = 'sharers'
let shareEpoch = 0
const shareMember = { groupId: group, memberId: 'AAAAAAAAAAAAAAAAAAAAAQ', isRenewAck: false }

/** What the five APIs of group state ask about a partition. */
const ofPartition = (_rule: AccessRule, topicId: string) => ({
  groupId: group,
  topics: [
    {
      topicId,
      partitions: [
        { partition: 0, leaderEpoch: 0, stateEpoch: 0, startOffset: 0, stateBatches: [] },
      ],
    },
  ],
})

/** As a producer asks; brokers ask in a form of their own. */
function addPartitionsInput(asked: {
  transactionalId: string
  producerId: number
  producerEpoch: number
  topics: { name: string; partitions: number[] }[]
}) {
  return {
    v3AndBelowTransactionalId: asked.transactionalId,
    v3AndBelowProducerId: asked.producerId,
    v3AndBelowProducerEpoch: asked.producerEpoch,
    v3AndBelowTopics: asked.topics,
  }
}

const ofEveryKind = [
  { resourceType: configResource.TOPIC, resourceName: topic, configurationKeys: null },
  { resourceType: configResource.BROKER, resourceName: '1', configurationKeys: null },
  { resourceType: configResource.GROUP, resourceName: group, configurationKeys: null },
]

const anyAcl = {
  resourceTypeFilter: resourceTypes.ANY,
  resourceNameFilter: null,
  patternTypeFilter: patternTypes.ANY,
  principalFilter: null,
  hostFilter: null,
  operation: aclOperations.ANY,
  permissionType: permissionTypes.ANY,
}

let created = 0

function acl(
  operation: AclOperation | 'ALL',
  resource: ResourceType,
  permission: 'ALLOW' | 'DENY',
  host: string,
) {
  return {
    resourceType: resourceTypes[resource],
    resourceName: resource === 'CLUSTER' ? clusterName : '*',
    resourcePatternType: patternTypes.LITERAL,
    principal: 'User:ANONYMOUS',
    host,
    operation: aclOperations[operation],
    permissionType: permissionTypes[permission],
  }
}

/** A broker with an authorizer, an administrator who may do everything, and a client who may be denied. */
class Stage extends OneBroker {
  topicId = ''

  constructor() {
    super({
      'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      'allow.everyone.if.no.acl.found': 'true',
      'group.share.assignment.interval.ms': '0',
    })
  }

  override async start(): Promise<void> {
    await super.start()
    // First of all to those who may give and take: from then on others may not.
    const everything = (host: string) =>
      (Object.keys(resourceTypes) as (keyof typeof resourceTypes)[])
        .filter((kind): kind is ResourceType => kind !== 'ANY')
        .map((kind) => acl('ALL', kind, 'ALLOW', host))
    await this.give(everything('admin'))
    await this.give(everything('client'))
    await this.createTopic('admin', topic)
    const named = await this.ask('admin', apis.metadata, { topics: [{ name: topic }] })
    this.topicId = named.topics[0]?.topicId ?? ''
    await this.ask('admin', apis.findCoordinator, { keyType: 0, coordinatorKeys: [group] })
    const commit = requests.OffsetCommit as (rule: AccessRule, id: string) => never
    await this.ask('admin', apis.offsetCommit, commit(undefined as never, this.topicId))
    await this.#openTransaction()
  }

  async #openTransaction(): Promise<void> {
    const id = openTransactionalId
    await this.ask('admin', apis.findCoordinator, { keyType: 1, coordinatorKeys: [id] })
    const init = { transactionalId: id, transactionTimeoutMs: 900_000 }
    const producer = await this.ask('admin', apis.initProducerId, init)
    const topics = [{ name: topic, partitions: [0] }]
    const added = addPartitionsInput({ transactionalId: id, ...producer, topics })
    await this.ask('admin', apis.addPartitionsToTxn, added, 3)
  }

  /** Asks as the client, in the latest version that has what the rule is about. */
  async meet(
    api: ApiRow,
    rule: AccessRule,
    version: number = versionsOf(api, rule)[1],
  ): Promise<unknown> {
    if (api.name === 'DeleteTopics') await this.createTopic('admin', doomedTopic)
    const input = requests[api.name]?.(rule, this.topicId) as never
    // What its regular expression stands for is known from the second heartbeat on.
    if (api.name === 'ConsumerGroupHeartbeat') await this.ask('client', api, input, version)
    return this.ask('client', api, input, version)
  }

  async give(creations: readonly ReturnType<typeof acl>[]): Promise<void> {
    await this.ask('admin', apis.createAcls, { creations })
  }

  async take(creations: readonly ReturnType<typeof acl>[]): Promise<void> {
    await this.ask('admin', apis.deleteAcls, {
      filters: creations.map((one) => ({
        resourceTypeFilter: one.resourceType,
        resourceNameFilter: one.resourceName,
        patternTypeFilter: one.resourcePatternType,
        principalFilter: one.principal,
        hostFilter: one.host,
        operation: one.operation,
        permissionType: one.permissionType,
      })),
    })
  }
}

/** The versions in which the rule is met and a denial told: [lowest, highest]. */
function versionsOf(api: ApiRow, { at, operation, resource }: AccessRule): [number, number] {
  const [min, max] = servedVersions(handlers.find((one) => one.api === api) as AnyHandler)
  const asked = `${api.name} ${operation} ${resource}`
  // Later ones leave the cluster's operations to DescribeCluster.
  if (api.name === 'Metadata' && at === 'clusterAuthorizedOperations') return [8, 10]
  // Later ones come from brokers.
  if (api.name === 'AddPartitionsToTxn') return resource === 'CLUSTER' ? [4, max] : [min, 3]
  return [firstVersions.get(asked) ?? min, max]
}

/** Where earlier ones cannot ask for it, or cannot say that it is denied. */
const firstVersions: ReadonlyMap<string, number> = new Map([
  ['FindCoordinator DESCRIBE TRANSACTIONAL_ID', 1],
  ['FindCoordinator CLUSTER_ACTION CLUSTER', 1],
  ['CreateTopics DESCRIBE_CONFIGS TOPIC', 5],
  ['DescribeLogDirs DESCRIBE CLUSTER', 3],
])

/** Everything at a place of an answer, whatever lists are on the way. */
function valuesAt(answer: unknown, at: string): unknown[] {
  let found: unknown[] = [answer]
  for (const field of at.split('.')) {
    found = found.flat().map((one) => (one as Record<string, unknown>)[field])
  }
  return found
}

/** All error codes of an answer, wherever they are. */
function codesIn(answer: unknown): unknown[] {
  if (typeof answer !== 'object' || answer === null) return []
  return Object.entries(answer).flatMap(([field, value]) =>
    /[eE]rrorCode$/.test(field) ? [value] : codesIn(value),
  )
}

function isDenied(rule: AccessRule, answer: unknown): boolean {
  const values = valuesAt(answer, rule.at).flat()
  if (rule.denial === 'error') return values.includes(rule.error.code)
  if (rule.denial === 'remark') return values.some((text) => /Unauthorized/.test(String(text)))
  return values.every((one) => one === 0)
}

/** What is denied, or allowed, so that exactly this rule does not hold, or does. */
function entriesOf(rule: AccessRule, permission: 'ALLOW' | 'DENY') {
  const { operation, resource, unless, unlessAnyTopic } = rule
  return [
    acl(operation, resource, permission, 'client'),
    ...(unless === undefined || permission === 'ALLOW'
      ? []
      : [acl(unless, 'CLUSTER', permission, 'client')]),
    ...(unlessAnyTopic === undefined || permission === 'ALLOW'
      ? []
      : [acl(unlessAnyTopic, 'TOPIC', permission, 'client')]),
  ]
}

const cells = handlers.flatMap(({ api, access = [] }) => access.map((rule) => ({ api, rule })))
const nameOf = ({ api, rule }: (typeof cells)[number]) =>
  `${api.name}: ${rule.operation} ${rule.resource} at ${rule.at}`

t.test('every API says what one must be allowed to do to use it', async (t) => {
  const silent = handlers.filter(({ access }) => access === undefined)
  t.same(
    silent.map(({ api }) => api.name),
    [],
  )
})

t.test(
  'each cell of the table: denied where the rule says, and not denied when allowed',
  async (t) => {
    const stage = new Stage()
    await stage.start()
    t.ok(cells.length > 40, `${cells.length} cells`)
    for (const cell of cells) {
      const { api, rule } = cell
      t.ok(requests[api.name] !== undefined, `${api.name} has a request to try it with`)
      t.notOk(isDenied(rule, await stage.meet(api, rule)), `${nameOf(cell)}, allowed`)
      const entries = entriesOf(rule, 'DENY')
      await stage.give(entries)
      t.ok(isDenied(rule, await stage.meet(api, rule)), `${nameOf(cell)}, denied`)
      await stage.take(entries)
      t.notOk(isDenied(rule, await stage.meet(api, rule)), `${nameOf(cell)}, allowed again`)
    }
    t.ok(
      stage.lines.some((line) => line.includes('Principal = User:ANONYMOUS is Denied operation')),
      'denials are logged',
    )
  },
)

t.test('a denial is told in every version', async (t) => {
  const stage = new Stage()
  await stage.start()
  for (const cell of cells) {
    const { api, rule } = cell
    // What is described must be there.
    await stage.meet(api, rule)
    if (rule.denial !== 'error') continue
    const entries = entriesOf(rule, 'DENY')
    await stage.give(entries)
    const [min, max] = versionsOf(api, rule)
    for (let version = min; version <= max; version++) {
      const codes = codesIn(await stage.meet(api, rule, version))
      t.ok(codes.includes(rule.error.code), `${nameOf(cell)}, version ${version}`)
    }
    await stage.take(entries)
  }
})

t.test('what an API declares is enough to use it', async (t) => {
  const stage = new Stage()
  await stage.start()
  await stage.ask('admin', apis.deleteAcls, { filters: [{ ...anyAcl, hostFilter: 'client' }] })
  const authorizationErrors = new Set(
    Object.values(errors)
      .filter(({ name }) => name.endsWith('AUTHORIZATION_FAILED'))
      .map(({ code }) => code),
  )
  for (const { api, access = [] } of handlers) {
    const entries = access.flatMap((rule) => entriesOf(rule, 'ALLOW'))
    await stage.give(entries)
    for (const rule of access) {
      const answer = await stage.meet(api, rule)
      t.notOk(isDenied(rule, answer), `${api.name}: ${rule.operation} ${rule.resource}`)
      const codes = valuesAt(answer, rule.at)
      t.notOk(
        codes.some((code) => authorizationErrors.has(code as number)),
        `${api.name}: nothing else`,
      )
    }
    await stage.take(entries)
  }
})

/** A client that may do only what is given, by name. */
function named(
  operation: AclOperation | 'ALL',
  resource: ResourceType,
  resourceName: string,
  permission: 'ALLOW' | 'DENY' = 'ALLOW',
) {
  return { ...acl(operation, resource, permission, 'client'), resourceName }
}

async function guardedStage(): Promise<Stage> {
  const stage = new Stage()
  await stage.start()
  await stage.createTopic('admin', 'secret')
  await stage.ask('admin', apis.deleteAcls, { filters: [{ ...anyAcl, hostFilter: 'client' }] })
  return stage
}

const denied = errors.TOPIC_AUTHORIZATION_FAILED.code
const NONE = errors.NONE.code

t.test('what is not there and what may not be seen look alike', async (t) => {
  const stage = await guardedStage()
  await stage.give([named('DESCRIBE', 'TOPIC', topic)])
  const ids = await stage.ask('admin', apis.metadata, { topics: [{ name: 'secret' }] })
  const secretId = ids.topics[0]?.topicId as string
  const unknownId = 'BBBBBBBBBBBBBBBBBBBBBA'

  const byName = await stage.ask('client', apis.metadata, {
    topics: [
      { name: topic },
      { name: 'secret' },
      { name: 'missing' },
      { name: '__consumer_offsets' },
    ],
    allowAutoTopicCreation: true,
    includeTopicAuthorizedOperations: true,
  })
  const [seen, ...others] = byName.topics
  t.match(seen, { errorCode: NONE, name: topic, topicAuthorizedOperations: 1 << 8 })
  for (const { name, ...rest } of others) {
    t.match(rest, { errorCode: denied, isInternal: false, partitions: [] }, `${name}`)
    t.match(rest.topicId, /^A+$/, 'no id')
  }
  const byId = await stage.ask('client', apis.metadata, {
    topics: [
      { name: null, topicId: secretId },
      { name: null, topicId: unknownId },
    ],
  })
  t.match(byId.topics, [
    { errorCode: denied, name: null, topicId: secretId },
    { errorCode: errors.UNKNOWN_TOPIC_ID.code, name: null, topicId: unknownId },
  ])
  const all = await stage.ask('client', apis.metadata, { topics: null })
  t.same(
    all.topics.map(({ name }) => name),
    [topic],
  )
  const pages = await stage.ask('client', apis.describeTopicPartitions, {
    topics: [{ name: 'missing' }, { name: topic }, { name: 'secret' }],
    responsePartitionLimit: 10,
    cursor: null,
  })
  t.match(pages.topics, [
    { errorCode: NONE, name: topic, topicAuthorizedOperations: 1 << 8 },
    { errorCode: denied, name: 'missing' },
    { errorCode: denied, name: 'secret' },
  ])
  const deleted = await stage.ask('client', apis.deleteTopics, {
    topics: [
      { name: topic, topicId: zeroUuid },
      { name: 'missing', topicId: zeroUuid },
      { name: 'secret', topicId: zeroUuid },
      { name: null, topicId: secretId },
      { name: null, topicId: stage.topicId },
      { name: null, topicId: unknownId },
    ],
    timeoutMs: 1000,
  })
  const outcomes = deleted.responses.map(({ name, errorCode }) => [name, errorCode])
  t.same(
    new Set(outcomes.map((one) => JSON.stringify(one))),
    new Set(
      [
        [topic, denied],
        ['missing', denied],
        ['secret', denied],
        [null, denied],
        [null, errors.UNKNOWN_TOPIC_ID.code],
      ].map((one) => JSON.stringify(one)),
    ),
    'of a topic that may be seen the name is told, of another not',
  )
  const left = await stage.ask('admin', apis.metadata, { topics: null })
  const names = left.topics.map(({ name }) => name)
  t.ok(names.includes(topic) && names.includes('secret'), 'both are still there')
})

t.test('topics are made on demand by those who may make them', async (t) => {
  const stage = await guardedStage()
  const ask = async (name: string) => {
    const request = { topics: [{ name }], allowAutoTopicCreation: true }
    return (await stage.ask('client', apis.metadata, request)).topics[0]?.errorCode
  }
  await stage.give([named('DESCRIBE', 'TOPIC', '*')])
  t.equal(await ask('wanted'), denied)
  await stage.give([named('CREATE', 'TOPIC', 'wanted')])
  t.equal(await ask('wanted'), NONE)
  t.equal(await ask('another'), denied)
  await stage.give([named('CREATE', 'CLUSTER', clusterName)])
  t.equal(await ask('another'), NONE)
})

t.test('denied partitions keep their place, and nothing is written to them', async (t) => {
  const stage = await guardedStage()
  await stage.createTopic('admin', 'payments')
  await stage.give([named('WRITE', 'TOPIC', topic), named('WRITE', 'TOPIC', 'payments')])
  await stage.give([named('READ', 'TOPIC', topic), named('READ', 'TOPIC', 'payments')])
  const order = ['payments', 'secret', topic, 'missing', 'secret']
  const partitionData = () => [
    {
      index: 0,
      records: [encodeBatch({ records: [{ timestamp: 1, key: null, value: Buffer.from('v') }] })],
    },
  ]
  const produced = await stage.ask(
    'client',
    apis.produce,
    {
      transactionalId: null,
      acks: -1,
      timeoutMs: 1000,
      topicData: order.map((name) => ({ name, partitionData: partitionData() })),
    },
    12,
  )
  const codes = produced.responses.map(({ name, partitionResponses }) => [
    name,
    partitionResponses[0]?.errorCode,
  ])
  t.same(codes, [
    ['payments', NONE],
    ['secret', denied],
    [topic, NONE],
    ['missing', denied],
    ['secret', denied],
  ])
  const fetched = await stage.ask(
    'client',
    apis.fetch,
    {
      maxWaitMs: 0,
      minBytes: 0,
      topics: order.slice(0, 4).map((name) => ({
        topic: name,
        partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1000 }],
      })),
      forgottenTopicsData: [],
    },
    12,
  )
  t.same(
    fetched.responses.map(({ topic: name, partitions }) => [name, partitions[0]?.errorCode]),
    codes.slice(0, 4),
  )
  const ends = await stage.ask('admin', apis.listOffsets, {
    replicaId: -1,
    isolationLevel: 0,
    topics: ['payments', 'secret', topic].map((name) => ({
      name,
      partitions: [{ partitionIndex: 0, timestamp: -1 }],
    })),
  })
  t.same(
    ends.topics.map(({ name, partitions }) => [name, partitions[0]?.offset]),
    [
      ['payments', 1],
      ['secret', 0],
      [topic, 1],
    ],
  )
})

t.test('operations in answers are those that are allowed', async (t) => {
  const stage = await guardedStage()
  const bits = (...words: AclOperation[]) =>
    words.reduce((field, word) => field | (1 << aclOperations[word]), 0)
  await stage.give([
    named('READ', 'GROUP', group),
    named('ALTER_CONFIGS', 'TOPIC', topic),
    named('READ', 'TOPIC', topic),
    named('ALTER', 'CLUSTER', clusterName),
  ])
  const groups = await stage.ask('client', apis.describeGroups, {
    groups: [group, 'others'],
    includeAuthorizedOperations: true,
  })
  const codes = new Map(groups.groups.map((one) => [one.groupId, one]))
  t.equal(codes.get(group)?.authorizedOperations, bits('READ', 'DESCRIBE'))
  t.equal(codes.get('others')?.errorCode, errors.GROUP_AUTHORIZATION_FAILED.code)
  const described = await stage.ask('client', apis.metadata, {
    topics: [{ name: topic }],
    includeTopicAuthorizedOperations: true,
  })
  t.equal(
    described.topics[0]?.topicAuthorizedOperations,
    bits('READ', 'DESCRIBE', 'DESCRIBE_CONFIGS', 'ALTER_CONFIGS'),
  )
  const cluster = await stage.ask('client', apis.describeCluster, {
    includeClusterAuthorizedOperations: true,
  })
  t.equal(cluster.clusterAuthorizedOperations, bits('ALTER', 'DESCRIBE'))
})

t.test('entries are checked, made once, found, and kept through a kill', async (t) => {
  const stage = await guardedStage()
  const create = async (more: Readonly<Record<string, string | number>>) => {
    const creations = [{ ...named('READ', 'TOPIC', 'x'), ...more } as ReturnType<typeof named>]
    const { results } = await stage.ask('admin', apis.createAcls, { creations })
    return results[0]?.errorMessage ?? results[0]?.errorCode
  }
  t.equal(await create({}), NONE)
  t.equal(await create({}), NONE, 'again')
  t.equal(await create({ resourceName: '' }), 'Invalid empty resource name')
  t.match(await create({ resourceType: resourceTypes.CLUSTER }), /only valid name for the CLUSTER/)
  t.equal(await create({ resourceType: resourceTypes.ANY }), 'Invalid resourceType ANY')
  t.equal(await create({ resourcePatternType: patternTypes.MATCH }), 'Invalid patternType MATCH')
  t.equal(await create({ operation: aclOperations.ANY }), 'Invalid operation ANY')
  t.equal(await create({ permissionType: permissionTypes.ANY }), 'Invalid permissionType ANY')
  t.match(await create({ principal: 'alice' }), /Could not parse principal from `alice`/)
  await stage.restart()
  const ofX = { ...anyAcl, resourceNameFilter: 'x' }
  for (const version of [0, 1, 2, 3]) {
    const { resources } = await stage.ask('admin', apis.describeAcls, ofX, version)
    t.match(resources, [{ resourceName: 'x', patternType: patternTypes.LITERAL }])
    t.equal(resources[0]?.acls.length, 1, `version ${version}`)
  }
  const unknown = await stage.ask('admin', apis.describeAcls, { ...ofX, operation: 99 })
  t.equal(unknown.errorCode, errors.INVALID_REQUEST.code)
  const filters = [ofX, ofX, { ...ofX, resourceNameFilter: 'y' }]
  const { filterResults } = await stage.ask('admin', apis.deleteAcls, { filters })
  t.same(
    filterResults.map(({ matchingAcls }) => matchingAcls.length),
    [1, 1, 0],
  )
  t.same((await stage.ask('admin', apis.describeAcls, ofX)).resources, [])
})

t.test('denials are logged, but not as often as a peer likes', async (t) => {
  const stage = await guardedStage()
  const groups = Array.from({ length: 50 }, (_, index) => `group-${index}`)
  for (let times = 0; times < 4; times++) {
    await stage.ask('client', apis.describeGroups, { groups })
  }
  const denials = stage.lines.filter((line) => line.includes('Denied operation = DESCRIBE'))
  t.equal(denials.length, 1)
  t.match(denials[0], /GROUP:LITERAL:group-0/)
  t.match(denials[0], /DefaultDeny/)
})

t.test('a broker on which nobody may do anything says so when it starts', async (t) => {
  const authorizer = 'org.apache.kafka.metadata.authorizer.StandardAuthorizer'
  const warnings = async (more: Readonly<Record<string, string>>) => {
    const locked = new OneBroker({ 'authorizer.class.name': authorizer, ...more })
    await locked.start()
    return locked.lines.filter((line) => line.includes('set super.users')).length
  }
  t.equal(await warnings({}), 1)
  t.equal(await warnings({ 'super.users': 'User:admin' }), 0)
  t.equal(await warnings({ 'allow.everyone.if.no.acl.found': 'true' }), 0)
})

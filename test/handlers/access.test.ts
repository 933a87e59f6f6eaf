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
import { type HandlerParts, handlerTable } from '../../src/handlers/handler-table.ts'
import { configResource } from '../../src/metadata/image.ts'
import type { AccessRule } from '../../src/server/access.ts'
import type { AnyHandler } from '../../src/server/handler.ts'
import { OneBroker } from './one-broker.ts'

const topic = 'orders'
const group = 'readers'
const transactionalId = 'payments'
const openTransactionalId = 'open-payments'
const doomedTopic = 'doomed'

/** What handlers are made of, where only what they declare is asked for: anything will do. */
const noParts: unknown = new Proxy(() => {}, { get: () => noParts, apply: () => noParts })
const handlers: readonly AnyHandler[] = handlerTable(noParts as HandlerParts)

/** A request of the latest version that meets the rule, and the name of the resource by which it does. */
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
    groups: [
      {
        groupId: group,
        topics: denial === 'lack' ? null : [{ topicId, partitionIndexes: [0] }],
      },
    ],
  }),
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
  DeleteTopics: () => ({ topics: [{ name: doomedTopic }], timeoutMs: 1000 }),
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
  async meet(api: ApiRow, rule: AccessRule): Promise<unknown> {
    if (api.name === 'DeleteTopics') await this.createTopic('admin', doomedTopic)
    const input = requests[api.name]?.(rule, this.topicId) as never
    return this.ask('client', api, input, versionFor(api, rule))
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

/** Undefined: the latest. */
function versionFor({ name }: ApiRow, { at, resource }: AccessRule): number | undefined {
  // Later ones leave the cluster's operations to DescribeCluster.
  if (name === 'Metadata' && at === 'clusterAuthorizedOperations') return 10
  // Later ones come from brokers.
  if (name === 'AddPartitionsToTxn' && resource !== 'CLUSTER') return 3
  return undefined
}

/** Everything at a place of an answer, whatever lists are on the way. */
function valuesAt(answer: unknown, at: string): unknown[] {
  let found: unknown[] = [answer]
  for (const field of at.split('.')) {
    found = found.flat().map((one) => (one as Record<string, unknown>)[field])
  }
  return found
}

function isDenied(rule: AccessRule, answer: unknown): boolean {
  const values = valuesAt(answer, rule.at)
  if (rule.denial === 'error') return values.includes(rule.error.code)
  return values.every((one) => one === 0 || (Array.isArray(one) && one.length === 0))
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

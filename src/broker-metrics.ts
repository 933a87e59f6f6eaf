/**
 * What a broker tells of itself on `/metrics`: numbers that its parts have anyway, read when somebody
 * asks, under the names that a JMX exporter with the usual rules gives to Kafka's own (jmx_exporter's
 * example for Kafka 2.0 and later), so that dashboards for Kafka show this broker too. What Kafka has no
 * name for begins with `millrace_`.
 *
 * How many topics and partitions are told of one by one is limited, and what is left out is counted.
 */
import { type ApiRow, apis } from '../protocol/apis.ts'
import { errorByCode } from '../protocol/errors.ts'
import type { GroupCoordinator } from './coordinator/group/group-coordinator.ts'
import type { HandlerParts } from './handlers/handler-table.ts'
import { type Exposition, type Family, labelled } from './http/exposition.ts'
import type { Partition } from './replication/partition.ts'
import type { HostedTopic, Replicas } from './replication/replicas.ts'
import type { TopicTraffic } from './replication/topic-traffic.ts'
import type { RequestTimes, ServerCounters } from './server/counters.ts'
import type { Latencies } from './server/latencies.ts'
import type { Listener } from './server/listener.ts'

export interface MeasuredParts extends HandlerParts {
  readonly counters: ServerCounters
  readonly listeners: readonly Listener[]
}

/** What a broker tells of, at one moment. */
export interface Measured {
  /** As Kafka numbers them: 1 starting, 2 opening its logs, 3 running, 6 stopping. */
  readonly state: number
  /** Null before clients are answered. */
  readonly parts: MeasuredParts | null
}

/** A topic has eight counters, a partition four gauges. */
const topicsMax = 2_000
const partitionsMax = 10_000

/** Samples, or rows that are looked at, between two chances for others. */
const rowsPerSlice = 256

const trafficCounters: readonly (readonly [string, keyof TopicTraffic & string, string])[] = [
  ['messagesin', 'messagesIn', 'Records appended.'],
  ['bytesin', 'bytesIn', 'Bytes of the batches appended.'],
  ['bytesout', 'bytesOut', 'Bytes of the batches sent to consumers.'],
  ['bytesrejected', 'bytesRejected', 'Bytes of batches that were too large.'],
  ['totalproducerequests', 'produceRequests', 'Appends to partitions that were asked for.'],
  ['failedproducerequests', 'failedProduceRequests', 'Appends that failed unexpectedly.'],
  ['totalfetchrequests', 'fetchRequests', 'Reads of partitions that were asked for.'],
  ['failedfetchrequests', 'failedFetchRequests', 'Reads that failed unexpectedly.'],
]

/** With the label that a JMX exporter makes of Kafka's `50thPercentile` and its like. */
const quantiles = ['0.50', '0.75', '0.95', '0.98', '0.99', '0.999'] as const

/** Yields where others may have their turn. */
export function* brokerMetrics(out: Exposition, { state, parts }: Measured): Iterable<undefined> {
  out.gauge('kafka_server_kafkaserver_brokerstate', 'As Kafka numbers them; 3: running.', state)
  if (parts === null) return
  network(out, parts)
  requests(out, parts)
  yield
  yield* traffic(out, parts.replicas)
  yield* replicas(out, parts.replicas)
  yield* controller(out, parts)
  directories(out, parts.replicas)
  compaction(out, parts)
  quorum(out, parts)
  waiting(out, parts)
  yield
  yield* coordinators(out, parts)
  yield* clients(out, parts)
}

function network(out: Exposition, { counters, listeners }: MeasuredParts): void {
  const prefix = 'kafka_server_socketservermetrics'
  const open = out.family(`${prefix}_connection_count`, 'gauge', 'Open connections.')
  for (const { name, connections } of listeners) {
    open.add(connections.size, labelled({ listener: name }))
  }
  const { connectionsAccepted: accepted, connectionsOpen } = counters
  out.counter(`${prefix}_connection_creation_total`, 'Connections accepted.', accepted)
  const closed = accepted - connectionsOpen
  out.counter(`${prefix}_connection_close_total`, 'Connections closed.', closed)
  out.counter(`${prefix}_incoming_byte_total`, 'Bytes read from connections.', counters.bytesIn)
  out.counter(`${prefix}_outgoing_byte_total`, 'Bytes written to connections.', counters.bytesOut)
  const refused = 'Connections refused for a limit.'
  out.counter('millrace_connections_refused_total', refused, counters.connectionsRefused)
  const failed = 'Connections closed for what their peer had sent.'
  out.counter('millrace_connections_failed_total', failed, counters.connectionsFailed)
}

/** Kafka's names of where the time of a request goes, and what they mean here. */
const requestTimes: readonly (readonly [string, keyof RequestTimes, string])[] = [
  ['totaltimems', 'total', 'From the last byte of a request until its reply is sent'],
  ['requestqueuetimems', 'requestQueue', 'Of it, until the request was taken'],
  ['localtimems', 'local', 'Then, until its handler had done what it does before it waits'],
  ['remotetimems', 'remote', 'Then, until there was an answer'],
  ['responsequeuetimems', 'responseQueue', 'Then, until earlier requests had been answered'],
]

function requests(out: Exposition, { counters, environment }: MeasuredParts): void {
  const prefix = 'kafka_network_requestmetrics'
  const taken = out.family(`${prefix}_requests_total`, 'counter', 'Requests taken.')
  const help = 'Errors in answers, in whatever field; NONE where there was none.'
  const answered = out.family(`${prefix}_errors_total`, 'counter', help)
  const stages = requestTimes.map(([name, stage, what]) => {
    const family = out.family(`${prefix}_${name}`, 'summary', `${what}; of the last minutes.`)
    return { family, stage }
  })
  const nowMs = environment.clock.monotonic()
  for (const { key, name } of Object.values<ApiRow>(apis)) {
    // Nobody follows this broker: all that is fetched is fetched by consumers.
    const names = name === 'Fetch' ? ['Fetch', 'FetchConsumer'] : [name]
    const times = counters.timesByApi[key]
    for (const request of names) {
      counters.requestsByApi[key]?.forEach((count, version) => {
        taken.add(count, labelled({ request, version }))
      })
      counters.errorsByApi[key]?.forEach((count, at) => {
        answered.add(count, labelled({ request, error: errorByCode(at - 1).name }))
      })
      if (times === undefined) continue
      for (const { family, stage } of stages) tellTimes(family, times[stage], request, nowMs)
    }
  }
}

function tellTimes(family: Family, times: Latencies, request: string, nowMs: number): void {
  times.quantiles(quantiles.map(Number), nowMs).forEach((value, at) => {
    family.add(value, labelled({ request, quantile: quantiles[at] ?? '' }))
  })
  family.add(times.sumMs, labelled({ request }), '_sum')
  family.add(times.count, labelled({ request }), '_count')
}

function* traffic(out: Exposition, replicas: Replicas): Iterable<undefined> {
  const families = trafficCounters.map(([name, field, help]) => {
    const family = out.family(`kafka_server_brokertopicmetrics_${name}_total`, 'counter', help)
    return { family, field }
  })
  const tell = (of: TopicTraffic, labels: string) => {
    for (const { family, field } of families) family.add(of[field] as number, labels)
  }
  tell(replicas.traffic, '')
  let count = 0
  for (const { name, traffic } of replicas.topics()) {
    if (++count <= topicsMax) tell(traffic, labelled({ topic: name }))
    if (count % (rowsPerSlice / 8) === 0) yield
  }
  leftOut(out, 'topics', count - topicsMax)
}

function leftOut(out: Exposition, kind: string, count: number): void {
  const help = 'Topics and partitions that are not told of one by one, as there are too many.'
  const family = out.family('millrace_metrics_left_out', 'gauge', help)
  family.add(Math.max(0, count), labelled({ kind }))
}

function* replicas(out: Exposition, hosted: Replicas): Iterable<undefined> {
  const counts = new PartitionCounts()
  const logs = new LogFamilies(out)
  for (const topic of hosted.topics()) {
    for (const partition of topic.partitions) {
      if (partition === undefined) continue
      counts.add(partition)
      if (counts.partitions <= partitionsMax) logs.add(topic, partition)
      if (counts.partitions % (rowsPerSlice / 4) === 0) yield
    }
  }
  counts.tell(out)
  leftOut(out, 'partitions', counts.partitions - partitionsMax)
}

class PartitionCounts {
  partitions = 0
  #leaders = 0
  #offline = 0
  #underReplicated = 0
  #underMinIsr = 0
  #atMinIsr = 0

  add({ state, config, isLeader, isOffline }: Partition): void {
    this.partitions++
    if (isOffline) this.#offline++
    if (!isLeader) return
    this.#leaders++
    const inSync = state.isr.length
    const required = Math.min(config.minInsyncReplicas, state.replicas.length)
    if (inSync < state.replicas.length) this.#underReplicated++
    if (inSync < required) this.#underMinIsr++
    if (inSync === required) this.#atMinIsr++
  }

  tell(out: Exposition): void {
    const gauge = (name: string, help: string, value: number) =>
      out.gauge(`kafka_server_replicamanager_${name}`, help, value)
    gauge('partitioncount', 'Partitions hosted here.', this.partitions)
    gauge('leadercount', 'Partitions led here.', this.#leaders)
    gauge('offlinereplicacount', 'Partitions here that cannot be used.', this.#offline)
    gauge('underreplicatedpartitions', 'Led here, with replicas behind.', this.#underReplicated)
    gauge('underminisrpartitioncount', 'Led here, below min.insync.replicas.', this.#underMinIsr)
    gauge('atminisrpartitioncount', 'Led here, just at min.insync.replicas.', this.#atMinIsr)
  }
}

/** A log that was never used has nothing on disk, and is not opened for being asked. */
class LogFamilies {
  readonly #size: Family
  readonly #start: Family
  readonly #end: Family
  readonly #segments: Family

  constructor(out: Exposition) {
    const gauge = (name: string, help: string) => out.family(`kafka_log_log_${name}`, 'gauge', help)
    this.#size = gauge('size', 'Bytes of the segments.')
    this.#start = gauge('logstartoffset', 'The first offset.')
    this.#end = gauge('logendoffset', 'The offset that the next record gets.')
    this.#segments = gauge('numlogsegments', 'Segments.')
  }

  add({ name }: HostedTopic, partition: Partition): void {
    // Names of topics need no escapes.
    const labels = `topic="${name}",partition="${partition.index}"`
    const log = partition.openedLog
    this.#size.add(log?.size ?? 0, labels)
    this.#start.add(log?.logStartOffset ?? 0, labels)
    this.#end.add(log?.logEndOffset ?? 0, labels)
    this.#segments.add(log?.segmentCount ?? 0, labels)
  }
}

function* controller(out: Exposition, { metadata }: MeasuredParts): Iterable<undefined> {
  const { image, quorum } = metadata
  let partitions = 0
  let offline = 0
  let moved = 0
  for (const topic of image.topics.byName.values()) {
    for (const { leader, replicas } of topic.partitions) {
      if (leader === -1) offline++
      else if (leader !== replicas[0]) moved++
      if (++partitions % (rowsPerSlice * 16) === 0) yield
    }
  }
  const brokers = [...image.brokers.values()]
  const stopping = brokers.filter(({ inControlledShutdown }) => inControlledShutdown).length
  const fenced = brokers.filter((broker) => broker.fenced).length
  const gauge = (name: string, help: string, value: number) =>
    out.gauge(`kafka_controller_kafkacontroller_${name}`, help, value)
  gauge('activecontrollercount', '1 where the controller is active.', quorum.isLeader ? 1 : 0)
  gauge('activebrokercount', 'Brokers that are not fenced.', brokers.length - fenced)
  gauge('fencedbrokercount', 'Brokers that are fenced.', fenced)
  gauge('controlledshutdownbrokercount', 'Brokers that are stopping.', stopping)
  gauge('globaltopiccount', 'Topics of the cluster.', image.topics.byName.size)
  gauge('globalpartitioncount', 'Partitions of the cluster.', partitions)
  gauge('offlinepartitionscount', 'Partitions without a leader.', offline)
  gauge('preferredreplicaimbalancecount', 'Not led by their preferred leader.', moved)
  gauge('lastappliedrecordoffset', 'Of the metadata log.', image.offset)
  gauge('lastcommittedrecordoffset', 'Of the metadata log.', quorum.highWatermark - 1)
  gauge('lastappliedrecordtimestamp', 'Of the metadata log.', image.timestampMs)
  const ofBroker = 'kafka_server_broker_metadata_metrics_last_applied_record'
  out.gauge(`${ofBroker}_offset`, 'Of the metadata log.', image.offset)
  out.gauge(`${ofBroker}_timestamp`, 'Of the metadata log.', image.timestampMs)
}

function directories(out: Exposition, replicas: Replicas): void {
  const all = replicas.directories
  const offline = all.length - replicas.onlineDirectories.length
  const name = 'kafka_log_logmanager'
  out.gauge(`${name}_offlinelogdirectorycount`, 'Directories that failed.', offline)
  const each = out.family(`${name}_logdirectoryoffline`, 'gauge', '1 for one that failed.')
  for (const { path, failure } of all) {
    each.add(failure === null ? 0 : 1, labelled({ logDirectory: path }))
  }
  const moves = 'kafka_server_replicaalterlogdirsmanager'
  const labels = labelled({ clientId: 'ReplicaAlterLogDirs' })
  const lag = Math.max(0, ...replicas.moves.lags())
  const lagHelp = 'Records that a copy on its way to another directory lacks, at most.'
  out.family(`${moves}_maxlag`, 'gauge', lagHelp).add(lag, labels)
  const failedHelp = 'Partitions that could not be moved, since the start.'
  const { failed } = replicas.moves.counters
  out.family(`${moves}_failedpartitionscount`, 'gauge', failedHelp).add(failed, labels)
}

function compaction(out: Exposition, { replicas, environment }: MeasuredParts): void {
  const { counters } = replicas.compactor
  const { last } = counters
  const percent = (part: number, whole: number) => (whole === 0 ? 0 : (part / whole) * 100)
  const cleaner = 'kafka_log_logcleaner'
  const recopied = last === null ? 0 : percent(last.bytesAfter, last.bytesBefore)
  out.gauge(`${cleaner}_cleaner_recopy_percent`, 'Kept by the last compaction.', recopied)
  const lastSeconds = (last?.totalMs ?? 0) / 1000
  out.gauge(`${cleaner}_max_clean_time_secs`, 'How long the last compaction took.', lastSeconds)
  const delay = counters.delayMsMax / 1000
  out.gauge(`${cleaner}_max_compaction_delay_secs`, 'Beyond max.compaction.lag.ms.', delay)
  const dirty = counters.dirtyRatioMax * 100
  const manager = 'kafka_log_logcleanermanager'
  out.gauge(`${manager}_max_dirty_percent`, 'Of the dirtiest log.', dirty)
  const sinceMs = environment.clock.monotonic() - counters.lastLookMs
  const since = counters.lastLookMs === 0 ? 0 : sinceMs
  out.gauge(`${manager}_time_since_last_run_ms`, 'Since all logs were looked at.', since)
  const compacted = 'millrace_compaction'
  out.counter(`${compacted}_runs_total`, 'Logs compacted.', counters.cleanings)
  out.counter(`${compacted}_read_bytes_total`, 'Bytes before.', counters.bytesBefore)
  out.counter(`${compacted}_kept_bytes_total`, 'Bytes after.', counters.bytesAfter)
}

function quorum(out: Exposition, { metadata, nodeId }: MeasuredParts): void {
  const { isLeader, epoch, highWatermark, log } = metadata.quorum
  const { leaderId, voters } = metadata.quorum.describe()
  const raft = 'kafka_server_raft_metrics'
  const state = out.family(`${raft}_current_state`, 'gauge', '1 for the state that it is in.')
  state.add(1, labelled({ state: isLeader ? 'leader' : 'unattached' }))
  out.gauge(`${raft}_current_leader`, 'Node id of the leader; -1: none.', leaderId)
  out.gauge(`${raft}_current_vote`, 'Node id voted for; -1: none.', isLeader ? nodeId : -1)
  out.gauge(`${raft}_current_epoch`, 'The epoch of the quorum.', epoch)
  out.gauge(`${raft}_high_watermark`, 'End of what is committed.', highWatermark)
  out.gauge(`${raft}_log_end_offset`, 'End of the metadata log.', log.endOffset)
  out.gauge(`${raft}_log_end_epoch`, 'Epoch of its last record.', log.lastEpoch)
  out.gauge(`${raft}_number_of_voters`, 'Voters of the quorum.', voters.length)
}

function waiting(out: Exposition, parts: MeasuredParts): void {
  const { fetchSessions, parkedFetches, delivery } = parts
  const purgatory = 'kafka_server_delayedoperationpurgatory'
  const labels = labelled({ delayedOperation: 'Fetch' })
  const help = 'Fetches that wait for records.'
  out.family(`${purgatory}_purgatorysize`, 'gauge', help).add(parkedFetches.size, labels)
  out.family(`${purgatory}_numdelayedoperations`, 'gauge', help).add(parkedFetches.size, labels)
  const cache = 'kafka_server_fetchsessioncache_numincrementalfetch'
  out.gauge(`${cache}sessions`, 'Fetch sessions.', fetchSessions.size)
  out.gauge(`${cache}partitionscached`, 'Partitions in them.', fetchSessions.partitionCount)
  const shares = 'kafka_server_sharesessioncache'
  out.gauge(`${shares}_sharesessionscount`, 'Sessions of share groups.', delivery.sessions.size)
  out.gauge('millrace_share_partitions', 'Share partitions in memory.', delivery.shares.size)
}

const classicStates = ['PreparingRebalance', 'CompletingRebalance', 'Stable', 'Empty', 'Dead']

function* coordinators(out: Exposition, parts: MeasuredParts): Iterable<undefined> {
  const { groups, shareState, transactions } = parts
  const shards = { group: groups, share: shareState, transaction: transactions }
  for (const [name, coordinator] of Object.entries(shards)) {
    const metric = `kafka_server_${name}_coordinator_metrics_num_partitions`
    const family = out.family(metric, 'gauge', 'Partitions of its topic, by state.')
    for (const [state, count] of Object.entries(coordinator.shardStates)) {
      family.add(count, labelled({ state }))
    }
  }
  yield
  groupCounts(out, groups)
  yield
  const byState = new Map<string, number>()
  transactions.census((state) => byState.set(state, (byState.get(state) ?? 0) + 1))
  const help = 'Transactional ids, by the state of their transaction.'
  const family = out.family('millrace_transactional_ids', 'gauge', help)
  for (const [state, count] of byState) family.add(count, labelled({ state }))
}

function groupCounts(out: Exposition, groups: GroupCoordinator): void {
  const byType = new Map<string, Map<string, number>>()
  groups.census((type, state) => {
    const states = byType.get(type) ?? new Map<string, number>()
    byType.set(type, states.set(state, (states.get(state) ?? 0) + 1))
  })
  const sum = (states: ReadonlyMap<string, number> | undefined) =>
    [...(states?.values() ?? [])].reduce((total, count) => total + count, 0)
  const manager = 'kafka_coordinator_group_groupmetadatamanager_numgroups'
  const all = [...byType.values()].reduce((total, states) => total + sum(states), 0)
  out.gauge(manager, 'Groups coordinated here.', all)
  for (const state of classicStates) {
    const count = byType.get('classic')?.get(state) ?? 0
    out.gauge(`${manager}${state.toLowerCase()}`, `Classic groups that are ${state}.`, count)
  }
  const metrics = 'kafka_server_group_coordinator_metrics'
  const counted = out.family(`${metrics}_group_count`, 'gauge', 'Groups, by their protocol.')
  for (const protocol of ['classic', 'consumer', 'share', 'streams']) {
    counted.add(sum(byType.get(protocol)), labelled({ protocol }))
    if (protocol === 'classic') continue
    const name = `${metrics}_${protocol}_group_count`
    const states = out.family(name, 'gauge', 'Groups of this protocol, by state.')
    for (const [state, count] of byType.get(protocol) ?? []) states.add(count, labelled({ state }))
  }
}

/** What clients pushed, each value under the name that the client gave it, as far as that is allowed. */
function* clients(out: Exposition, { telemetry }: MeasuredParts): Iterable<undefined> {
  const { counters, received, instanceCount } = telemetry
  const metrics = 'kafka_server_client_metrics'
  const counter = (name: string, help: string, value: number) =>
    out.counter(`${metrics}_${name}_total`, help, value)
  out.gauge(`${metrics}_instance_count`, 'Clients that ask for subscriptions.', instanceCount)
  counter('plugin_export', 'Pushes of clients.', counters.pushes)
  counter('plugin_error', 'Pushes that could not be read.', counters.malformed)
  counter('throttle', 'Requests before their time.', counters.throttled)
  counter('unknown_subscription_request', 'Of other ids.', counters.unknownSubscriptions)
  const help = 'Pushes that were larger than is looked at, and clients that made room for others.'
  const leftOut = out.family('millrace_client_metrics_left_out_total', 'counter', help)
  leftOut.add(received.pushesCut, labelled({ what: 'pushes' }))
  leftOut.add(received.clientsDropped, labelled({ what: 'clients' }))
  const about = out.family('kafka_client_info', 'gauge', 'Clients that push their metrics.')
  let rows = 0
  for (const client of received.clients()) {
    about.add(1, labelled(client.about))
    for (const { name, isCounter, labels, value } of client.samples) {
      const family = out.family(name, isCounter ? 'counter' : 'gauge', 'As clients push it.')
      family.add(value, labelled(labels))
      if (++rows % rowsPerSlice === 0) yield
    }
  }
}

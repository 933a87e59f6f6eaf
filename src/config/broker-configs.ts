/**
 * The settings of a broker that mean something here, with Kafka's names, types, defaults and limits.
 * What Kafka knows and we accept without effect is in `accepted-configs.ts`.
 */
import {
  any,
  atLeast,
  between,
  betweenOr,
  boolean,
  double,
  eachGiven,
  eachOneOf,
  int,
  list,
  long,
  oneOf,
  principals,
  short,
  string,
} from './definition.ts'
import { groupTypeConfigs } from './group-type-configs.ts'
import { perIpOverrides } from './per-ip-overrides.ts'

/** `node.id`, `process.roles` and `controller.listener.names` have a default here: a single node needs no settings. */
export const brokerConfigs = {
  'add.partitions.to.txn.retry.backoff.max.ms': int(100, atLeast(0)),
  'add.partitions.to.txn.retry.backoff.ms': int(20, atLeast(1)),
  'advertised.listeners': list(null, any, {
    doc: 'The addresses that clients are told; unset, each client is told the address by which it reached the broker.',
  }),
  'allow.everyone.if.no.acl.found': boolean(false, {
    doc: 'Whether everybody may do everything with a resource that no access control entry is about.',
  }),
  'authorizer.class.name': string('', any, {
    doc: 'What decides who may do what; empty: everybody may do everything.',
  }),
  'auto.create.topics.enable': boolean(true, {
    doc: 'Whether asking for the metadata of an unknown topic creates it.',
  }),
  'broker.id': int(-1),
  'broker.rack': string(null),
  'compression.gzip.level': int(-1, betweenOr(1, 9, -1), { scope: 'cluster-wide' }),
  'compression.lz4.level': int(9, between(1, 17), { scope: 'cluster-wide' }),
  'compression.type': string(
    'producer',
    oneOf('uncompressed', 'zstd', 'lz4', 'snappy', 'gzip', 'producer'),
    {
      scope: 'cluster-wide',
      doc: 'The codec in which batches are stored; `producer` keeps what the producer chose.',
    },
  ),
  'compression.zstd.level': int(3, between(-131072, 22), { scope: 'cluster-wide' }),
  'connections.max.idle.ms': long(600000, any, {
    doc: 'Connections on which nothing arrives for this long are closed.',
  }),
  'controller.listener.names': list(['CONTROLLER']),
  'controller.quota.window.num': int(11, atLeast(1)),
  'controller.quota.window.size.seconds': int(1, atLeast(1)),
  'default.replication.factor': int(1, any, {
    doc: 'Replicas of topics that are created without saying how many.',
  }),
  'delete.topic.enable': boolean(true, { doc: 'Whether topics can be deleted.' }),
  'fetch.max.bytes': int(57671680, atLeast(1024), {
    doc: 'The most bytes one fetch answers with.',
  }),
  'group.initial.rebalance.delay.ms': int(3000, any, {
    doc: 'How long an empty group waits for more members before its first rebalance.',
  }),
  'group.max.session.timeout.ms': int(1800000, any, {
    doc: 'The longest session timeout a member of a group may ask for.',
  }),
  'group.max.size': int(2147483647, atLeast(1), { doc: 'The most members of one group.' }),
  'group.min.session.timeout.ms': int(6000, any, {
    doc: 'The shortest session timeout a member of a group may ask for.',
  }),
  // Kafka opens and closes listeners at run time; here that takes a restart, and so both are read-only.
  'listener.security.protocol.map': string(
    'SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT',
  ),
  listeners: list(['PLAINTEXT://:9092'], any, {
    doc: 'The addresses on which the broker listens, as NAME://host:port; port 0 takes any free one.',
  }),
  'log.cleaner.backoff.ms': long(15000, atLeast(0), {
    scope: 'cluster-wide',
    doc: 'How long the compactor waits before it looks again, where no log was dirty enough.',
  }),
  'log.cleaner.dedupe.buffer.size': long(134217728, any, {
    scope: 'cluster-wide',
    doc: 'The most memory in which the compactor remembers keys: 24 bytes each.',
  }),
  'log.cleaner.delete.retention.ms': long(86400000, atLeast(0), { scope: 'cluster-wide' }),
  'log.cleaner.enable': boolean(true, { doc: 'Whether compacted topics are compacted.' }),
  'log.cleaner.io.buffer.load.factor': double(0.9, any, { scope: 'cluster-wide' }),
  'log.cleaner.io.buffer.size': int(524288, atLeast(0), { scope: 'cluster-wide' }),
  'log.cleaner.io.max.bytes.per.second': double('1.7976931348623157E308', any, {
    scope: 'cluster-wide',
    doc: 'What the compactor may read and write, together.',
  }),
  'log.cleaner.max.compaction.lag.ms': long('9223372036854775807', atLeast(1), {
    scope: 'cluster-wide',
  }),
  'log.cleaner.min.cleanable.ratio': double(0.5, between(0, 1), { scope: 'cluster-wide' }),
  'log.cleaner.min.compaction.lag.ms': long(0, atLeast(0), { scope: 'cluster-wide' }),
  'log.cleaner.threads': int(1, atLeast(0), {
    scope: 'cluster-wide',
    doc: 'One log is compacted at a time; with 0 none is.',
  }),
  'log.cleanup.policy': list(['delete'], eachOneOf('compact', 'delete'), { scope: 'cluster-wide' }),
  'log.dir': list(['/tmp/kafka-logs'], eachGiven, {
    doc: 'The directory in which partitions are stored, where log.dirs is not set.',
  }),
  'log.dirs': list(null, eachGiven, {
    doc: 'The directories in which partitions are stored, separated by commas.',
  }),
  'log.flush.interval.messages': long('9223372036854775807', atLeast(1), { scope: 'cluster-wide' }),
  'log.flush.interval.ms': long(null, atLeast(0), { scope: 'cluster-wide' }),
  'log.flush.scheduler.interval.ms': long('9223372036854775807'),
  'log.index.interval.bytes': int(4096, atLeast(0), { scope: 'cluster-wide' }),
  'log.index.size.max.bytes': int(10485760, atLeast(4), { scope: 'cluster-wide' }),
  'log.local.retention.bytes': long(-2, atLeast(-2), { scope: 'cluster-wide' }),
  'log.local.retention.ms': long(-2, atLeast(-2), { scope: 'cluster-wide' }),
  'log.message.timestamp.after.max.ms': long(3600000, atLeast(0), { scope: 'cluster-wide' }),
  'log.message.timestamp.before.max.ms': long('9223372036854775807', atLeast(0), {
    scope: 'cluster-wide',
  }),
  'log.flush.offset.checkpoint.interval.ms': int(60000, atLeast(0), {
    doc: 'How long after a log was written its recovery point moves up, above which a start after a crash reads.',
  }),
  'log.initial.task.delay.ms': long(30000, atLeast(0), {
    doc: 'How long after its start a broker looks for the first time which segments retention lets go of.',
  }),
  'log.message.timestamp.type': string('CreateTime', oneOf('CreateTime', 'LogAppendTime'), {
    scope: 'cluster-wide',
  }),
  'log.preallocate': boolean(false, { scope: 'cluster-wide' }),
  'log.retention.bytes': long(-1, any, {
    scope: 'cluster-wide',
    doc: 'Bytes of a partition that are kept; -1: all.',
  }),
  'log.retention.check.interval.ms': long(300000, atLeast(1)),
  'log.retention.hours': int(168),
  'log.retention.minutes': int(null),
  'log.retention.ms': long(null, any, {
    scope: 'cluster-wide',
    doc: 'How long records are kept, in milliseconds; below 0: for ever.',
  }),
  'log.roll.hours': int(168, atLeast(1)),
  'log.roll.jitter.hours': int(0, atLeast(0)),
  'log.roll.jitter.ms': long(null, atLeast(0), { scope: 'cluster-wide' }),
  'log.roll.ms': long(null, atLeast(1), { scope: 'cluster-wide' }),
  'log.segment.bytes': int(1073741824, atLeast(1048576), {
    scope: 'cluster-wide',
    doc: 'The size at which a segment file is closed and the next begun.',
  }),
  'log.segment.delete.delay.ms': long(60000, atLeast(0), { scope: 'cluster-wide' }),
  'max.connection.creation.rate': int(2147483647, atLeast(0), { scope: 'cluster-wide' }),
  'max.connections': int(2147483647, atLeast(0), {
    scope: 'cluster-wide',
    doc: 'The most connections the broker accepts.',
  }),
  'max.connections.per.ip': int(2147483647, atLeast(0), {
    scope: 'cluster-wide',
    doc: 'The most connections accepted from one address.',
  }),
  'max.connections.per.ip.overrides': string('', perIpOverrides, { scope: 'cluster-wide' }),
  'max.incremental.fetch.session.cache.slots': int(1000, atLeast(0)),
  'max.request.partition.size.limit': int(2000, atLeast(1)),
  'message.max.bytes': int(1048588, atLeast(0), {
    scope: 'cluster-wide',
    doc: 'The largest record batch that is accepted.',
  }),
  'metadata.log.dir': string(null),
  'metadata.log.max.record.bytes.between.snapshots': long(20971520, atLeast(1), {
    doc: 'Bytes of the metadata log after which a snapshot of the metadata is written.',
  }),
  'metadata.log.max.snapshot.interval.ms': long(3600000, atLeast(0), {
    doc: 'The longest time that a change waits to be in a snapshot; 0 is for ever.',
  }),
  'metadata.log.segment.bytes': int(1073741824, atLeast(8388608)),
  'metadata.log.segment.ms': long(604800000),
  'metadata.max.retention.bytes': long(104857600, any, {
    doc: 'Above this size the metadata log before its newest snapshots is deleted.',
  }),
  'metadata.max.retention.ms': long(604800000, any, {
    doc: 'Snapshots older than this, and the metadata log before the next one, are deleted.',
  }),
  'min.insync.replicas': int(1, atLeast(1), {
    scope: 'cluster-wide',
    doc: 'Replicas that must have a write before acks=all is answered.',
  }),
  'node.id': int(1, atLeast(0), { doc: 'The number of this node in its cluster.' }),
  'num.partitions': int(1, atLeast(1), {
    doc: 'Partitions of topics that are created without saying how many.',
  }),
  'offset.metadata.max.bytes': int(4096),
  'offsets.commit.timeout.ms': int(5000, atLeast(1)),
  'offsets.retention.check.interval.ms': long(600000, atLeast(1)),
  'offsets.retention.minutes': int(10080, atLeast(1), {
    doc: 'How long the offsets of an empty group are kept.',
  }),
  'offsets.topic.compression.codec': int(0, between(0, 4)),
  'offsets.topic.num.partitions': int(50, atLeast(1), { doc: 'Partitions of __consumer_offsets.' }),
  'offsets.topic.replication.factor': short(3, atLeast(1), {
    doc: 'Replicas of __consumer_offsets; unset, as many as there are nodes, 3 at the most.',
  }),
  'offsets.topic.segment.bytes': int(104857600, atLeast(1)),
  'process.roles': list(['broker', 'controller'], eachOneOf('broker', 'controller'), {
    doc: 'What this process is: broker and controller.',
  }),
  'producer.id.expiration.ms': int(86400000, atLeast(1), { scope: 'cluster-wide' }),
  'queued.max.request.bytes': long(-1, any, {
    doc: 'Bytes of requests that may wait to be handled; reading stops beyond it.',
  }),
  'quota.window.num': int(11, atLeast(1)),
  'quota.window.size.seconds': int(1, atLeast(1)),
  'remote.log.storage.system.enable': boolean(false),
  'request.timeout.ms': int(30000),
  'replica.high.watermark.checkpoint.interval.ms': long(5000),
  'share.coordinator.cold.partition.snapshot.interval.ms': int(300000, atLeast(1)),
  'share.coordinator.snapshot.update.records.per.snapshot': int(500, between(0, 500), {
    doc: 'Changes of the delivery state of a share partition between two snapshots of it.',
  }),
  'share.coordinator.state.topic.compression.codec': int(0, between(0, 4)),
  'share.coordinator.state.topic.min.isr': short(2, atLeast(1)),
  'share.coordinator.state.topic.num.partitions': int(50, atLeast(1), {
    doc: 'Partitions of __share_group_state.',
  }),
  'share.coordinator.state.topic.prune.interval.ms': int(300000, atLeast(1)),
  'share.coordinator.state.topic.replication.factor': short(3, atLeast(1), {
    doc: 'Replicas of __share_group_state; unset, as many as there are nodes, 3 at the most.',
  }),
  'share.coordinator.state.topic.segment.bytes': int(104857600, atLeast(1)),
  'share.coordinator.write.timeout.ms': int(5000, atLeast(1)),
  'socket.request.max.bytes': int(104857600, atLeast(1), {
    doc: 'The largest request that is accepted.',
  }),
  'super.users': string('', principals, {
    doc: 'Principals that may do everything, as User:admin;User:operator.',
  }),
  'telemetry.max.bytes': int(1048576, atLeast(1), {
    doc: 'The most bytes of metrics that a client may push at once.',
  }),
  'transaction.abort.timed.out.transaction.cleanup.interval.ms': int(10000, atLeast(1), {
    doc: 'How often transactions that take too long are looked for, to abort them.',
  }),
  'transaction.max.timeout.ms': int(900000, atLeast(1), {
    doc: 'The longest transaction timeout a producer may ask for.',
  }),
  'transaction.partition.verification.enable': boolean(true, { scope: 'cluster-wide' }),
  'transaction.remove.expired.transaction.cleanup.interval.ms': int(3600000, atLeast(1)),
  'transaction.state.log.min.isr': int(2, atLeast(1)),
  'transaction.state.log.num.partitions': int(50, atLeast(1), {
    doc: 'Partitions of __transaction_state.',
  }),
  'transaction.state.log.replication.factor': short(3, atLeast(1), {
    doc: 'Replicas of __transaction_state; unset, as many as there are nodes, 3 at the most.',
  }),
  'transaction.state.log.segment.bytes': int(104857600, atLeast(1)),
  'transaction.two.phase.commit.enable': boolean(false),
  'transactional.id.expiration.ms': int(604800000, atLeast(1), {
    doc: 'How long a transactional id that nobody uses is remembered.',
  }),
  'unclean.leader.election.enable': boolean(false, { scope: 'cluster-wide' }),

  ...groupTypeConfigs,

  // Not Kafka's.
  'connect.enable': string('auto', oneOf('auto', 'true', 'false'), {
    doc:
      'Whether the broker runs connectors, and answers Kafka Connect’s REST interface on http.listeners; ' +
      'auto: on those that only this machine can reach, since connectors read and write files.',
  }),
  'http.listeners': list(['http://127.0.0.1:8083'], any, {
    doc:
      'Where /health, /metrics and Kafka Connect answer, as http://host:port; empty: nowhere, and ' +
      'clients are then not asked to push their metrics, which would be shown there.',
  }),
  'log.level': string('info', oneOf('debug', 'info', 'warn', 'error', 'silent'), {
    doc: 'The least severe lines that are logged.',
  }),
  'table.dir': string(null, any, {
    doc: 'The directory, or s3://BUCKET/PREFIX, below which the tables of topics lie (table.enable of a topic); an object store is asked as AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID, … of the process say; unset: beside the first of log.dirs, with -tables behind its name.',
  }),
  'table.location.anywhere': boolean(false, {
    doc: 'Whether table.location of a topic may lie outside table.dir: whoever may alter topics then says where the broker writes files.',
  }),
} as const

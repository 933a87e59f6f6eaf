/**
 * Settings of the connectors that mirror one cluster to another: names and defaults are MirrorMaker 2's, so that its
 * configurations work as they are. Classes of Java that a setting may name are not to be had here; each such setting
 * knows those that have a counterpart.
 *
 * What lives in this folder: the three connectors (`mirror-source.ts`, `mirror-checkpoint.ts`, `mirror-heartbeat.ts`),
 * their tasks, the formats of what they write (`mirror-records.ts`), and how names (`replication-policy.ts`) and offsets
 * (`offset-syncs.ts`) of one cluster become those of the other. What must not: anything that knows one of the two
 * clusters is ours.
 *
 *     source cluster                                            target cluster
 *     orders  --------------- MirrorSource -------------------> source.orders
 *     mm2-offset-syncs.target.internal <-- where both are equal --'
 *     offsets of groups ------ MirrorCheckpoint --------------> source.checkpoints.internal, offsets of groups
 *                              MirrorHeartbeat ---------------> heartbeats
 */
import {
  boolean,
  type Check,
  int,
  list,
  long,
  oneOf,
  short,
  string,
} from '../../config/definition.ts'
import { key, required } from '../config-def.ts'
import { nameOfClass } from '../converters/known-converters.ts'
import { patternOf } from './filters.ts'

const prefix = 'org.apache.kafka.connect.mirror'

export const policyClasses = [
  `${prefix}.DefaultReplicationPolicy`,
  `${prefix}.IdentityReplicationPolicy`,
] as const

/** A class of Java that has a counterpart here: the first of these, unless it is said. */
function counterpart(...known: readonly string[]) {
  return string(known[0] ?? '', {
    allowed: known.join(', '),
    check: (name) => {
      if (nameOfClass(known, name, '') === undefined)
        throw new Error(`Class ${name} has no counterpart here: known are ${known.join(', ')}`)
    },
  })
}

/** Names, and expressions for whole names. */
const patterns: Check<readonly string[]> = {
  allowed: 'names and regular expressions, separated by commas',
  check: (texts) => {
    patternOf(texts)
  },
}

const enabled = (documentation: string, preset = true) => key(boolean(preset), 'LOW', documentation)
const seconds = (preset: number, documentation: string) => key(long(preset), 'LOW', documentation)

export const commonKeys = {
  enabled: enabled('Whether anything is mirrored.'),
  'source.cluster.alias': required(string(null), 'HIGH', 'The name of the source cluster.'),
  'target.cluster.alias': key(string('target'), 'HIGH', 'The name of the target cluster.'),
  'source.cluster.bootstrap.servers': key(
    list([]),
    'HIGH',
    'Brokers of the source cluster. Other settings of clients behind source.cluster., source.consumer. and the like.',
  ),
  'target.cluster.bootstrap.servers': key(
    list([]),
    'HIGH',
    'Brokers of the target cluster, which is the one that the worker writes to.',
  ),
  'admin.timeout.ms': key(long(60_000), 'LOW', 'Milliseconds for what an administrator would do.'),
  'replication.policy.class': key(
    counterpart(...policyClasses),
    'LOW',
    'How topics are called in the target cluster: DefaultReplicationPolicy puts the alias in front, IdentityReplicationPolicy leaves them.',
  ),
  'replication.policy.separator': key(
    string('.'),
    'LOW',
    'What stands between the alias and the name of a topic.',
  ),
  'replication.policy.internal.topic.separator.enabled': enabled(
    'Whether the separator is used in the names of internal topics too.',
  ),
  'forwarding.admin.class': key(
    counterpart('org.apache.kafka.clients.admin.ForwardingAdmin'),
    'LOW',
    'Whoever administrates topics of the target cluster.',
  ),
}

const topicKeys = {
  topics: key(list(['.*'], patterns), 'HIGH', 'Topics to mirror: names and regular expressions.'),
  'topics.exclude': key(
    list(['mm2.*\\.internal', '.*\\.replica', '__.*'], patterns),
    'HIGH',
    'Topics that are left out, whatever else says otherwise.',
  ),
  'topic.filter.class': key(
    counterpart(`${prefix}.DefaultTopicFilter`),
    'LOW',
    'Selects the topics.',
  ),
}

const offsetSyncKeys = {
  'consumer.poll.timeout.ms': key(long(1000), 'LOW', 'How long one look for records waits.'),
  'offset-syncs.topic.location': key(
    string('source', oneOf('source', 'target')),
    'LOW',
    'The cluster in which it is kept which offsets of the two belong together.',
  ),
  'emit.offset-syncs.enabled': enabled('Whether that is kept.'),
}

export const sourceKeys = {
  ...commonKeys,
  ...topicKeys,
  ...offsetSyncKeys,
  'config.properties.exclude': key(
    list(
      [
        'follower.replication.throttled.replicas',
        'leader.replication.throttled.replicas',
        'message.timestamp.difference.max.ms',
        'log.message.timestamp.before.max.ms',
        'log.message.timestamp.after.max.ms',
        'message.timestamp.type',
        'unclean.leader.election.enable',
        'min.insync.replicas',
      ],
      patterns,
    ),
    'HIGH',
    'Settings of topics that are not carried over.',
  ),
  'config.property.filter.class': key(
    counterpart(`${prefix}.DefaultConfigPropertyFilter`),
    'LOW',
    'Selects the settings of topics.',
  ),
  'use.defaults.from': key(
    string('target', oneOf('source', 'target')),
    'MEDIUM',
    'Whose defaults count for what is not set for a topic.',
  ),
  'refresh.topics.enabled': enabled('Whether new topics and partitions are looked for.'),
  'refresh.topics.interval.seconds': seconds(600, 'How often.'),
  'sync.topic.configs.enabled': enabled('Whether settings of topics are carried over.'),
  'sync.topic.configs.interval.seconds': seconds(600, 'How often.'),
  'sync.topic.acls.enabled': enabled('Whether access control entries of topics are carried over.'),
  'sync.topic.acls.interval.seconds': seconds(600, 'How often.'),
  'replication.factor': key(int(2), 'LOW', 'Of topics that are created.'),
  'offset-syncs.topic.replication.factor': key(short(3), 'LOW', 'Of the topic of offsets.'),
  'offset.lag.max': key(
    long(100),
    'LOW',
    'Records that may pass before it is written anew which offsets belong together.',
  ),
  'heartbeats.replication.enabled': enabled(
    'Whether heartbeats are mirrored, whatever topics says.',
  ),
}

export const checkpointKeys = {
  ...commonKeys,
  ...topicKeys,
  ...offsetSyncKeys,
  groups: key(list(['.*'], patterns), 'HIGH', 'Groups whose offsets are carried over.'),
  'groups.exclude': key(
    list(['console-consumer-.*', 'connect-.*', '__.*'], patterns),
    'HIGH',
    'Groups that are left out, whatever else says otherwise.',
  ),
  'group.filter.class': key(
    counterpart(`${prefix}.DefaultGroupFilter`),
    'LOW',
    'Selects the groups.',
  ),
  'refresh.groups.enabled': enabled('Whether new groups are looked for.'),
  'refresh.groups.interval.seconds': seconds(600, 'How often.'),
  'emit.checkpoints.enabled': enabled('Whether it is written how far groups are.'),
  'emit.checkpoints.interval.seconds': seconds(60, 'How often.'),
  'sync.group.offsets.enabled': enabled(
    'Whether groups of the target cluster that have no members are moved as far.',
    false,
  ),
  'sync.group.offsets.interval.seconds': seconds(60, 'How often.'),
  'checkpoints.topic.replication.factor': key(short(3), 'LOW', 'Of the topic of checkpoints.'),
}

export const heartbeatKeys = {
  ...commonKeys,
  'emit.heartbeats.enabled': enabled('Whether heartbeats are written.'),
  'emit.heartbeats.interval.seconds': seconds(1, 'How often.'),
  'heartbeats.topic.replication.factor': key(short(3), 'LOW', 'Of the topic of heartbeats.'),
}

/** Records stay the bytes that they are, whatever converters the worker has. */
export const presets: ReadonlyMap<string, string> = new Map(
  ['key', 'value', 'header'].map((part) => [
    `${part}.converter`,
    'org.apache.kafka.connect.converters.ByteArrayConverter',
  ]),
)

/**
 * Settings of the connector runtime: Kafka Connect's worker settings, with its names and defaults. A
 * broker, which runs a worker within it, has them behind `connect.`: `connect.offset.flush.interval.ms`.
 * Options of converters, of config providers and of the clients that connectors have follow their names:
 * `connect.value.converter.schemas.enable`, `connect.consumer.session.timeout.ms`.
 */
import {
  atLeast,
  boolean,
  className,
  type Definition,
  int,
  list,
  long,
  matching,
  oneOf,
  short,
  string,
  type ValueOf,
} from './definition.ts'

const topicName = matching(/^[a-zA-Z0-9._-]{1,249}$/, 'a topic name')
/** Kafka asks for three replicas; within a broker it is whatever the broker gives its topics. */
const replicas = () => short(-1, { ...atLeast(-1), allowed: 'positive number, or -1' })

export const connectConfigs = {
  'key.converter': className('org.apache.kafka.connect.json.JsonConverter'),
  'value.converter': className('org.apache.kafka.connect.json.JsonConverter'),
  'header.converter': className('org.apache.kafka.connect.storage.SimpleHeaderConverter'),
  'config.storage.topic': string('connect-configs', topicName),
  'config.storage.replication.factor': replicas(),
  'offset.storage.topic': string('connect-offsets', topicName),
  'offset.storage.partitions': int(25, atLeast(1)),
  'offset.storage.replication.factor': replicas(),
  'status.storage.topic': string('connect-status', topicName),
  'status.storage.partitions': int(5, atLeast(1)),
  'status.storage.replication.factor': replicas(),
  'exactly.once.source.support': string('disabled', oneOf('disabled', 'preparing', 'enabled')),
  'offset.flush.interval.ms': long(60_000, atLeast(1)),
  'offset.flush.timeout.ms': long(5_000, atLeast(0)),
  'task.shutdown.graceful.timeout.ms': long(5_000, atLeast(0)),
  'plugin.path': list(null),
  // Ours. A thread takes some 25 MB: beyond so many, connectors share them; 0: all share the worker's own.
  'connector.threads.max': int(8, atLeast(0)),
  // As long as a consumer's session: a thread that does not answer has lost its partitions by then.
  'connector.thread.timeout.ms': int(45_000, atLeast(1_000)),
  // Of objects and buffers; a thread with more of them leaks.
  'connector.thread.memory.max.bytes': long(1024 ** 3, atLeast(32 * 1024 ** 2)),
  'topic.creation.enable': boolean(true),
  'topic.tracking.enable': boolean(true),
  'topic.tracking.allow.reset': boolean(true),
  'rest.advertised.host.name': string(null),
  'rest.advertised.port': int(null),
}

export type ConnectConfigName = keyof typeof connectConfigs
export type ConnectConfig = {
  readonly [Name in ConnectConfigName]: ValueOf<(typeof connectConfigs)[Name]>
}

export const connectPrefix = 'connect.'

const open =
  /^connect\.((key|value|header)\.converter\.|(consumer|producer|admin)\.|config\.providers(\.|$))/

/** The definition of a setting that begins with `connect.`; undefined: nobody knows it. */
export function connectConfig(name: string): Definition | undefined {
  if (!name.startsWith(connectPrefix)) return undefined
  const own = name.slice(connectPrefix.length)
  if (Object.hasOwn(connectConfigs, own)) return connectConfigs[own as ConnectConfigName]
  return open.test(name) ? string(null) : undefined
}

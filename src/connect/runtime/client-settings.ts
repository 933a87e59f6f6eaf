/** Settings of Kafka's clients, as `consumer.override.…` and `producer.override.…` give them, for ours. */
import type { ClusterOptions } from '../../client/cluster.ts'
import type { ConsumerOptions } from '../../client/consumer.ts'
import type { ProducerOptions } from '../../client/producer.ts'
import { readSecurity, securityConfigs } from '../../client/security.ts'
import {
  atLeast,
  boolean,
  type Definition,
  type Definitions,
  int,
  long,
  oneOf,
  parseSetting,
  string,
} from '../../config/definition.ts'
import { type ConfigKey, key, type Settings } from '../config-def.ts'
import type { Worker } from './worker.ts'

const consumerSettings = {
  'group.id': string(null),
  'auto.offset.reset': string('earliest', oneOf('earliest', 'latest', 'none')),
  'max.poll.records': int(500, atLeast(1)),
  'max.poll.interval.ms': int(300_000, atLeast(1)),
  'session.timeout.ms': int(45_000, atLeast(1)),
  'heartbeat.interval.ms': int(3_000, atLeast(1)),
  'fetch.min.bytes': int(1, atLeast(0)),
  'fetch.max.wait.ms': int(500, atLeast(0)),
  'fetch.max.bytes': int(16 * 1024 * 1024, atLeast(1)),
  'max.partition.fetch.bytes': int(1024 * 1024, atLeast(1)),
  'isolation.level': string('read_uncommitted', oneOf('read_uncommitted', 'read_committed')),
}

const compressions = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const

const producerSettings = {
  acks: string('all', oneOf('all', '-1', '0', '1')),
  'linger.ms': long(5, atLeast(0)),
  'batch.size': int(128 * 1024, atLeast(1)),
  'buffer.memory': long(32 * 1024 * 1024, atLeast(1)),
  'compression.type': string('none', oneOf(...compressions)),
  'enable.idempotence': boolean(true),
  'delivery.timeout.ms': int(120_000, atLeast(1)),
  'transaction.timeout.ms': int(null, atLeast(1)),
}

export interface ConsumerSettings {
  readonly options: ConsumerOptions & { readonly groupId: string }
  readonly recordsMax: number
}

/** `ofWorker`: its settings, which count where the connector says nothing. Throws ConfigError. */
export function sinkConsumerSettings(
  settings: Settings,
  connector: string,
  ofWorker: Settings,
): ConsumerSettings {
  const get = reader(consumerSettings, { settings, ofWorker, client: 'consumer' })
  const groupId = get('group.id') ?? groupOf(connector)
  return {
    recordsMax: get('max.poll.records'),
    options: {
      groupId,
      autoCommitIntervalMs: null,
      autoOffsetReset: get('auto.offset.reset') as 'earliest',
      maxPollIntervalMs: get('max.poll.interval.ms'),
      sessionTimeoutMs: get('session.timeout.ms'),
      heartbeatIntervalMs: get('heartbeat.interval.ms'),
      fetchMinBytes: get('fetch.min.bytes'),
      fetchMaxWaitMs: get('fetch.max.wait.ms'),
      fetchMaxBytes: get('fetch.max.bytes'),
      partitionMaxBytes: get('max.partition.fetch.bytes'),
      isolation: get('isolation.level') as 'read_committed',
    },
  }
}

/** How the clients of its tasks are called; the task's number follows. */
export function sinkClientId(connector: string): string {
  return `connector-consumer-${connector}-`
}

/** The group of a sink's tasks. */
function groupOf(connector: string): string {
  return `connect-${connector}`
}

/** As `sinkConsumerSettings`. Throws ConfigError. */
export function producerOptions(settings: Settings, ofWorker: Settings): ProducerOptions {
  const get = reader(producerSettings, { settings, ofWorker, client: 'producer' })
  const acks = get('acks')
  return {
    acks: acks === '0' ? 0 : acks === '1' ? 1 : -1,
    lingerMs: get('linger.ms'),
    batchBytes: get('batch.size'),
    bufferBytes: get('buffer.memory'),
    compression: get('compression.type') as (typeof compressions)[number],
    idempotence: get('enable.idempotence') && acks !== '0' && acks !== '1',
    deliveryTimeoutMs: get('delivery.timeout.ms'),
  }
}

/** Of a source's transactions; null: nobody has said. Throws ConfigError. */
export function transactionTimeoutMs(settings: Settings, ofWorker: Settings): number | null {
  const get = reader(producerSettings, { settings, ofWorker, client: 'producer' })
  return get('transaction.timeout.ms')
}

/** How the worker itself reaches its cluster. Throws ConfigError. */
export function workerReach(worker: Worker): Pick<ClusterOptions, 'bootstrap' | 'security'> {
  const { bootstrap, settings, environment } = worker
  return { bootstrap, security: readSecurity(settings, environment.disk) }
}

/**
 * How a client of a task does: as the worker, but for what the worker has for such clients, and the connector for its
 * own. In Kafka such clients take nothing from the worker itself. Throws ConfigError.
 */
export function taskReach(
  worker: Worker,
  client: Given['client'],
  settings: Settings,
): Pick<ClusterOptions, 'bootstrap' | 'security'> {
  const found = new Map<string, string>()
  for (const name of Object.keys(securityConfigs)) {
    const text =
      settings.get(`${client}.override.${name}`) ??
      worker.settings.get(`${client}.${name}`) ??
      worker.settings.get(name)
    if (text !== undefined) found.set(name, text)
  }
  const security = readSecurity(found, worker.environment.disk)
  return { bootstrap: worker.bootstrap, security }
}

type ValueIn<Table, Name extends keyof Table> = Table[Name] extends Definition<infer T> ? T : never

interface Given {
  readonly settings: Settings
  readonly ofWorker: Settings
  readonly client: 'consumer' | 'producer'
}

function reader<const Table extends Definitions>(table: Table, given: Given) {
  const { settings, ofWorker, client } = given
  return <Name extends keyof Table & string>(name: Name): ValueIn<Table, Name> => {
    const definition = table[name] as unknown as Definition
    const own = `${client}.override.${name}`
    // A group is a connector's own.
    const common = name === 'group.id' ? undefined : ofWorker.get(`${client}.${name}`)
    const text = settings.get(own) ?? common ?? definition.defaultText
    return (text === null ? null : parseSetting(own, definition, text)) as ValueIn<Table, Name>
  }
}

/** The rows of the client settings that a connector gives: they are looked at as its other settings. */
export function overrideKeys(settings: Settings): Map<string, ConfigKey> {
  const keys = new Map<string, ConfigKey>()
  const tables: readonly (readonly [string, Definitions])[] = [
    ['consumer.override.', { ...consumerSettings, ...securityConfigs }],
    ['producer.override.', { ...producerSettings, ...securityConfigs }],
  ]
  for (const [prefix, table] of tables)
    for (const [name, definition] of Object.entries(table))
      if (settings.has(`${prefix}${name}`))
        keys.set(`${prefix}${name}`, key(definition as Definition, 'LOW', `The client’s ${name}.`))
  return keys
}

/**
 * Settings of a Kafka Connect worker that is a process of its own: `worker.properties`, with Kafka's names
 * and defaults. What a worker within a broker has too is in `connect-configs.ts`.
 */
import { type ConnectConfig, connectConfigs } from './connect-configs.ts'
import {
  atLeast,
  between,
  ConfigError,
  type Definition,
  int,
  list,
  nearestName,
  oneOf,
  parseSetting,
  string,
  type ValueOf,
} from './definition.ts'

export type WorkerMode = 'standalone' | 'distributed'

/** What Kafka asks three replicas for. */
const replicationFactors = [
  'config.storage.replication.factor',
  'offset.storage.replication.factor',
  'status.storage.replication.factor',
]

const ownConfigs = {
  'bootstrap.servers': list(null),
  listeners: list(['http://:8083']),
  'log.level': string('info', oneOf('debug', 'info', 'warn', 'error', 'silent')),
  'offset.storage.file.filename': string(null),
  'group.id': string(null),
  'session.timeout.ms': int(10_000, atLeast(1)),
  'heartbeat.interval.ms': int(3_000, atLeast(1)),
  'rebalance.timeout.ms': int(60_000, atLeast(1)),
  'scheduled.rebalance.max.delay.ms': int(300_000, between(0, 0x7fffffff)),
  'connect.protocol': string('sessioned', oneOf('eager', 'compatible', 'sessioned')),
  'inter.worker.key.ttl.ms': int(3_600_000, between(0, 0x7fffffff)),
  'worker.sync.timeout.ms': int(3_000, atLeast(0)),
}

const required: Readonly<Record<WorkerMode, readonly string[]>> = {
  standalone: ['bootstrap.servers', 'offset.storage.file.filename'],
  distributed: [
    'bootstrap.servers',
    'group.id',
    'config.storage.topic',
    'offset.storage.topic',
    'status.storage.topic',
  ],
}

type Own = { readonly [Name in keyof typeof ownConfigs]: ValueOf<(typeof ownConfigs)[Name]> }
export type WorkerConfig = ConnectConfig & Own

const workerConfigs: Readonly<Record<string, Definition>> = { ...connectConfigs, ...ownConfigs }

/** Those that are passed on, to clients, converters, providers and plug-ins. */
const open =
  /^(key|value|header)\.converter\.|^(consumer|producer|admin|security|sasl|ssl)\.|^(config|offset|status)\.storage\.|^config\.providers(\.|$)/

/** Throws ConfigError for what is missing and for what is not valid. */
export function parseWorkerConfig(
  mode: WorkerMode,
  settings: ReadonlyMap<string, string>,
): WorkerConfig {
  for (const name of required[mode])
    if ((settings.get(name)?.trim() ?? '') === '')
      throw new ConfigError(
        name,
        `Missing required configuration "${name}" which has no default value.`,
      )
  const parsed = Object.entries(workerConfigs).map(([name, definition]) => {
    const preset = replicationFactors.includes(name) ? '3' : definition.defaultText
    const text = settings.get(name) ?? preset
    return [name, text === null ? null : parseSetting<unknown>(name, definition, text)]
  })
  return Object.fromEntries(parsed) as WorkerConfig
}

/** Names that have no effect, with the known one that may have been meant. */
export function withoutEffect(
  settings: ReadonlyMap<string, string>,
): { name: string; meant: string | undefined }[] {
  return [...settings.keys()]
    .filter((name) => !(name in workerConfigs) && !open.test(name))
    .map((name) => ({ name, meant: nearestName(name, Object.keys(workerConfigs)) }))
}

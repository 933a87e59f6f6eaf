/** What all tasks and connectors of a worker share: its world, its plug-ins and its settings. */
import { type ConnectConfig, connectConfigs } from '../../config/connect-configs.ts'
import { parseSetting } from '../../config/definition.ts'
import type { Environment } from '../../environment/environment.ts'
import type { Endpoint } from '../../environment/network.ts'
import type { Settings } from '../config-def.ts'
import type { ConfigProviders } from '../config-providers.ts'
import type { ConverterFactory } from '../converters/converter.ts'
import type { Plugins } from '../plugins.ts'
import type { ConnectorThreads } from '../threads/connector-threads.ts'

export interface Worker {
  readonly environment: Environment
  readonly plugins: Plugins
  readonly bootstrap: readonly Endpoint[]
  /** As they were given: converters find their options here. */
  readonly settings: Settings
  readonly config: ConnectConfig
  /** Who knows what references in settings stand for. */
  readonly providers: ConfigProviders
  /** Beside those that every worker has, by their classes' names. */
  readonly converters?: ReadonlyMap<string, ConverterFactory>
  /** Transactional ids of sources begin with it (KIP-618). Null: sources write at least once. */
  readonly exactlyOnceGroup: string | null
  /** In which connectors run; without them they run where the worker does. */
  readonly threads?: ConnectorThreads
  /** `host:port` of its REST interface, as statuses tell it. */
  readonly workerId: string
}

/** Throws ConfigError for a value that is not valid; other settings are left alone. */
export function parseConnectConfig(settings: Settings): ConnectConfig {
  const parsed = Object.entries(connectConfigs).map(([name, definition]) => {
    const text = settings.get(name) ?? definition.defaultText
    return [name, text === null ? null : parseSetting<unknown>(name, definition, text)]
  })
  return Object.fromEntries(parsed) as ConnectConfig
}

/** What `Worker.exactlyOnceGroup` is for workers of this group. */
export function exactlyOnceGroup(config: ConnectConfig, groupId: string): string | null {
  return config['exactly.once.source.support'] === 'enabled' ? groupId : null
}

/**
 * The effective settings of one broker. Each has up to four values, most specific first: set for this
 * broker at run time, set for all brokers at run time, set at start, default (KIP-226).
 */
import { acceptedConfigs } from './accepted-configs.ts'
import { brokerConfigs } from './broker-configs.ts'
import {
  atLeast,
  ConfigError,
  type Definition,
  type Definitions,
  int,
  long,
  parseSetting,
  type ValueOf,
} from './definition.ts'

/** Where a value comes from, by its number on the wire. */
export const configSource = {
  DYNAMIC_TOPIC_CONFIG: 1,
  DYNAMIC_BROKER_CONFIG: 2,
  DYNAMIC_DEFAULT_BROKER_CONFIG: 3,
  STATIC_BROKER_CONFIG: 4,
  DEFAULT_CONFIG: 5,
  DYNAMIC_BROKER_LOGGER_CONFIG: 6,
  DYNAMIC_CLIENT_METRICS_CONFIG: 7,
  DYNAMIC_GROUP_CONFIG: 8,
} as const
export type ConfigSource = (typeof configSource)[keyof typeof configSource]

export interface ConfigSynonym {
  readonly name: string
  readonly text: string | null
  readonly source: ConfigSource
}

/** Every broker setting that Kafka or we know; without a prototype, so that `constructor` is none. */
export const allBrokerConfigs: Definitions = Object.assign(
  Object.create(null),
  acceptedConfigs,
  brokerConfigs,
)

/** Told of a broker only where they are set, as in Kafka. */
const internalNames: ReadonlySet<string> = new Set(['log.initial.task.delay.ms'])

/** The names and definitions of all settings that a broker with these is described by. */
export function toldBrokerConfigs(config: BrokerConfig): [name: string, Definition][] {
  return Object.entries(allBrokerConfigs).filter(
    ([name]) => !internalNames.has(name) || config.isSet(name),
  )
}

const bytesPerSecond = long('9223372036854775807', atLeast(0), { scope: 'cluster-wide' })

/** Rates that can be set at run time only; until then Kafka does not know of them. */
const dynamicOnlyConfigs = {
  'follower.replication.throttled.rate': bytesPerSecond,
  'leader.replication.throttled.rate': bytesPerSecond,
  'replica.alter.log.dirs.io.max.bytes.per.second': bytesPerSecond,
}

/** The definition of a setting that is in no table, but may be set at run time; undefined: nobody knows it. */
export const dynamicConfig = (name: string): Definition | undefined =>
  Object.hasOwn(dynamicOnlyConfigs, name)
    ? dynamicOnlyConfigs[name as keyof typeof dynamicOnlyConfigs]
    : listenerConfig(name)

const listenerPrefix = 'listener.name.'

/** Settings that a listener may have of its own, whatever the broker has. */
const listenerConfigs = {
  'max.connection.creation.rate': int(2147483647, atLeast(1), { scope: 'cluster-wide' }),
  'max.connections': int(2147483647, atLeast(1), { scope: 'cluster-wide' }),
}
type ListenerConfigName = keyof typeof listenerConfigs

/** The definition of a listener's own setting, as `listener.name.internal.max.connections`. */
export function listenerConfig(name: string): Definition | undefined {
  if (!name.startsWith(listenerPrefix)) return undefined
  const [, own] = /^[^.]+\.(.+)$/.exec(name.slice(listenerPrefix.length)) ?? []
  return own !== undefined && Object.hasOwn(listenerConfigs, own)
    ? listenerConfigs[own as ListenerConfigName]
    : undefined
}

export type BrokerConfigName = keyof typeof brokerConfigs

/** What was set at run time, by name: for one broker, and for all of them. */
export interface DynamicTexts {
  readonly perBroker: ReadonlyMap<string, string>
  readonly clusterDefault: ReadonlyMap<string, string>
}

/** `broker.id` is the old name of `node.id`: whichever is given, the other follows it, as in Kafka. */
function withSynonyms(texts: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const [nodeId, brokerId] = [texts.get('node.id'), texts.get('broker.id')]
  if (nodeId === undefined && brokerId !== undefined)
    return new Map([...texts, ['node.id', brokerId]])
  if (brokerId === undefined && nodeId !== undefined)
    return new Map([...texts, ['broker.id', nodeId]])
  return texts
}

export class BrokerConfig {
  readonly #static: ReadonlyMap<string, string>
  #perBroker: ReadonlyMap<string, string> = new Map()
  #clusterDefault: ReadonlyMap<string, string> = new Map()
  readonly #parsed = new Map<string, unknown>()
  readonly #derived = new Map<string, unknown>()

  /** `texts`: the settings given at start. Throws ConfigError for a value that is not valid. */
  constructor(texts: ReadonlyMap<string, string>) {
    this.#static = withSynonyms(texts)
    for (const [name, text] of texts) {
      const definition = allBrokerConfigs[name]
      if (definition !== undefined) parseSetting(name, definition, text)
    }
  }

  /** The value in force. */
  get<Name extends BrokerConfigName>(name: Name): ValueOf<(typeof brokerConfigs)[Name]> {
    if (!this.#parsed.has(name)) {
      const text = this.text(name)
      const definition: Definition = brokerConfigs[name]
      this.#parsed.set(name, text === null ? null : parseSetting(name, definition, text))
    }
    return this.#parsed.get(name) as ValueOf<(typeof brokerConfigs)[Name]>
  }

  /** The text of the value in force; null: it has none. */
  text(name: string): string | null {
    return (
      this.#perBroker.get(name) ??
      this.#clusterDefault.get(name) ??
      this.#static.get(name) ??
      allBrokerConfigs[name]?.defaultText ??
      null
    )
  }

  /** What `derive` makes of the settings; kept, under `what`, until they change. */
  derived<Made>(what: string, derive: () => Made): Made {
    if (!this.#derived.has(what)) this.#derived.set(what, derive())
    return this.#derived.get(what) as Made
  }

  /**
   * What was set for one listener (`listener.name.internal.max.connections`); undefined: nothing was, or
   * what was is not valid.
   */
  ofListener(listener: string, name: ListenerConfigName): number | undefined {
    const text = this.text(`${listenerPrefix}${listener.toLowerCase()}.${name}`)
    if (text === null) return undefined
    try {
      return parseSetting(name, listenerConfigs[name], text)
    } catch (error) {
      if (error instanceof ConfigError) return undefined
      throw error
    }
  }

  /** Bytes per second that moves between log directories may read; unlimited where nobody said. */
  get moveBytesPerSecondMax(): number {
    const text = this.text('replica.alter.log.dirs.io.max.bytes.per.second')
    return text === null || !/^\d+$/.test(text) ? Number.MAX_VALUE : Number(text)
  }

  /** What was set at run time and is in force. */
  get dynamic(): DynamicTexts {
    return { perBroker: this.#perBroker, clusterDefault: this.#clusterDefault }
  }

  /** The same settings at start, with these set at run time: what a change would make of them. */
  with({ perBroker, clusterDefault }: DynamicTexts): BrokerConfig {
    const config = new BrokerConfig(this.#static)
    config.setDynamic(perBroker, clusterDefault)
    return config
  }

  /** Whether the setting was given, at start or later. */
  isSet(name: string): boolean {
    return this.#perBroker.has(name) || this.#clusterDefault.has(name) || this.#static.has(name)
  }

  /** All values of a setting, the one in force first, the default last. */
  synonyms(name: string): ConfigSynonym[] {
    const found: ConfigSynonym[] = []
    const add = (text: string | null | undefined, source: ConfigSource) => {
      if (text !== undefined) found.push({ name, text, source })
    }
    add(this.#perBroker.get(name), configSource.DYNAMIC_BROKER_CONFIG)
    add(this.#clusterDefault.get(name), configSource.DYNAMIC_DEFAULT_BROKER_CONFIG)
    add(this.#static.get(name), configSource.STATIC_BROKER_CONFIG)
    add(allBrokerConfigs[name]?.defaultText, configSource.DEFAULT_CONFIG)
    return found
  }

  /** Replaces what was set at run time; every `get` after it answers accordingly. */
  setDynamic(
    perBroker: ReadonlyMap<string, string>,
    clusterDefault: ReadonlyMap<string, string>,
  ): void {
    this.#perBroker = perBroker
    this.#clusterDefault = clusterDefault
    this.#parsed.clear()
    this.#derived.clear()
  }
}

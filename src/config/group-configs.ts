/**
 * The settings of a group (KIP-1115 and others), checked when they are altered, stored as metadata; and
 * what is in force in a group: its own value within the broker's bounds, else the broker's.
 */
import type { BrokerConfig } from './broker-config.ts'
import {
  atLeast,
  boolean,
  ConfigError,
  type Definition,
  int,
  matching,
  oneOf,
  parseSetting,
  string,
  type ValueOf,
} from './definition.ts'
import { parseDuration } from './duration.ts'

export const groupConfigs = {
  'consumer.assignment.interval.ms': int(1000, atLeast(0)),
  'consumer.heartbeat.interval.ms': int(5000, atLeast(1)),
  'consumer.session.timeout.ms': int(45000, atLeast(1)),
  'share.assignment.interval.ms': int(1000, atLeast(0)),
  'share.auto.offset.reset': string(
    'latest',
    matching(
      /^(latest|earliest|by_duration:P.+)$/i,
      '[latest, earliest, by_duration:PnDTnHnMn.nS]',
    ),
  ),
  'share.delivery.count.limit': int(5, atLeast(2)),
  'share.heartbeat.interval.ms': int(5000, atLeast(1)),
  'share.isolation.level': string('read_uncommitted', oneOf('read_committed', 'read_uncommitted')),
  'share.partition.max.record.locks': int(2000, atLeast(100)),
  'share.record.lock.duration.ms': int(30000, atLeast(1000)),
  'share.renew.acknowledge.enable': boolean(true),
  'share.session.timeout.ms': int(45000, atLeast(1)),
  'streams.assignment.interval.ms': int(1000, atLeast(0)),
  'streams.heartbeat.interval.ms': int(5000, atLeast(1)),
  'streams.initial.rebalance.delay.ms': int(3000, atLeast(0)),
  'streams.num.standby.replicas': int(0, atLeast(0)),
  'streams.session.timeout.ms': int(45000, atLeast(1)),
} as const

export type GroupConfigName = keyof typeof groupConfigs
export type GroupConfigValue<Name extends GroupConfigName> = ValueOf<(typeof groupConfigs)[Name]>

/**
 * The value in force in a group with these overrides. One that was set is kept within the broker's
 * bounds, which may have been moved since: `consumer.session.timeout.ms` is no less than
 * `group.consumer.min.session.timeout.ms` and no more than `group.consumer.max.session.timeout.ms`.
 */
export function groupSetting<Name extends GroupConfigName>(
  name: Name,
  overrides: ReadonlyMap<string, string>,
  broker: BrokerConfig,
): GroupConfigValue<Name> {
  const definition: Definition = groupConfigs[name]
  const own = overrides.get(name)
  const text = own ?? broker.text(`group.${name}`) ?? definition.defaultText ?? ''
  const value = parseSetting(name, definition, text)
  if (own === undefined || typeof value !== 'number') return value as GroupConfigValue<Name>
  const { min, max } = boundsOf(name, broker)
  return Math.min(max.value, Math.max(min.value, value)) as GroupConfigValue<Name>
}

interface Bound {
  /** Of the broker's setting. */
  readonly name: string
  /** Infinite where the broker has no such setting. */
  readonly value: number
}

function boundsOf(
  name: string,
  broker: BrokerConfig,
): { readonly min: Bound; readonly max: Bound } {
  const [type, ...rest] = name.split('.')
  const bound = (which: string, without: number): Bound => {
    const brokerName = `group.${type}.${which}.${boundName(rest.join('.'))}`
    return { name: brokerName, value: Number(broker.text(brokerName) ?? without) }
  }
  return {
    min: bound('min', Number.NEGATIVE_INFINITY),
    max: bound('max', Number.POSITIVE_INFINITY),
  }
}

/**
 * Checks what a group is to have set for itself, together: within the broker's bounds, and sessions
 * longer than heartbeats. Each value is valid by itself. Throws ConfigError.
 */
export function checkGroupSettings(
  overrides: ReadonlyMap<string, string>,
  broker: BrokerConfig,
): void {
  for (const [name, text] of overrides) {
    const { min, max } = boundsOf(name, broker)
    if (Number(text) < min.value) {
      throw new ConfigError(name, `${name} must be greater than or equal to ${min.name}`)
    }
    if (Number(text) > max.value) {
      throw new ConfigError(name, `${name} must be less than or equal to ${max.name}`)
    }
  }
  // Not by the definition: one that was let through once would be refused each time it is read.
  const reset = overrides.get('share.auto.offset.reset') ?? ''
  const [, duration] = /^by_duration:(.*)$/i.exec(reset) ?? []
  if (duration !== undefined && parseDuration(duration) === null) {
    throw new ConfigError(
      'share.auto.offset.reset',
      `Invalid value ${reset} for configuration share.auto.offset.reset: ` +
        'expected by_duration: with a duration that is not negative, as by_duration:PT5H',
    )
  }
  for (const type of ['consumer', 'share', 'streams'] as const) {
    const session = `${type}.session.timeout.ms` as const
    const heartbeat = `${type}.heartbeat.interval.ms` as const
    if (groupSetting(session, overrides, broker) > groupSetting(heartbeat, overrides, broker))
      continue
    throw new ConfigError(session, `${session} must be greater than ${heartbeat}`)
  }
}

/** Streams' standby replicas are bounded under another name. */
function boundName(name: string): string {
  return name === 'num.standby.replicas' ? 'standby.replicas' : name
}

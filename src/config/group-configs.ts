/**
 * The settings of a group (KIP-1115 and others), checked when they are altered, stored as metadata; and
 * what is in force in a group: its own value within the broker's bounds, else the broker's.
 */
import type { BrokerConfig } from './broker-config.ts'
import {
  atLeast,
  boolean,
  type Definition,
  int,
  matching,
  oneOf,
  parseSetting,
  string,
  type ValueOf,
} from './definition.ts'

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
  const [type, ...rest] = name.split('.')
  const bound = (which: string, without: number) =>
    Number(broker.text(`group.${type}.${which}.${boundName(rest.join('.'))}`) ?? without)
  const min = bound('min', Number.NEGATIVE_INFINITY)
  const max = bound('max', Number.POSITIVE_INFINITY)
  return Math.min(max, Math.max(min, value)) as GroupConfigValue<Name>
}

/** Streams' standby replicas are bounded under another name. */
function boundName(name: string): string {
  return name === 'num.standby.replicas' ? 'standby.replicas' : name
}

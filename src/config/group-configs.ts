/** The settings of a group (KIP-1115 and others), checked when they are altered, stored as metadata. */
import { atLeast, boolean, int, matching, oneOf, string } from './definition.ts'

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

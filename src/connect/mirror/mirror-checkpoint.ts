/**
 * Mirrors how far groups are (MirrorMaker 2's MirrorCheckpointConnector). It looks which groups read topics that are
 * mirrored, and divides them among its tasks.
 */
import { type ListedGroup, listGroups } from '../../client/admin/groups.ts'
import type { Cluster } from '../../client/cluster.ts'
import { fetchCommitted } from '../../client/offsets.ts'
import { ConfigDef, type ConfigValue, type ParsedConfig, type Settings } from '../config-def.ts'
import type { SourcePlugin } from '../plugin.ts'
import { connectVersion } from '../version.ts'
import { selector } from './filters.ts'
import { MirrorCheckpointTask } from './mirror-checkpoint-task.ts'
import { createCompacted } from './mirror-clusters.ts'
import { checkpointKeys, presets } from './mirror-keys.ts'
import { checkPositions } from './positions.ts'
import { ReplicationPolicy } from './replication-policy.ts'
import { intervalMs } from './schedule.ts'
import { type Watch, WatchingConnector, type WatchParts } from './watching-connector.ts'

const configDef = new ConfigDef(checkpointKeys)
type Config = ParsedConfig<typeof checkpointKeys>

class MirrorCheckpointConnector extends WatchingConnector {
  protected readonly role = 'checkpoint'

  protected begin(settings: Settings, { open }: WatchParts): Watch | null {
    const config = configDef.parse(settings)
    if (!config.enabled || !config['emit.checkpoints.enabled']) return null
    const [source, target] = [open('source'), open('target')]
    const topic = new ReplicationPolicy(config).checkpointsTopic(config['source.cluster.alias'])
    const prepare = () =>
      createCompacted(target, topic, {
        setting: 'checkpoints.topic.replication.factor',
        factor: config['checkpoints.topic.replication.factor'],
      })
    return {
      ...{ prepare, what: 'groups', setting: 'task.assigned.groups' },
      look: () => groupsOf(source, config),
      everyMs: intervalMs(
        config['refresh.groups.enabled'],
        config['refresh.groups.interval.seconds'],
      ),
    }
  }

  validate(settings: Settings, values: readonly ConfigValue[]): readonly ConfigValue[] {
    if (settings.get('enabled') === 'false') return values
    const reasons: Readonly<Record<string, string>> = {
      'emit.checkpoints.enabled': 'with emit.checkpoints.enabled set to false',
      'emit.offset-syncs.enabled': 'without offset syncs',
    }
    for (const { name, errors } of values)
      if (reasons[name] !== undefined && settings.get(name) === 'false')
        errors.push(`MirrorCheckpointConnector can't run ${reasons[name]}`)
    return values
  }

  alterOffsets = checkPositions(['group', 'topic'], { hasPartition: true, isZero: true })
}

/** Those of consumers that are selected, and have offsets in topics that are; in order. */
async function groupsOf(source: Cluster, config: Config): Promise<string[]> {
  const isSelected = selector(config.groups, config['groups.exclude'])
  const isTopic = selector(config.topics, config['topics.exclude'])
  const groups: string[] = []
  for (const group of await listGroups(source)) {
    if (!isOfConsumers(group) || !isSelected(group.groupId)) continue
    const offsets = await fetchCommitted(source, group.groupId, null, { isStable: false })
    if (offsets.some(({ topic }) => isTopic(topic))) groups.push(group.groupId)
  }
  return groups
}

/** One whose name has a comma cannot be told to a task, nor could MirrorMaker's. */
function isOfConsumers({ groupId, type, protocolType }: ListedGroup): boolean {
  return (
    ['', 'classic', 'consumer'].includes(type) &&
    ['', 'consumer'].includes(protocolType) &&
    !groupId.includes(',')
  )
}

export const mirrorCheckpoint: SourcePlugin = {
  type: 'source',
  className: 'org.apache.kafka.connect.mirror.MirrorCheckpointConnector',
  version: connectVersion,
  config: configDef,
  presets,
  connector: () => new MirrorCheckpointConnector(),
  task: () => new MirrorCheckpointTask(),
}

/**
 * Mirrors topics: their records, settings and access control entries (MirrorMaker 2's MirrorSourceConnector). It looks
 * which topics there are, makes those of the target, and divides the partitions among its tasks.
 */
import { nameOf } from '../../client/topic-partition.ts'
import { ConfigDef, type ConfigValue, type Settings } from '../config-def.ts'
import type { SourcePlugin, Support } from '../plugin.ts'
import { connectVersion } from '../version.ts'
import { createCompacted, sourceConsumer, sourceIsolation } from './mirror-clusters.ts'
import { presets, sourceKeys } from './mirror-keys.ts'
import { MirrorSourceTask } from './mirror-source-task.ts'
import { checkPositions } from './positions.ts'
import { offsetSyncsTopic } from './replication-policy.ts'
import { intervalMs } from './schedule.ts'
import { TopicSync } from './topic-sync.ts'
import { type Watch, WatchingConnector, type WatchParts } from './watching-connector.ts'

const configDef = new ConfigDef(sourceKeys)

class MirrorSourceConnector extends WatchingConnector {
  protected readonly role = 'replication'

  protected begin(settings: Settings, { context, schedule, open }: WatchParts): Watch | null {
    const config = configDef.parse(settings)
    if (!config.enabled) return null
    const [source, target] = [open('source'), open('target')]
    const sync = new TopicSync({ source, target, config, log: context.log })
    const isAtSource = config['offset-syncs.topic.location'] === 'source'
    const prepare = async () => {
      if (config['emit.offset-syncs.enabled'])
        await createCompacted(isAtSource ? source : target, offsetSyncsTopic(config), {
          setting: 'offset-syncs.topic.replication.factor',
          factor: config['offset-syncs.topic.replication.factor'],
        })
    }
    const jobs = (
      [
        ['sync.topic.configs', 'carry settings of topics over', () => sync.configs()],
        ['sync.topic.acls', 'carry access control entries over', () => sync.acls()],
      ] as const
    ).filter(([name]) => config[`${name}.enabled`])
    for (const [name, doing, job] of jobs)
      schedule.repeat(doing, intervalMs(true, config[`${name}.interval.seconds`]), job)
    let isFirst = true
    const look = async () => {
      const { partitions, failures } = await sync.topics()
      const [failure] = failures
      // A user who has just made the connector hears of it; later, other topics go on.
      if (isFirst && failure?.error && partitions.length === 0) throw failure.error
      if (isFirst) for (const [, doing, job] of jobs) void schedule.run(doing, job)
      isFirst = false
      return partitions.map(nameOf)
    }
    return {
      ...{ prepare, look, what: 'partitions', setting: 'task.assigned.partitions' },
      everyMs: intervalMs(
        config['refresh.topics.enabled'],
        config['refresh.topics.interval.seconds'],
      ),
    }
  }

  validate(settings: Settings, values: readonly ConfigValue[]): readonly ConfigValue[] {
    const complain = (name: string, message: string) =>
      values.find((value) => value.name === name)?.errors.push(message)
    const emits = 'emit.offset-syncs.enabled'
    const isSetUp = [...settings.keys()].some((name) =>
      /^offset-syncs[.-](?!topic\.location)/.test(name),
    )
    if (settings.get(emits) === 'false' && isSetUp)
      complain(
        emits,
        `MirrorSourceConnector can't setup offset-syncs feature while ${emits} set to false`,
      )
    try {
      sourceConsumer(settings)
    } catch (error) {
      complain('source.cluster.alias', (error as Error).message)
    }
    return values
  }

  /** Records of transactions that were not committed in the source must not be so in the target. */
  exactlyOnceSupport(settings: Settings): Support {
    return sourceIsolation(settings) === 'read_committed' ? 'SUPPORTED' : 'UNSUPPORTED'
  }

  canDefineTransactionBoundaries(): Support {
    return 'UNSUPPORTED'
  }

  alterOffsets = checkPositions(['cluster', 'topic'], { hasPartition: true, isZero: false })
}

export const mirrorSource: SourcePlugin = {
  type: 'source',
  className: 'org.apache.kafka.connect.mirror.MirrorSourceConnector',
  version: connectVersion,
  config: configDef,
  presets,
  connector: () => new MirrorSourceConnector(),
  task: () => new MirrorSourceTask(),
}

/**
 * Looks how far its groups are in the source, and writes what that is in the target (checkpoints), where it has moved;
 * groups of the same name there that nobody is a member of are moved as far, if that is asked for. A group is never put
 * back in the target while it goes on in the source: what it is told may be made up of syncs that are older than
 * those of before.
 */
import { describeGroup } from '../../client/admin/groups.ts'
import type { Cluster } from '../../client/cluster.ts'
import { isAnswer } from '../../client/failures.ts'
import { type CommittedOffset, commitOffsets, fetchCommitted } from '../../client/offsets.ts'
import { nameOf } from '../../client/topic-partition.ts'
import { ConfigDef, type ParsedConfig, type Settings } from '../config-def.ts'
import { primitive } from '../data.ts'
import { Idle } from '../idle.ts'
import type { SourceTask, SourceTaskContext } from '../plugin.ts'
import { type SourceRecord, sourceRecord } from '../records.ts'
import { selector } from './filters.ts'
import { openCluster, TopicReading } from './mirror-clusters.ts'
import { checkpointKeys } from './mirror-keys.ts'
import {
  type Checkpoint,
  readCheckpoint,
  readOffsetSync,
  writeCheckpoint,
} from './mirror-records.ts'
import { OffsetSyncs } from './offset-syncs.ts'
import { noOffset } from './positions.ts'
import { offsetSyncsTopic, ReplicationPolicy } from './replication-policy.ts'
import { intervalMs, Schedule } from './schedule.ts'

const configDef = new ConfigDef(checkpointKeys)
const bytes = primitive('BYTES')
/** Of a string in the format of checkpoints. */
const metadataBytesMax = 0x7fff

type Checkpoints = Map<string, Checkpoint>

export class MirrorCheckpointTask implements SourceTask {
  readonly #idle = new Idle()
  #context: SourceTaskContext | null = null
  #config: ParsedConfig<typeof checkpointKeys> | null = null
  #policy: ReplicationPolicy | null = null
  #isTopic: (topic: string) => boolean = () => false
  #source: Cluster | null = null
  #target: Cluster | null = null
  /** Where the offset syncs are. */
  #syncsCluster: Cluster | null = null
  /** The last of each partition, by group. */
  readonly #checkpoints = new Map<string, Checkpoints>()
  #syncs: OffsetSyncs | null = null
  #reading: TopicReading | null = null
  #schedule: Schedule | null = null

  /** Throws ConfigError. */
  start(settings: Settings, context: SourceTaskContext): void {
    const config = configDef.parse(settings)
    const { environment, log } = context
    this.#context = context
    this.#config = config
    this.#policy = new ReplicationPolicy(config)
    this.#isTopic = selector(config.topics, config['topics.exclude'])
    const timeoutMs = config['admin.timeout.ms']
    const open = (side: 'source' | 'target', client: 'admin' | 'consumer', role: string) =>
      openCluster({ environment, settings, timeoutMs, role }, side, client)
    this.#source = open('source', 'admin', 'checkpoint-source-admin')
    this.#target = open('target', 'admin', 'checkpoint-target-admin')
    const location = config['offset-syncs.topic.location'] as 'source' | 'target'
    this.#syncsCluster = open(location, 'consumer', `offset-syncs-${location}-consumer`)
    for (const group of (settings.get('task.assigned.groups') ?? '').split(','))
      if (group !== '') this.#checkpoints.set(group, new Map())
    this.#schedule = new Schedule({ environment, log, onFailure: () => undefined })
    this.#schedule.repeat(
      'move groups of the target',
      intervalMs(
        config['sync.group.offsets.enabled'],
        config['sync.group.offsets.interval.seconds'],
      ),
      () => this.#moveGroups(),
    )
  }

  async poll(): Promise<readonly SourceRecord[] | null> {
    const { environment, log } = this.#context!
    const everyMs = this.#config!['emit.checkpoints.interval.seconds'] * 1000
    await this.#idle.wait(environment.timers, everyMs)
    if (this.#idle.isStopped) return null
    const records: SourceRecord[] = []
    try {
      if (this.#syncs === null) await this.#load()
      await this.#reading?.catchUp(() => this.#idle.isStopped)
      this.#syncs?.complete()
      for (const group of this.#checkpoints.keys()) records.push(...(await this.#newOf(group)))
    } catch (error) {
      if (!this.#idle.isStopped)
        log.warn('A mirror could not look how far groups are', { reason: String(error) })
    }
    return records.length === 0 ? null : records
  }

  async stop(): Promise<void> {
    this.#idle.stop()
    this.#schedule?.stop()
    await this.#reading?.close()
    for (const cluster of [this.#source, this.#target, this.#syncsCluster]) cluster?.close()
  }

  get #checkpointsTopic(): string {
    return this.#policy!.checkpointsTopic(this.#config!['source.cluster.alias'])
  }

  /** What was written before, by whichever task. Without it, syncs of before might put groups back. */
  async #load(): Promise<void> {
    const known = new TopicReading(this.#target!, this.#checkpointsTopic, (record) => {
      const checkpoint = readCheckpoint(record)
      if (checkpoint !== null)
        this.#checkpoints.get(checkpoint.group)?.set(nameOf(checkpoint), checkpoint)
    })
    let isForgetful = false
    try {
      await known.catchUp(() => this.#idle.isStopped)
    } catch (error) {
      if (!isAnswer(error, 'TOPIC_AUTHORIZATION_FAILED')) throw error
      isForgetful = true
      this.#context?.log.warn('A mirror may not read its checkpoints: it begins with new ones')
    } finally {
      await known.close()
    }
    const syncs = new OffsetSyncs({ isForgetful })
    const topic = offsetSyncsTopic(this.#config!)
    this.#reading = new TopicReading(this.#syncsCluster!, topic, (record) => {
      const sync = readOffsetSync(record)
      if (sync !== null) syncs.add(sync)
    })
    this.#syncs = syncs
  }

  /** Those of a group that have moved. */
  async #newOf(group: string): Promise<SourceRecord[]> {
    const offsets = await fetchCommitted(this.#source!, group, null, { isStable: false })
    const known = this.#checkpoints.get(group)!
    const timestamp = this.#context!.environment.clock.now()
    return offsets.flatMap((offset) => {
      const checkpoint = this.#checkpointOf(group, offset)
      if (checkpoint === null || !hasMoved(known.get(nameOf(checkpoint)), checkpoint)) return []
      known.set(nameOf(checkpoint), checkpoint)
      return [this.#recordOf(checkpoint, timestamp)]
    })
  }

  #checkpointOf(group: string, committed: CommittedOffset): Checkpoint | null {
    const { topic, partition, offset: upstreamOffset } = committed
    if (!this.#isTopic(topic)) return null
    const downstreamOffset = this.#syncs?.translate(committed, upstreamOffset) ?? null
    if (downstreamOffset === null) return null
    const metadata = committed.metadata ?? ''
    return {
      group,
      topic: this.#remote(topic),
      partition,
      upstreamOffset,
      downstreamOffset,
      metadata: Buffer.byteLength(metadata) > metadataBytesMax ? '' : metadata,
    }
  }

  /** What came from the target is called there as it was before. */
  #remote(topic: string): string {
    const config = this.#config!
    const policy = this.#policy!
    return policy.topicSource(topic) === config['target.cluster.alias']
      ? policy.originalTopic(topic)
      : policy.remoteTopic(config['source.cluster.alias'], topic)
  }

  #recordOf(checkpoint: Checkpoint, timestamp: number): SourceRecord {
    const { group, topic, partition } = checkpoint
    return sourceRecord({
      topic: this.#checkpointsTopic,
      ...{ kafkaPartition: 0, timestamp, keySchema: bytes, valueSchema: bytes },
      ...writeCheckpoint(checkpoint),
      sourcePartition: new Map<string, unknown>([
        ['group', group],
        ['partition', BigInt(partition)],
        ['topic', topic],
      ]),
      sourceOffset: noOffset,
    })
  }

  async #moveGroups(): Promise<void> {
    for (const [group, checkpoints] of this.#checkpoints) {
      if (checkpoints.size === 0 || this.#idle.isStopped) continue
      try {
        await this.#moveGroup(group, [...checkpoints.values()])
      } catch (error) {
        // Somebody has become a member meanwhile.
        const isTaken = isAnswer(error, 'UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION')
        if (!isTaken && !this.#idle.isStopped)
          this.#context?.log.warn(`A mirror could not move the group ${group}`, {
            reason: String(error),
          })
      }
    }
  }

  /** Forwards only. A group that has members knows better how far it is. */
  async #moveGroup(groupId: string, checkpoints: readonly Checkpoint[]): Promise<void> {
    const target = this.#target!
    const state = await describeGroup(target, groupId).then(
      (group) => group.state,
      (error: unknown) => {
        if (isAnswer(error, 'GROUP_ID_NOT_FOUND')) return 'Dead'
        throw error
      },
    )
    if (state !== 'Dead' && state !== 'Empty') return
    const found = state === 'Dead' ? [] : await fetchCommitted(target, groupId, null)
    const there = new Map(found.map((row) => [nameOf(row), row.offset]))
    const moved = checkpoints.filter((row) => (there.get(nameOf(row)) ?? -1) < row.downstreamOffset)
    const nobody = { groupId, memberId: '', generationId: -1, groupInstanceId: null }
    await commitOffsets(
      target,
      nobody,
      moved.map(({ topic, partition, downstreamOffset: offset, metadata }) => ({
        topic,
        partition,
        offset,
        metadata,
      })),
    )
  }
}

/** The group has gone on in both, or was put back in the source. */
function hasMoved(before: Checkpoint | undefined, now: Checkpoint): boolean {
  return (
    before === undefined ||
    now.upstreamOffset < before.upstreamOffset ||
    now.downstreamOffset > before.downstreamOffset
  )
}

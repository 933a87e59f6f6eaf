/**
 * Copies the records of its partitions: key, value, headers, timestamp and partition stay what they are. The offset that
 * is kept is that of the last record, and it goes on behind it.
 */

import type { BatchRecord } from '../../../protocol/records/record.ts'
import type { Cluster } from '../../client/cluster.ts'
import { Consumer } from '../../client/consumer.ts'
import { Producer } from '../../client/producer.ts'
import { nameOf, type TopicPartition } from '../../client/topic-partition.ts'
import { ConfigDef, type Settings } from '../config-def.ts'
import { primitive } from '../data.ts'
import { Idle } from '../idle.ts'
import type { PartitionOffset, SourceTask, SourceTaskContext } from '../plugin.ts'
import type { SourcePosition, SourceRecord } from '../records.ts'
import { mayPass, openCluster, sourceConsumer } from './mirror-clusters.ts'
import { sourceKeys } from './mirror-keys.ts'
import { OffsetSyncWriter } from './offset-syncs.ts'
import { offsetIn, offsetPosition, partitionPosition } from './positions.ts'
import { offsetSyncsTopic, ReplicationPolicy } from './replication-policy.ts'

const config = new ConfigDef(sourceKeys)
const optionalBytes = primitive('BYTES', { optional: true })

const closeMsMax = 1_000

/** A partition of the source, and what is made of it. */
interface Mirrored extends TopicPartition {
  readonly remote: string
  readonly position: SourcePosition
}

export class MirrorSourceTask implements SourceTask {
  readonly #idle = new Idle()
  #context: SourceTaskContext | null = null
  #clusters: Cluster[] = []
  #consumer: Consumer | null = null
  #syncs: OffsetSyncWriter | null = null
  readonly #mirrored = new Map<string, Mirrored>()
  #pollMs = 0
  #recordsMax = 0

  /** Throws ConfigError. */
  start(settings: Settings, context: SourceTaskContext): void {
    const parsed = config.parse(settings)
    const alias = parsed['source.cluster.alias']
    const policy = new ReplicationPolicy(parsed)
    const { options, recordsMax } = sourceConsumer(settings)
    const { environment, log } = context
    this.#context = context
    this.#pollMs = parsed['consumer.poll.timeout.ms']
    this.#recordsMax = recordsMax
    const timeoutMs = parsed['admin.timeout.ms']
    const open = (side: 'source' | 'target', client: 'consumer' | 'producer', role: string) => {
      const cluster = openCluster({ environment, settings, timeoutMs, role }, side, client)
      this.#clusters.push(cluster)
      return cluster
    }
    this.#consumer = new Consumer(open('source', 'consumer', 'replication-consumer'), options)
    const partitions = partitionsIn(settings.get('task.assigned.partitions') ?? '')
    this.#consumer.assign(
      partitions.map((partition) => {
        const position = partitionPosition(alias, partition)
        const remote = policy.remoteTopic(alias, partition.topic)
        this.#mirrored.set(nameOf(partition), { ...partition, position, remote })
        const kept = offsetIn(context.offset(position))
        return kept === null ? partition : { ...partition, offset: kept + 1 }
      }),
    )
    if (!parsed['emit.offset-syncs.enabled']) return
    const location = parsed['offset-syncs.topic.location'] as 'source' | 'target'
    const writing = open(location, 'producer', `offset-syncs-${location}-producer`)
    this.#syncs = new OffsetSyncWriter(new Producer(writing), offsetSyncsTopic(parsed), {
      lagMax: parsed['offset.lag.max'],
      log,
    })
  }

  async poll(): Promise<readonly SourceRecord[] | null> {
    const { environment, log } = this.#context!
    try {
      const polled = await this.#consumer!.poll({
        timeoutMs: this.#pollMs,
        recordsMax: this.#recordsMax,
      })
      const records = polled.flatMap(({ records, ...partition }) => {
        const mirrored = this.#mirrored.get(nameOf(partition))
        return mirrored === undefined ? [] : records.map((record) => recordOf(mirrored, record))
      })
      return records.length === 0 ? null : records
    } catch (error) {
      if (this.#idle.isStopped) return null
      if (!mayPass(error)) throw error
      log.warn('A mirror could not read from the source', { reason: String(error) })
      await this.#idle.wait(environment.timers, this.#pollMs)
      return null
    }
  }

  commitRecord(record: SourceRecord, written: PartitionOffset | null): void {
    // Where a broker had taken it before, it does not say at which offset.
    if (written === null || written.offset < 0) return
    const upstreamOffset = offsetIn(record.sourceOffset)
    const topic = record.sourcePartition.get('topic')
    if (upstreamOffset === null || typeof topic !== 'string') return
    const partition = Number(record.sourcePartition.get('partition'))
    const downstreamOffset = written.offset
    this.#syncs?.mirrored({ topic, partition, upstreamOffset, downstreamOffset })
  }

  commit(): void {
    this.#syncs?.commit()
  }

  async stop(): Promise<void> {
    this.#idle.stop()
    await this.#consumer?.close()
    // What was mirrored last is told too; who cannot be reached is not waited for.
    this.#syncs?.commit()
    const closed = this.#syncs?.close()
    const { timers } = this.#context?.environment ?? {}
    await Promise.race([closed, new Promise<void>((resolve) => timers?.after(closeMsMax, resolve))])
    for (const cluster of this.#clusters) cluster.close()
  }
}

function recordOf({ remote, position, partition }: Mirrored, record: BatchRecord): SourceRecord {
  return {
    topic: remote,
    kafkaPartition: partition,
    keySchema: optionalBytes,
    key: record.key,
    valueSchema: optionalBytes,
    value: record.value,
    timestamp: record.timestamp < 0 ? null : record.timestamp,
    headers: record.headers.map(({ key, value }) => ({ key, schema: optionalBytes, value })),
    sourcePartition: position,
    sourceOffset: offsetPosition(record.offset),
  }
}

/** `orders-0,orders-1`: a topic may have dashes of its own. */
function partitionsIn(text: string): TopicPartition[] {
  return text.split(',').flatMap((name) => {
    const at = name.lastIndexOf('-')
    return at < 1 ? [] : [{ topic: name.slice(0, at), partition: Number(name.slice(at + 1)) }]
  })
}

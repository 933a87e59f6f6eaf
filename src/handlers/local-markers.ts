/**
 * Ends transactions in the partitions that this broker leads: with a marker in their logs, and in those of
 * `__consumer_offsets` by their groups, whose offsets begin to count with it.
 */
import { type ErrorRow, errors, KafkaError } from '../../protocol/errors.ts'
import type { GroupCoordinator } from '../coordinator/group/group-coordinator.ts'
import type {
  MarkerWriter,
  PartitionName,
  TransactionMarkers,
} from '../coordinator/transaction/participants.ts'
import { DiskError } from '../environment/disk.ts'
import type { Environment } from '../environment/environment.ts'
import { Partition } from '../replication/partition.ts'
import type { Replicas } from '../replication/replicas.ts'

const consumerOffsetsTopic = '__consumer_offsets'

export class LocalMarkers implements MarkerWriter {
  readonly #environment: Environment
  readonly #replicas: Replicas
  readonly #groups: GroupCoordinator

  constructor(parts: { environment: Environment; replicas: Replicas; groups: GroupCoordinator }) {
    this.#environment = parts.environment
    this.#replicas = parts.replicas
    this.#groups = parts.groups
  }

  /** Everything is in line in the logs when this returns. */
  async writeMarkers(markers: TransactionMarkers): Promise<ReadonlyMap<PartitionName, ErrorRow>> {
    const rows = new Map<PartitionName, ErrorRow>()
    const writing: Promise<void>[] = []
    for (const { topic, partitions } of markers.partitions) {
      for (const index of new Set(partitions)) {
        const note = (row: ErrorRow) => void rows.set(`${topic}-${index}`, row)
        writing.push(this.#write(markers, topic, index).then(note))
      }
    }
    await Promise.all(writing)
    return rows
  }

  async #write(markers: TransactionMarkers, topic: string, index: number): Promise<ErrorRow> {
    const found = this.#replicas.find(topic, index)
    if (!(found instanceof Partition)) return found
    const { producerId, producerEpoch, coordinatorEpoch, isCommit, transactionVersion } = markers
    const end = { producerId, producerEpoch, coordinatorEpoch, isCommit, transactionVersion }
    if (topic === consumerOffsetsTopic) return this.#groups.endTransaction(index, end)
    try {
      await found.appendMarker(end, this.#environment.clock.now()).written
      return errors.NONE
    } catch (error) {
      if (error instanceof KafkaError) return error.error
      if (error instanceof DiskError) return errors.KAFKA_STORAGE_ERROR
      throw error
    }
  }
}

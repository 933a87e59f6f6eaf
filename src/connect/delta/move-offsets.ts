/**
 * Offsets of a connector moved by hand. What Kafka keeps of them only shows them, so that they are moved in the tables,
 * by commits without rows: back, and records land again; forwards, and those between are left out.
 */
import { byTopic } from '../../client/topic-partition.ts'
import type { Environment } from '../../environment/environment.ts'
import type { Storage } from '../../environment/storage.ts'
import { DeltaError } from '../../tables/delta/delta-error.ts'
import { Transaction } from '../../tables/delta/transaction.ts'
import type { Settings } from '../config-def.ts'
import { ConnectException } from '../failures.ts'
import type { TopicPartition } from '../plugin.ts'
import { parseDeltaSink, tablePath } from './delta-sink-config.ts'
import { snapshotOf } from './landing-table.ts'
import { appIdOf } from './progress.ts'

export interface TablesEnvironment extends Pick<Environment, 'clock' | 'random'> {
  /** Where the files of a table are. */
  readonly storageAt: (location: string) => Storage
}

/** A null offset is a reset: all that the topic has lands again. Throws ConnectException. */
export async function moveOffsets(
  settings: Settings,
  offsets: readonly (TopicPartition & { readonly offset: number | null })[],
  { clock, random, storageAt }: TablesEnvironment,
): Promise<void> {
  const { path, landing, mayRoute } = parseDeltaSink(settings)
  if (mayRoute) {
    throw new ConnectException(
      'Transforms may give records of a topic to several tables, each of which knows how far it is: offsets cannot be moved',
    )
  }
  const byTable = new Map<string, typeof offsets>()
  for (const [topic, some] of byTopic(offsets)) {
    const location = tablePath(path, topic)
    byTable.set(location, [...(byTable.get(location) ?? []), ...some])
  }
  for (const [location, moved] of byTable) {
    const environment = { clock, random, storage: storageAt(location) }
    try {
      const snapshot = await snapshotOf(environment)
      if (snapshot === null) continue
      const transaction = Transaction.on(environment, snapshot)
      for (const { offset, ...partition } of moved) {
        transaction.progress(appIdOf(landing.connector, partition), BigInt(offset ?? 0))
      }
      await transaction.commit({ operation: 'STREAMING UPDATE' })
    } catch (cause) {
      if (!(cause instanceof DeltaError)) throw cause
      throw new ConnectException(`Offsets in ${location} cannot be moved: ${cause.message}`, {
        cause,
      })
    }
  }
}

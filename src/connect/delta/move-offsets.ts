/**
 * Offsets of a connector moved by hand. What Kafka keeps of them only shows them, so that they are moved in the tables,
 * by commits without rows: back, and records land again; forwards, and those between are left out.
 */
import { byTopic } from '../../client/topic-partition.ts'
import type { Environment } from '../../environment/environment.ts'
import type { Storage } from '../../environment/storage.ts'
import { DeltaError } from '../../tables/delta/delta-error.ts'
import { Transaction } from '../../tables/delta/transaction.ts'
import type { Variables } from '../../tables/storage/s3-settings.ts'
import type { Settings } from '../config-def.ts'
import { ConnectException } from '../failures.ts'
import type { TopicPartition } from '../plugin.ts'
import { parseDeltaSink, tablePath } from './delta-sink-config.ts'
import { snapshotOf } from './landing-table.ts'
import { appIdOf } from './progress.ts'

/** Where the files of a table are. `variables` say of an object store what is not to be as everywhere in this process. */
export type StorageAt = (location: string, variables?: Variables) => Storage

export interface TablesEnvironment extends Pick<Environment, 'clock' | 'random'> {
  readonly storageAt: StorageAt
}

export interface Move {
  readonly location: string
  readonly transaction: Transaction
}

/**
 * What is to be committed, with all that can be refused before. A null offset is a reset: all that the topic has lands
 * again. Throws ConnectException.
 */
export async function planMoves(
  settings: Settings,
  offsets: readonly (TopicPartition & { readonly offset: number | null })[],
  { clock, random, storageAt }: TablesEnvironment,
): Promise<Move[]> {
  const { path, landing, mayRoute, storage } = parseDeltaSink(settings)
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
  const moves: Move[] = []
  for (const [location, some] of byTable) {
    await refusing(location, async () => {
      const environment = { clock, random, storage: storageAt(location, storage) }
      const snapshot = await snapshotOf(environment)
      if (snapshot === null) return
      const moved = some.flatMap(({ offset, ...partition }) => {
        const appId = appIdOf(landing.connector, partition)
        // What the table knows nothing of need not be reset.
        const isKnown = offset !== null || snapshot.transactions.has(appId)
        return isKnown ? [{ appId, version: BigInt(offset ?? 0) }] : []
      })
      if (moved.length === 0) return
      const transaction = Transaction.on(environment, snapshot)
      for (const { appId, version } of moved) transaction.progress(appId, version)
      moves.push({ location, transaction })
    })
  }
  return moves
}

/** Throws ConnectException. */
export async function moveOffsets(
  settings: Settings,
  offsets: readonly (TopicPartition & { readonly offset: number | null })[],
  environment: TablesEnvironment,
): Promise<void> {
  for (const { location, transaction } of await planMoves(settings, offsets, environment)) {
    await refusing(location, async () => {
      await transaction.commit({ operation: 'STREAMING UPDATE' })
    })
  }
}

async function refusing(location: string, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (cause) {
    if (!(cause instanceof DeltaError)) throw cause
    const message = `Offsets in ${location} cannot be moved: ${cause.message}`
    throw new ConnectException(message, { cause })
  }
}

/**
 * Transactions that nobody would end. A partition has them open, and a loss of power has taken what their
 * coordinator recorded of them last, or the marker that it had sent: topics differ in what they promise. Readers
 * of committed records would wait at them forever. So they are ended at the start after an end that was not
 * clean: how, `coordinator/transaction/orphans` says.
 */
import { errors } from '../protocol/errors.ts'
import type { MarkerWriter, OpenTransaction } from './coordinator/transaction/participants.ts'
import type { TransactionCoordinator } from './coordinator/transaction/transaction-coordinator.ts'
import type { Logger } from './environment/environment.ts'
import type { Replicas } from './replication/replicas.ts'

export interface OrphansOptions {
  readonly log: Logger
  readonly replicas: Replicas
  readonly transactions: TransactionCoordinator
  readonly markers: MarkerWriter
}

interface Orphan extends OpenTransaction {
  /** Of the marker before; -1: there was none. */
  readonly coordinatorEpoch: number
}

/** After such an end, once all logs are open and the coordinators are loaded. Never rejects: what goes wrong is logged. */
export async function endOrphans(options: OrphansOptions): Promise<void> {
  const { replicas, transactions } = options
  // Whoever begins one has it recorded first: none of those can be among them.
  const orphans = transactions.orphansAmong([...openTransactions(replicas)])
  await Promise.all(orphans.map((orphan) => end(orphan, options)))
}

function* openTransactions(replicas: Replicas): Generator<Orphan> {
  for (const led of replicas.partitions()) {
    const { topic, index: partition, openedLog: log } = led
    if (log === null || led.leaderError() !== null) continue
    if (log.lastStableOffset === log.highWatermark) continue
    for (const producer of log.activeProducers()) {
      const { producerId, epoch: producerEpoch, coordinatorEpoch, currentTxnFirstOffset } = producer
      if (currentTxnFirstOffset < 0) continue
      yield { topic, partition, producerId, producerEpoch, coordinatorEpoch }
    }
  }
}

async function end(
  orphan: Orphan & { isCommit: boolean },
  { log, markers }: OrphansOptions,
): Promise<void> {
  const { topic, partition, producerId, producerEpoch, isCommit } = orphan
  const name = `${topic}-${partition}`
  const rows = await markers.writeMarkers({
    producerId,
    producerEpoch,
    coordinatorEpoch: Math.max(0, orphan.coordinatorEpoch),
    isCommit,
    // As in versions before 2 its marker has the epoch of the transaction.
    transactionVersion: 0,
    partitions: [{ topic, partitions: [partition] }],
  })
  const fields = { partition: name, producerId, producerEpoch, isCommit }
  const error = rows.get(name)
  if (error === errors.NONE) {
    log.warn('a transaction that nobody would have ended is ended', fields)
  } else {
    const message = 'a transaction that nobody will end could not be ended'
    log.error(message, { ...fields, error: error?.name })
  }
}

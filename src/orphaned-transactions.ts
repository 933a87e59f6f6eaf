/**
 * Transactions that nobody would end. A partition has them open, and of what their coordinator recorded a loss
 * of power has taken the last: topics differ in what they promise. Readers of committed records would wait at
 * them forever. So they are aborted at the start after an end that was not clean; whatever was decided about
 * them went with its record.
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
export async function abortOrphans(options: OrphansOptions): Promise<void> {
  const { replicas, transactions } = options
  // Whoever begins one has it recorded first: none of those can be among them.
  const orphans = transactions.orphansAmong([...openTransactions(replicas)])
  await Promise.all(orphans.map((orphan) => abort(orphan, options)))
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

async function abort(orphan: Orphan, { log, markers }: OrphansOptions): Promise<void> {
  const { topic, partition, producerId, producerEpoch } = orphan
  const name = `${topic}-${partition}`
  const rows = await markers.writeMarkers({
    producerId,
    producerEpoch,
    coordinatorEpoch: Math.max(0, orphan.coordinatorEpoch),
    isCommit: false,
    // As in versions before 2 its marker has the epoch of the transaction.
    transactionVersion: 0,
    partitions: [{ topic, partitions: [partition] }],
  })
  const fields = { partition: name, producerId, producerEpoch }
  const error = rows.get(name)
  if (error === errors.NONE) {
    log.warn('a transaction that its coordinator does not know any more is aborted', fields)
  } else {
    const message = 'a transaction that its coordinator does not know any more could not be aborted'
    log.error(message, { ...fields, error: error?.name })
  }
}

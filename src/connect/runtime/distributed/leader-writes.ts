/**
 * What only the leader writes to the config topic, in transactions where sources may write exactly once (KIP-618): each
 * leader takes the transactional id of its group over, so that one before it, which has not heard yet that it leads no
 * more, configures nothing any longer.
 */
import type { Cluster } from '../../../client/cluster.ts'
import { Producer } from '../../../client/producer.ts'
import { Transaction } from '../../../client/transaction.ts'
import { HttpError } from '../../../http/routes.ts'
import type { Entry } from '../../storage/storage.ts'
import { InOrder } from '../in-order.ts'
import type { Kept } from '../kept.ts'

interface Claim {
  readonly transaction: Transaction
  readonly producer: Producer
}

export interface LeaderWritesOptions {
  readonly cluster: Cluster
  readonly kept: Kept
  readonly topic: string
  /** Null: nobody is shut out. */
  readonly transactionalId: string | null
}

/** As Kafka Connect names it. */
export function leaderIdOf(groupId: string): string {
  return `connect-cluster-${groupId}`
}

export class LeaderWrites {
  readonly #options: LeaderWritesOptions
  readonly #inOrder = new InOrder()
  #claim: Claim | null = null

  constructor(options: LeaderWritesOptions) {
    this.#options = options
  }

  /** Another may lead: the next write takes over anew. */
  release(): void {
    this.#claim = null
  }

  /** Resolves when all of it is kept and applied. Rejects with HttpError 409 where another leads by now. */
  async write(entries: readonly Entry[]): Promise<void> {
    const { kept, transactionalId } = this.#options
    if (transactionalId === null) return kept.write(entries)
    await this.#inOrder.run('configs', () => this.#write(entries, transactionalId))
    await kept.catchUp('configs')
  }

  async #write(entries: readonly Entry[], transactionalId: string): Promise<void> {
    try {
      this.#claim ??= await this.#open(transactionalId)
      const { transaction, producer } = this.#claim
      transaction.begin()
      for (const { key, value } of entries)
        producer.add({
          topic: this.#options.topic,
          key: Buffer.from(key),
          value: value === null ? null : Buffer.from(value),
        })
      await producer.commit()
    } catch (cause) {
      this.#claim = null
      throw new HttpError(
        409,
        `The leader could not write to the config topic: ${(cause as Error).message}`,
        { cause },
      )
    }
  }

  async #open(transactionalId: string): Promise<Claim> {
    const { cluster } = this.#options
    const transaction = new Transaction(cluster, { transactionalId })
    await transaction.open()
    return { transaction, producer: new Producer(cluster, { transaction, lingerMs: 0 }) }
  }
}

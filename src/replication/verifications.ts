/**
 * What stands between a producer and a partition in which its transaction is not open yet (KIP-890). Were
 * its first batch appended unasked, it could arrive after the transaction's end, which nobody would ever
 * end again: readers of committed records would wait at it forever.
 *
 * A leader begins a verification, asks the transaction's coordinator, and appends only if the verification
 * still stands when the answer is there: every marker and every append of the producer ends it, so that an
 * answer about one transaction lets no batch into the next.
 */
import { errors, KafkaError } from '../../protocol/errors.ts'
import * as header from '../../protocol/records/batch.ts'
import type { Log } from '../log/log.ts'

/** What the header of a batch says that is the first of a transaction in its partition. */
export interface FirstBatch {
  readonly producerId: number
  readonly producerEpoch: number
  /** -1 in what coordinators write. */
  readonly baseSequence: number
  /** Its partition is added to the transaction by asking: transaction version 2. */
  readonly isAdding: boolean
}

/** Compared by identity; what it holds are the least demands on the batch. */
export interface Verification {
  producerEpoch: number
  /**
   * Of the batches that have asked so far. Where the first one was not let in and is sent again, those after
   * it must wait for it.
   */
  lowestSequence: number
  readonly isAdding: boolean
}

/** Each a few dozen bytes; the oldest are given up first. */
const verificationsMax = 10_000

export class Verifications {
  readonly #name: string
  readonly #byProducer = new Map<number, Verification>()

  /** `name`: the partition, for messages. */
  constructor(name: string) {
    this.#name = name
  }

  /** The one that stands for the producer, or a new one. */
  begin(batch: FirstBatch): Verification {
    const { producerId, producerEpoch, baseSequence, isAdding } = batch
    const standing = this.#byProducer.get(producerId)
    if (standing === undefined) {
      const verification = { producerEpoch, lowestSequence: baseSequence, isAdding }
      this.#byProducer.set(producerId, verification)
      for (const oldest of this.#byProducer.keys()) {
        if (this.#byProducer.size <= verificationsMax) break
        this.#byProducer.delete(oldest)
      }
      return verification
    }
    if (producerEpoch > standing.producerEpoch) {
      standing.producerEpoch = producerEpoch
      standing.lowestSequence = baseSequence
    } else if (producerEpoch === standing.producerEpoch) {
      standing.lowestSequence = Math.min(standing.lowestSequence, baseSequence)
    }
    return standing
  }

  /**
   * Whether the transactional batch in `records` may go into the log. Throws KafkaError:
   * INVALID_PRODUCER_EPOCH, INVALID_TXN_STATE, OUT_OF_ORDER_SEQUENCE_NUMBER.
   */
  check(records: Buffer, verification: Verification | null, log: Log): void {
    const producerId = header.producerId(records, 0)
    const producerEpoch = header.producerEpoch(records, 0)
    if (log.hasOpenTransaction(producerId, producerEpoch)) return
    checkEpoch(log, producerId, producerEpoch)
    if (verification === null || this.#byProducer.get(producerId) !== verification) {
      throw this.#error(errors.INVALID_TXN_STATE, producerId, 'no transaction is open here')
    }
    const sequence = header.baseSequence(records, 0)
    const isUnknown = log.lastProducerEpoch(producerId) < 0
    if (
      sequence > verification.lowestSequence ||
      (verification.isAdding && isUnknown && sequence > 0)
    ) {
      const what = `sequence ${sequence} begins the transaction, and is not the first`
      throw this.#error(errors.OUT_OF_ORDER_SEQUENCE_NUMBER, producerId, what)
    }
  }

  /** A batch of the producer was appended: its transaction is open. */
  onAppended(producerId: number): void {
    this.#byProducer.delete(producerId)
  }

  /**
   * The end of a transaction was appended. Since transaction version 2 its marker has the epoch of the next
   * one, whose verification it must not end.
   */
  onMarker(producerId: number, producerEpoch: number): void {
    const standing = this.#byProducer.get(producerId)
    if (standing === undefined) return
    const isOfNext = standing.isAdding && standing.producerEpoch === producerEpoch
    if (!isOfNext) this.#byProducer.delete(producerId)
  }

  clear(): void {
    this.#byProducer.clear()
  }

  #error(row: typeof errors.INVALID_TXN_STATE, producerId: number, what: string): KafkaError {
    return new KafkaError(row, `Producer ${producerId} on ${this.#name}: ${what}.`)
  }
}

/** Throws KafkaError INVALID_PRODUCER_EPOCH below the last epoch that wrote here. */
export function checkEpoch(log: Log, producerId: number, producerEpoch: number): void {
  const lastEpoch = log.lastProducerEpoch(producerId)
  if (producerEpoch >= lastEpoch) return
  const message = `Producer ${producerId}: epoch ${producerEpoch} is below the last seen ${lastEpoch}.`
  throw new KafkaError(errors.INVALID_PRODUCER_EPOCH, message)
}

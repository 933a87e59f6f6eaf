/**
 * What is read of a log: batches from an offset on, out of the tail cache where that reaches back far enough;
 * what was aborted there; where a record of some time is; and where damage ends that a read met. Reads are
 * bounded by what is written, and trust no range: retention may take a segment from under them.
 */
import { errors, KafkaError } from '../../protocol/errors.ts'
import type { Environment } from '../environment/environment.ts'
import type { LogParts } from './log-parts.ts'
import { nothingAt, type ReadOptions, type ReadResult } from './segment-read.ts'
import {
  firstAtOrAfter,
  type LookupRange,
  largestTimestamp,
  type OffsetAndTimestamp,
} from './timestamp-lookup.ts'
import type { AbortedTransaction } from './transaction-index.ts'

/** The log that is read. */
export interface ReadLog {
  readonly logStartOffset: number
  readonly logEndOffset: number
}

export interface LogReaderOptions {
  readonly log: ReadLog
  readonly environment: Environment
  readonly parts: Pick<LogParts, 'name' | 'segments' | 'tail'>
  /** Throws KafkaError where the log is closed, or fenced. */
  readonly checkUsable: () => void
  /** Settles when all that was appended so far has been acknowledged. */
  readonly written: () => Promise<void>
}

export class LogReader {
  readonly #options: LogReaderOptions
  readonly #log: ReadLog
  readonly #parts: LogReaderOptions['parts']

  constructor(options: LogReaderOptions) {
    this.#options = options
    this.#log = options.log
    this.#parts = options.parts
  }

  /**
   * Throws KafkaError OFFSET_OUT_OF_RANGE below logStartOffset or above logEndOffset. A value, not
   * a promise, when the tail cache has it or nothing is there to read.
   */
  read(options: ReadOptions): ReadResult | Promise<ReadResult> {
    this.#options.checkUsable()
    const { offset, maxBytes, minOneBatch } = options
    const { logStartOffset, logEndOffset } = this.#log
    if (offset < logStartOffset || offset > logEndOffset) throw this.#outOfRange(offset)
    const upToOffset = Math.min(options.upToOffset, logEndOffset)
    const isAnyAllowed = maxBytes > 0 || minOneBatch
    if (offset >= upToOffset || !isAnyAllowed) return nothingAt(offset)
    const bounded = { offset, maxBytes, minOneBatch, upToOffset }
    const { tail } = this.#parts
    if (tail !== null && offset >= tail.startOffset) {
      return tail.read(bounded, this.#options.environment.buffers)
    }
    return this.#readDisk(bounded)
  }

  /** The offset behind the damage that a read of `offset` met; `offset` where it met none. */
  endOfDamage(offset: number): number {
    return Math.min(this.#parts.segments.endOfDamage(offset) ?? offset, this.#log.logEndOffset)
  }

  /** Transactions aborted in [fromOffset, upToOffset): what a read_committed fetch lists. */
  abortedTransactions(fromOffset: number, upToOffset: number): AbortedTransaction[] {
    return this.#parts.segments.abortedTransactions(fromOffset, upToOffset)
  }

  /** The first record at or after `timestamp` (and logStartOffset), or null. */
  async offsetForTimestamp(timestamp: number): Promise<OffsetAndTimestamp | null> {
    return firstAtOrAfter(timestamp, await this.#lookupRange())
  }

  /** The record with the largest timestamp (the first of equals), or null if none has one. */
  async offsetOfMaxTimestamp(): Promise<OffsetAndTimestamp | null> {
    return largestTimestamp(await this.#lookupRange())
  }

  async #readDisk(options: ReadOptions): Promise<ReadResult> {
    try {
      return await this.#parts.segments.read(options)
    } catch (error) {
      // Retention may have taken the segment from under the read.
      throw options.offset < this.#log.logStartOffset ? this.#outOfRange(options.offset) : error
    }
  }

  #outOfRange(offset: number): KafkaError {
    const { logStartOffset, logEndOffset } = this.#log
    const range = `[${logStartOffset}, ${logEndOffset})`
    const message = `Offset ${offset} of ${this.#parts.name}, which holds ${range}.`
    return new KafkaError(errors.OFFSET_OUT_OF_RANGE, message)
  }

  async #lookupRange(): Promise<LookupRange> {
    this.#options.checkUsable()
    await this.#options.written()
    return {
      segments: this.#parts.segments.list,
      fromOffset: this.#log.logStartOffset,
      upToOffset: this.#log.logEndOffset,
      pause: async () => {
        const { timers } = this.#options.environment
        await new Promise<void>((resolve) => timers.nextTurn(resolve))
        this.#options.checkUsable()
      },
    }
  }
}

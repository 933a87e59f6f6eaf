/**
 * What takes unpacking, without keeping others waiting: sets of old clients and the log's batches, one made of the
 * other, and packed batches whose records are to be checked. Little is converted at once; what is large, or unpacks to much, in a thread of its own, one question after the other
 * in the order in which they came. The thread begins with the first of them and ends when nothing has been
 * asked for a while. Where an environment has no threads everything is converted at once.
 */

import { errorByCode, KafkaError } from '../../../protocol/errors.ts'
import { unpackedPerRequestBytesMax } from '../../../protocol/records/compression/compression.ts'
import { UnsupportedCompression } from '../../../protocol/records/compression/unsupported-compression.ts'
import { CorruptRecords, OversizedRecords } from '../../../protocol/records/corrupt-records.ts'
import {
  type Allowance,
  downConvert,
  type OldMagic,
  upConvert,
} from '../../../protocol/records/message-set.ts'
import type { Environment, Milliseconds, Timer } from '../../environment/environment.ts'
import { NobodyWaits } from '../../environment/in-turns.ts'
import type { Thread } from '../../environment/threads.ts'

import {
  type Checked,
  OversizedBatch,
  type RecordError,
  RecordsRejected,
  type ValidationOptions,
  validateRecords,
} from '../validation.ts'

/** What is converted at once for one request: a millisecond or two, whatever is in it. */
const packedAtOnceMax = 64 * 1024
const unpackedAtOnceMax = 256 * 1024
/** Records that are only walked take less: up to a mebibyte of them 1 to 3 ms, with snappy 8; a question costs about 1. */
const checkedPackedAtOnceMax = 256 * 1024
const checkedAtOnceMax = 1024 * 1024

const idleMsMax: Milliseconds = 10_000

/** To a set that clients of this magic can read, from a record on; see `downConvert`. */
interface Down {
  readonly to: 'set'
  readonly magic: OldMagic
  readonly firstOffset: number
}

/** To a batch; see `upConvert`. */
interface Up {
  readonly to: 'batch'
}

/** To the batch that is to be appended; see `validateRecords`. */
interface Check extends CheckOptions {
  readonly to: 'checked batch'
}

type Conversion = Down | Up | Check

/** Of the topic, when the batch came. */
export type CheckOptions = Pick<ValidationOptions, 'config' | 'now' | 'name'>

interface Question {
  readonly conversion: Conversion
  readonly bytes: Uint8Array
  readonly allowedBytes: number
}

type Kind = 'corrupt' | 'oversized' | 'unsupported'

/** The batch is not to be appended. */
interface Refusal {
  readonly code: number
  readonly message: string
  readonly recordErrors: readonly RecordError[] | null
}

type Answer =
  | { readonly converted: Uint8Array | null; readonly allowedBytes: number }
  | {
      readonly failure: Kind
      readonly message: string
      readonly compression: UnsupportedCompression['compression']
    }
  | { readonly refusal: Refusal }

/** What may still be unpacked for a request: at all, and while everybody waits. */
export interface ConversionAllowance extends Allowance {
  atOnceBytesLeft: number
}

export function conversionAllowance(): ConversionAllowance {
  return { bytesLeft: unpackedPerRequestBytesMax, atOnceBytesLeft: unpackedAtOnceMax }
}

/** As `conversionAllowance`, of a request whose batches are checked. */
export function checkAllowance(): ConversionAllowance {
  return { bytesLeft: unpackedPerRequestBytesMax, atOnceBytesLeft: checkedAtOnceMax }
}

export interface DownOptions extends Omit<Down, 'to'> {
  /** Of the whole answer; what is unpacked is taken off it. */
  readonly allowance: ConversionAllowance
  /** Rejects with `NobodyWaits` where nobody does any more when its turn comes. */
  readonly isWaiting: () => boolean
}

export class Conversions {
  readonly #environment: Pick<Environment, 'threads' | 'timers'>
  #thread: Thread | null = null
  #idle: Timer | null = null
  /** Asked for and not converted. */
  #open = 0
  #last: Promise<unknown> = Promise.resolve()

  constructor(environment: Pick<Environment, 'threads' | 'timers'>) {
    this.#environment = environment
  }

  /** As `downConvert`. The chunks, which are whole batches together, stay as they are until then. */
  down(chunks: readonly Buffer[], options: DownOptions): Buffer | Promise<Buffer> {
    const { magic, firstOffset, allowance, isWaiting } = options
    const conversion: Down = { to: 'set', magic, firstOffset }
    return this.#convert(conversion, chunks, allowance, isWaiting) as Buffer | Promise<Buffer>
  }

  /** As `upConvert`. The chunks stay as they are until then. */
  up(
    chunks: readonly Buffer[],
    allowance: ConversionAllowance,
  ): Buffer | null | Promise<Buffer | null> {
    return this.#convert({ to: 'batch' }, chunks, allowance, () => true)
  }

  /** Checks a client's batch, as `validateRecords`. It may be changed, and stays where it is until then. */
  check(
    batch: Buffer,
    options: CheckOptions,
    allowance: ConversionAllowance,
  ): Checked | Promise<Checked> {
    const { config, now, name } = options
    const conversion: Check = { to: 'checked batch', config, now, name }
    try {
      const converted = this.#convert(conversion, [batch], allowance, () => true)
      return converted instanceof Promise ? converted.then(wholeOf, refusalOf) : wholeOf(converted)
    } catch (error) {
      return refusalOf(error)
    }
  }

  #convert(
    conversion: Conversion,
    chunks: readonly Buffer[],
    allowance: ConversionAllowance,
    isWaiting: () => boolean,
  ): Buffer | null | Promise<Buffer | null> {
    const { threads } = this.#environment
    if (threads === undefined) return carryOut(conversion, joined(chunks), allowance)
    const packedMax = conversion.to === 'checked batch' ? checkedPackedAtOnceMax : packedAtOnceMax
    if (allowance.atOnceBytesLeft > 0 && bytesOf(chunks) <= packedMax) {
      const converted = tryAtOnce(conversion, joined(chunks), allowance)
      if (converted !== tooMuch) return converted
    }
    return this.#inLine(async () => {
      if (!isWaiting()) throw new NobodyWaits()
      this.#thread ??= threads.start('conversion')
      return await this.#ask(this.#thread, conversion, copied(chunks), allowance)
    })
  }

  /** After all that was asked for before. */
  #inLine<T>(convert: () => Promise<T>): Promise<T> {
    this.#idle?.cancel()
    this.#open++
    const converted = this.#last.then(convert).finally(() => {
      if (--this.#open > 0) return
      this.#idle = this.#environment.timers.after(idleMsMax, () => this.#endThread())
    })
    this.#last = converted.catch(() => undefined)
    return converted
  }

  async #ask(
    thread: Thread,
    conversion: Conversion,
    bytes: Uint8Array,
    allowance: Allowance,
  ): Promise<Buffer | null> {
    const question: Question = { conversion, bytes, allowedBytes: allowance.bytesLeft }
    let answer: Answer
    try {
      answer = (await thread.ask(question, [bytes.buffer as ArrayBuffer])) as Answer
    } catch (error) {
      // It has ended; the next one asks another.
      this.#endThread()
      throw error
    }
    if ('failure' in answer) throw errorOf(answer)
    if ('refusal' in answer) throw refusedBy(answer.refusal)
    allowance.bytesLeft = answer.allowedBytes
    return answer.converted === null ? null : viewOf(answer.converted)
  }

  #endThread(): void {
    void this.#thread?.end()
    this.#thread = null
  }
}

function carryOut(conversion: Conversion, bytes: Buffer, allowance: Allowance): Buffer | null {
  if (conversion.to === 'checked batch') {
    const { config, now, name } = conversion
    return validateRecords(bytes, { config, origin: 'client', now, name, allowance })
  }
  return conversion.to === 'batch'
    ? upConvert(bytes, { allowance })
    : downConvert(bytes, conversion.magic, conversion.firstOffset, allowance)
}

const tooMuch = Symbol('tooMuch')

/** Throws what the conversion throws that is not for want of time. */
function tryAtOnce(
  conversion: Conversion,
  bytes: Buffer,
  allowance: ConversionAllowance,
): Buffer | null | typeof tooMuch {
  const allowedBytes = Math.min(allowance.atOnceBytesLeft, allowance.bytesLeft)
  const tried = { bytesLeft: allowedBytes }
  try {
    return carryOut(conversion, bytes, tried)
  } catch (error) {
    tried.bytesLeft = 0
    const isOversized = error instanceof OversizedRecords || error instanceof OversizedBatch
    const isTooMuch = isOversized && allowedBytes < allowance.bytesLeft
    if (!isTooMuch) throw error
    allowance.bytesLeft += allowedBytes
    return tooMuch
  } finally {
    allowance.bytesLeft -= allowedBytes - tried.bytesLeft
    allowance.atOnceBytesLeft -= allowedBytes - tried.bytesLeft
  }
}

/** The program of the thread: what answers the questions. */
export async function convert(question: unknown): Promise<Answer> {
  const { conversion, bytes, allowedBytes } = question as Question
  const allowance = { bytesLeft: allowedBytes }
  try {
    const converted = carryOut(conversion, viewOf(bytes), allowance)
    return { converted, allowedBytes: allowance.bytesLeft }
  } catch (error) {
    return failureOf(error)
  }
}

/** Throws what is a bug. */
function failureOf(error: unknown): Answer {
  if (error instanceof UnsupportedCompression) {
    return { failure: 'unsupported', message: error.message, compression: error.compression }
  }
  if (error instanceof KafkaError) {
    const { error: row, message } = error
    const recordErrors = error instanceof RecordsRejected ? error.recordErrors : null
    return { refusal: { code: row.code, message, recordErrors } }
  }
  if (!(error instanceof CorruptRecords)) throw error
  const failure = error instanceof OversizedRecords ? 'oversized' : 'corrupt'
  return { failure, message: error.message, compression: 'none' }
}

function errorOf({ failure, message, compression }: Extract<Answer, { failure: Kind }>): Error {
  if (failure === 'unsupported') return new UnsupportedCompression(compression, message)
  return failure === 'oversized' ? new OversizedRecords(message) : new CorruptRecords(message)
}

function refusedBy({ code, message, recordErrors }: Refusal): KafkaError {
  const row = errorByCode(code)
  if (recordErrors === null) return new KafkaError(row, message)
  return new RecordsRejected(row, message, recordErrors)
}

function refusalOf(error: unknown): KafkaError {
  if (error instanceof KafkaError) return error
  throw error
}

function wholeOf(converted: Buffer | null): Buffer {
  if (converted === null) throw new Error('a checked batch is one')
  return converted
}

function bytesOf(chunks: readonly Buffer[]): number {
  let bytes = 0
  for (const chunk of chunks) bytes += chunk.length
  return bytes
}

function joined(chunks: readonly Buffer[]): Buffer {
  return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)
}

/** In memory of its own, which can be handed over. */
function copied(chunks: readonly Buffer[]): Uint8Array {
  const copy = new Uint8Array(bytesOf(chunks))
  let at = 0
  for (const chunk of chunks) {
    copy.set(chunk, at)
    at += chunk.length
  }
  return copy
}

function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}

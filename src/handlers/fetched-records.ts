/**
 * The form in which an answer carries what was read: the log's own batches, or for clients from before
 * magic 2 the message sets that they know (KIP-98, KIP-32).
 */
import type { ConversionAllowance, Conversions } from '../log/conversion/conversions.ts'
import type { ReadResult } from '../log/segment-read.ts'
import { refusal } from './record-refusal.ts'

const lastVersionWithMagic0 = 1
const lastVersionWithMagic1 = 3
/** Up to it, the size that the client asks for is kept to the byte, and a message is cut there. */
const lastVersionWithHardLimit = 2

export interface FetchedForm {
  readonly version: number
  /** Records before it are left out of converted sets. */
  readonly fetchOffset: number
  readonly maxBytes: number
  /** What all sets of the answer may unpack to. */
  readonly allowance: ConversionAllowance
  /** Whether the client still is there. */
  readonly isWaiting: () => boolean
}

/** Versions whose answers are converted. */
export function isConverted(version: number): boolean {
  return version <= lastVersionWithMagic1
}

/**
 * Throws, or rejects with, KafkaError: UNSUPPORTED_COMPRESSION_TYPE (zstd has no old form), CORRUPT_MESSAGE, and
 * MESSAGE_TOO_LARGE where the first batch unpacks to more than a whole answer may.
 */
export function recordsForVersion(
  read: ReadResult,
  form: FetchedForm,
  conversions: Conversions,
): readonly Buffer[] | Promise<readonly Buffer[]> {
  const { version, fetchOffset: firstOffset, maxBytes, allowance, isWaiting } = form
  if (!isConverted(version) || read.bytes === 0) return read.chunks
  // The client asks for the rest again.
  if (allowance.bytesLeft <= 0) return []
  const magic = version <= lastVersionWithMagic0 ? 0 : 1
  const cut = (set: Buffer) => {
    const isCut = version <= lastVersionWithHardLimit && set.length > maxBytes
    return [isCut ? set.subarray(0, Math.max(0, maxBytes)) : set]
  }
  try {
    const options = { magic, firstOffset, allowance, isWaiting } as const
    const set = conversions.down(read.chunks, options)
    return set instanceof Promise ? set.then(cut, refuse) : cut(set)
  } catch (error) {
    return refuse(error)
  }
}

function refuse(error: unknown): never {
  throw refusal(error)
}

/**
 * Where a file's deletion vector is: inline in the log as Z85, or in a file, whose first byte is 1 and in which at an
 * offset stand the length (big-endian), the bitmap and its CRC-32 (big-endian).
 */

import { crc32 } from '../../../protocol/records/crc32.ts'
import type { FileInMaking, Storage } from '../../environment/storage.ts'
import type { DeletionVectorDescriptor } from './actions.ts'
import { randomUuid } from './data-writer.ts'
import { corrupt, unsupported } from './delta-error.ts'
import { fileNameOf } from './paths.ts'
import { RowBitmap, type RowBitmapBuilder } from './row-bitmap.ts'
import type { TableEnvironment } from './table-environment.ts'

const formatVersion = 1
/** One bit for each of 2^34 rows: more are in no file. */
const vectorBytesMax = 2 ** 31 - 1

/** The deleted rows. Rejects with DeltaError, DiskError. */
export async function readDeletionVector(
  storage: Storage,
  vector: DeletionVectorDescriptor,
): Promise<RowBitmap> {
  if (!isInFile(vector)) return RowBitmap.read(decodeZ85(vector.pathOrInlineDv, vector.sizeInBytes))
  const name = vectorFileName(vector)
  const { offset, sizeInBytes } = vector
  if (sizeInBytes < 0 || sizeInBytes > vectorBytesMax || (offset ?? 0) < 0) {
    throw corrupt(`deletion vector ${name}: ${sizeInBytes} bytes at ${offset}`)
  }
  const file = await storage.open(name)
  try {
    const at = offset ?? 1
    if (at + sizeInBytes + 8 > file.size) throw corrupt(`deletion vector ${name}: cut short`)
    const first = await file.read(0, 1)
    if (first[0] !== formatVersion)
      throw unsupported(`deletionVectors of format ${first[0]} (${name})`)
    const framed = Buffer.from(await file.read(at, sizeInBytes + 8))
    if (framed.readUInt32BE() !== sizeInBytes)
      throw corrupt(`deletion vector ${name}: another length`)
    const bitmap = framed.subarray(4, 4 + sizeInBytes)
    if (crc32(bitmap) >>> 0 !== framed.readUInt32BE(4 + sizeInBytes)) {
      throw corrupt(`deletion vector ${name}: its checksum does not match`)
    }
    return RowBitmap.read(bitmap)
  } finally {
    await file.close()
  }
}

/** Puts vectors behind one another into one file, which nobody sees before a commit names it. */
export class VectorWriter {
  readonly #file: FileInMaking
  readonly #id: string
  #size = 1

  private constructor(file: FileInMaking, id: string) {
    this.#file = file
    this.#id = id
  }

  /** Rejects with DiskError, as all do. */
  static async create({ storage, random }: TableEnvironment): Promise<VectorWriter> {
    const uuid = randomUuid(random)
    const file = await storage.create(`deletion_vector_${uuid}.bin`)
    await file.write(Uint8Array.of(formatVersion))
    return new VectorWriter(file, encodeZ85(Buffer.from(uuid.replaceAll('-', ''), 'hex')))
  }

  async add(rows: RowBitmapBuilder): Promise<DeletionVectorDescriptor> {
    const bitmap = rows.finish()
    const frame = Buffer.alloc(bitmap.length + 8)
    frame.writeUInt32BE(bitmap.length)
    bitmap.copy(frame, 4)
    frame.writeUInt32BE(crc32(bitmap) >>> 0, bitmap.length + 4)
    await this.#file.write(frame)
    const offset = this.#size
    this.#size += frame.length
    return {
      storageType: 'u',
      pathOrInlineDv: this.#id,
      offset,
      sizeInBytes: bitmap.length,
      cardinality: rows.count,
    }
  }

  finish(): Promise<void> {
    return this.#file.finish()
  }

  discard(): Promise<void> {
    return this.#file.discard()
  }
}

/** Or in the log itself. */
export function isInFile({ storageType }: DeletionVectorDescriptor): boolean {
  return storageType !== 'i'
}

/** The storage's name of the file with the vector. */
export function vectorFileName({ storageType, pathOrInlineDv }: DeletionVectorDescriptor): string {
  if (storageType === 'p') return fileNameOf(pathOrInlineDv)
  if (storageType !== 'u') throw unsupported(`deletionVectors of storage type ${storageType}`)
  const prefix = pathOrInlineDv.slice(0, -20)
  const hex = decodeZ85(pathOrInlineDv.slice(-20), 16).toString('hex')
  const uuid = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
  const file = `deletion_vector_${uuid}.bin`
  return fileNameOf(prefix === '' ? file : `${prefix}/${file}`)
}

const z85Digits =
  '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#'
const z85Values = new Map([...z85Digits].map((digit, value) => [digit, value]))

/** Five characters are four bytes, the highest first; of the last ones no more than `length` asks for count. */
export function decodeZ85(text: string, length: number): Buffer {
  if (text.length % 5 !== 0 || length > (text.length / 5) * 4 || length < 0) {
    throw corrupt('deletion vector: Z85 of another length')
  }
  const bytes = Buffer.alloc((text.length / 5) * 4)
  for (let i = 0; i < text.length; i += 5) {
    let word = 0
    for (let j = i; j < i + 5; j++) {
      const value = z85Values.get(text[j]!)
      if (value === undefined) throw corrupt('deletion vector: not Z85')
      word = word * 85 + value
    }
    if (word > 0xffffffff) throw corrupt('deletion vector: not Z85')
    bytes.writeUInt32BE(word, (i / 5) * 4)
  }
  return bytes.subarray(0, length)
}

/** Of a multiple of four bytes. */
function encodeZ85(bytes: Buffer): string {
  let text = ''
  for (let i = 0; i < bytes.length; i += 4) {
    let word = bytes.readUInt32BE(i)
    let digits = ''
    for (let j = 0; j < 5; j++) {
      digits = z85Digits[word % 85]! + digits
      word = Math.floor(word / 85)
    }
    text += digits
  }
  return text
}

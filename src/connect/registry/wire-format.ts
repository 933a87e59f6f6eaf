/**
 * Values as serializers write them that ask a schema registry: a zero byte, the schema's id in four bytes, the value
 * itself in Avro's binary form or as JSON.
 */
import { AvroReader } from '../../registry/avro/binary.ts'
import { SchemaError } from '../../registry/avro/schema.ts'
import type { Reading } from '../avro/to-connect.ts'
import type { SchemaAndValue } from '../data.ts'
import { DataException } from '../failures.ts'

export const magic = 0
export const headBytes = 5
/** Schemas that are kept ready. */
const plansMax = 1000

/** Throws DataException for bytes that do not name a schema. */
export function schemaIdOf(bytes: Buffer): number {
  if (bytes.length < headBytes || bytes[0] !== magic)
    throw new DataException(
      'Unknown magic byte! The data was not written by a serializer that uses a schema registry: its first byte is not 0',
    )
  return bytes.readInt32BE(1)
}

/** The Avro value behind the id. Throws SchemaError. */
export function avroValue({ schema, read }: Reading, bytes: Buffer): SchemaAndValue {
  const input = new AvroReader(bytes, headBytes)
  const value = read(input)
  if (input.remaining > 0)
    throw new SchemaError(`${input.remaining} bytes are left behind the value`)
  return { schema, value }
}

/** The oldest goes where there are many: a topic whose schemas never repeat shall not fill the memory. */
export function keepPlan<Key, Value>(map: Map<Key, Value>, key: Key, value: Value): void {
  const [oldest] = map.keys()
  if (map.size >= plansMax) map.delete(oldest!)
  map.set(key, value)
}

/** What is wrong with a schema, or with bytes that are not of it, is wrong with the record. */
export function told<Result>(attempt: () => Result): Result {
  try {
    return attempt()
  } catch (error) {
    if (error instanceof SchemaError) throw new DataException(error.message, { cause: error })
    throw error
  }
}

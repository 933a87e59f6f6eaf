/**
 * Between the bytes in Kafka and data: a connector never sees bytes, Kafka never sees data. Options come
 * without their `key.converter.` or `value.converter.` prefix; those a converter does not know it leaves.
 */
import type { HttpClient } from '../../environment/http-client.ts'
import type { Schema, SchemaAndValue } from '../data.ts'
import { ConnectException } from '../failures.ts'

/** One that asks a registry promises an answer where it does not know it yet, and else gives it at once. */
export interface Converter {
  /** Null is a record without this part: for a value, a tombstone. Throws DataException. */
  fromConnectData(
    topic: string,
    schema: Schema | null,
    value: unknown,
  ): Buffer | null | Promise<Buffer | null>
  toConnectData(topic: string, bytes: Buffer | null): SchemaAndValue | Promise<SchemaAndValue>
}

/** One that asks nobody. */
export interface ImmediateConverter extends Converter {
  fromConnectData(topic: string, schema: Schema | null, value: unknown): Buffer | null
  toConnectData(topic: string, bytes: Buffer | null): SchemaAndValue
}

export type ConverterOptions = ReadonlyMap<string, string>
/** `http`: by which a registry is asked. */
export type ConverterFactory = (options: ConverterOptions, http: HttpClient) => Converter

/** An option that is true or false. Throws ConnectException, which names it. */
export function booleanOption(
  options: ConverterOptions,
  name: string,
  otherwise: boolean,
): boolean {
  const text = options.get(name)?.trim().toLowerCase()
  if (text === undefined) return otherwise
  if (text !== 'true' && text !== 'false')
    throw new ConnectException(
      `Invalid value ${text} for configuration ${name}: Expected value to be either true or false`,
    )
  return text === 'true'
}

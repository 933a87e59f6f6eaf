/**
 * Avro with a schema registry, as Confluent's AvroConverter has it: a zero byte, the schema's id in four
 * bytes, and the value in Avro's binary form. What an id means, and which id a schema has, is asked once.
 */
import type { HttpClient } from '../../environment/http-client.ts'
import { AvroWriter } from '../../registry/avro/binary.ts'
import { parseAvro } from '../../registry/avro/parse.ts'
import { isNamed } from '../../registry/avro/schema.ts'
import { type Writing, writingOf } from '../avro/from-connect.ts'
import type { AvroDataOptions } from '../avro/names.ts'
import { RegistryClient } from '../avro/registry-client.ts'
import { type Reading, readingOf } from '../avro/to-connect.ts'
import { nullValue, type Schema, type SchemaAndValue } from '../data.ts'
import { ConnectException, DataException } from '../failures.ts'
import { avroValue, headBytes, keepPlan, schemaIdOf, told } from '../registry/wire-format.ts'
import { booleanOption, type Converter, type ConverterOptions } from './converter.ts'

type SubjectOf = (topic: string, recordName: string | null) => string

/** What needs more than is done here, by name. */
const unsupported = [
  'use.latest.version',
  'use.latest.with.metadata',
  'scrub.invalid.names',
  'generalized.sum.type.support',
  'allow.optional.map.keys',
]

export class AvroConverter implements Converter {
  readonly #client: RegistryClient
  readonly #options: AvroDataOptions
  readonly #subjectOf: SubjectOf
  readonly #mayRegister: boolean
  readonly #normalize: boolean
  readonly #readings = new Map<string, Reading>()
  readonly #writings = new Map<Schema, Writing>()
  /** By subject, of schemas that were registered. */
  readonly #ids = new WeakMap<Writing, Map<string, number>>()

  /** Throws ConnectException where an option is none, or is not supported. */
  constructor(options: ConverterOptions, http: HttpClient) {
    for (const name of unsupported)
      if (booleanOption(options, name, false))
        throw new ConnectException(`${name} is not supported by this AvroConverter`)
    this.#client = new RegistryClient(options, http)
    this.#subjectOf = subjectStrategy(options)
    this.#mayRegister = booleanOption(options, 'auto.register.schemas', true)
    this.#normalize = booleanOption(options, 'normalize.schemas', false)
    this.#options = {
      enhanced: booleanOption(options, 'enhanced.avro.schema.support', false),
      metaData: booleanOption(options, 'connect.meta.data', true),
      flattensSingletons: booleanOption(options, 'flatten.singleton.unions', true),
    }
  }

  fromConnectData(topic: string, schema: Schema | null, value: unknown) {
    if (value === null || value === undefined) {
      if (schema === null || schema.isOptional || schema.defaultValue !== null) return null
      throw new DataException('Found null value for non-optional schema')
    }
    if (schema === null)
      throw new DataException(
        'AvroConverter needs a schema, and this data has none: use a converter that gives it one',
      )
    return told(() => {
      const writing = this.#writing(schema)
      const subject = this.#subjectOf(topic, nameOf(writing.schema))
      const known = this.#ids.get(writing)?.get(subject)
      if (known !== undefined) return encoded(known, writing, value)
      return this.#id(subject, writing).then((id) => told(() => encoded(id, writing, value)))
    })
  }

  toConnectData(topic: string, bytes: Buffer | null): SchemaAndValue | Promise<SchemaAndValue> {
    if (bytes === null) return nullValue
    const id = schemaIdOf(bytes)
    const known = this.#readings.get(`${id} ${topic}`)
    if (known !== undefined) return told(() => avroValue(known, bytes))
    return this.#reading(topic, id).then((reading) => told(() => avroValue(reading, bytes)))
  }

  #writing(schema: Schema): Writing {
    const known = this.#writings.get(schema)
    if (known !== undefined) return known
    const made = writingOf(schema, this.#options)
    keepPlan(this.#writings, schema, made)
    return made
  }

  async #id(subject: string, writing: Writing): Promise<number> {
    const how = { mayRegister: this.#mayRegister, normalize: this.#normalize }
    const id = await this.#client.idOf(subject, writing.text, how)
    const ids = this.#ids.get(writing) ?? new Map<string, number>()
    this.#ids.set(writing, ids.set(subject, id))
    return id
  }

  async #reading(topic: string, id: number): Promise<Reading> {
    const { text, references } = await this.#client.schema(id)
    const { schema } = told(() => parseAvro(text, { references, isStrict: false }))
    const subject = this.#subjectOf(topic, nameOf(schema))
    const version = schema.kind === 'record' ? await this.#client.versionOf(id, subject) : null
    const reading = told(() => readingOf(schema, this.#options, version))
    keepPlan(this.#readings, `${id} ${topic}`, reading)
    return reading
  }
}

function encoded(id: number, writing: Writing, value: unknown): Buffer {
  const head = Buffer.alloc(headBytes)
  head.writeInt32BE(id, 1)
  const out = new AvroWriter()
  out.raw(head)
  writing.write(out, value)
  return out.taken()
}

function subjectStrategy(options: ConverterOptions): SubjectOf {
  const part = options.get('converter.type') === 'key' ? 'key' : 'value'
  const given = options.get(`${part}.subject.name.strategy`) ?? 'TopicNameStrategy'
  switch (given.slice(given.lastIndexOf('.') + 1)) {
    case 'TopicNameStrategy':
      return (topic) => `${topic}-${part}`
    case 'RecordNameStrategy':
      return (_topic, name) => required(name)
    case 'TopicRecordNameStrategy':
      return (topic, name) => `${topic}-${required(name)}`
    default:
      throw new ConnectException(
        `Invalid value ${given} for configuration ${part}.subject.name.strategy: known are TopicNameStrategy, RecordNameStrategy and TopicRecordNameStrategy`,
      )
  }
}

function required(name: string | null): string {
  if (name !== null) return name
  throw new DataException(
    'In the subject name strategy in use a schema has to have a name: a record',
  )
}

function nameOf(schema: Writing['schema']): string | null {
  return isNamed(schema) ? schema.name.full : null
}

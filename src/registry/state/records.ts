/**
 * The records of `_schemas`, in the usual registry's format: JSON for key and value.
 *
 *     {"keytype":"SCHEMA","subject":"orders-value","version":1,"magic":1}
 *     {"subject":"orders-value","version":1,"id":7,"md5":"…","schema":"…","deleted":false}
 *
 * | keytype | magic | value |
 * | --- | --- | --- |
 * | SCHEMA | 1 | a version of a subject; null: gone for good |
 * | CONFIG | 0 | `compatibilityLevel`, of a subject or, without one, of all; null: unset |
 * | MODE | 0 | `mode`, likewise |
 * | DELETE_SUBJECT | 0 | versions up to `version` are deleted, softly |
 * | CLEAR_SUBJECT | 0 | all versions are gone |
 * | NOOP | 0 | null; moves the end of the log |
 *
 * What others wrote there and is none of these is nobody's loss: it is passed over.
 */
import { createHash } from 'node:crypto'

export interface Reference {
  /** Under which the schema knows it: for Avro the full name of a type. */
  readonly name: string
  readonly subject: string
  readonly version: number
}

/** A version of a subject. Immutable: who deletes it softly puts another in its place. */
export interface StoredSchema {
  readonly subject: string
  readonly version: number
  readonly id: number
  readonly type: string
  readonly text: string
  readonly references: readonly Reference[]
  /** Data contracts, kept as they came; null: none. */
  readonly metadata: object | null
  readonly ruleSet: object | null
  readonly isDeleted: boolean
}

export interface Config {
  readonly compatibilityLevel?: string
  readonly normalize?: boolean
  readonly alias?: string
}

export type RegistryRecord =
  | {
      readonly type: 'SCHEMA'
      readonly subject: string
      readonly version: number
      readonly value: StoredSchema | null
    }
  | { readonly type: 'CONFIG'; readonly subject: string | null; readonly value: Config | null }
  | { readonly type: 'MODE'; readonly subject: string | null; readonly value: string | null }
  | { readonly type: 'DELETE_SUBJECT'; readonly subject: string; readonly version: number }
  | { readonly type: 'CLEAR_SUBJECT'; readonly subject: string }
  | { readonly type: 'NOOP' }

export interface KeyAndValue {
  readonly key: Buffer
  readonly value: Buffer | null
}

/** The same for schemas of the same content, whatever their subject, version and id. */
export function contentOf(
  schema: Pick<StoredSchema, 'type' | 'text' | 'references' | 'metadata' | 'ruleSet'>,
): string {
  return `${schema.type}:${md5(schema).toString('hex')}`
}

/** The schema's own id that is the same in every registry. */
export function guidOf(schema: StoredSchema): string {
  const hex = md5(schema).toString('hex')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

/** Of the schemas that a guid stands for, by type; whatever it is written like, none is a guid of another. */
export function contentsOfGuid(guid: string, types: readonly string[]): string[] {
  const hex = guid.replaceAll('-', '').toLowerCase()
  return types.map((type) => `${type}:${hex}`)
}

function md5(schema: Pick<StoredSchema, 'text' | 'references' | 'metadata' | 'ruleSet'>): Buffer {
  const hash = createHash('md5').update(schema.text)
  for (const { name, subject, version } of schema.references) {
    const bytes = Buffer.alloc(4)
    bytes.writeInt32BE(version)
    hash.update(name).update(subject).update(bytes)
  }
  for (const part of [schema.metadata, schema.ruleSet])
    if (part !== null) hash.update('\u0001').update(JSON.stringify(part))
  return hash.digest()
}

export function encodeRecord(record: RegistryRecord): KeyAndValue {
  const { type: keytype } = record
  const key = Buffer.from(
    JSON.stringify({
      keytype,
      ...('subject' in record && record.subject !== null ? { subject: record.subject } : {}),
      ...(record.type === 'SCHEMA' ? { version: record.version } : {}),
      magic: record.type === 'SCHEMA' ? 1 : 0,
    }),
  )
  const value = storedValue(record)
  return { key, value: value === null ? null : Buffer.from(JSON.stringify(value)) }
}

function storedValue(record: RegistryRecord): object | null {
  switch (record.type) {
    case 'SCHEMA':
      return record.value === null ? null : schemaValue(record.value)
    case 'CONFIG':
      return record.value === null ? null : { ...subjectOf(record), ...record.value }
    case 'MODE':
      return record.value === null ? null : { ...subjectOf(record), mode: record.value }
    case 'DELETE_SUBJECT':
      return { subject: record.subject, version: record.version }
    case 'CLEAR_SUBJECT':
      return { subject: record.subject }
    case 'NOOP':
      return null
  }
}

function subjectOf({ subject }: { subject: string | null }): object {
  return subject === null ? {} : { subject }
}

function schemaValue(schema: StoredSchema): object {
  const { subject, version, id, type, references, metadata, ruleSet, text, isDeleted } = schema
  return {
    subject,
    version,
    id,
    md5: md5(schema).toString('base64'),
    ...(type === 'AVRO' ? {} : { schemaType: type }),
    ...(references.length === 0 ? {} : { references }),
    ...(metadata === null ? {} : { metadata }),
    ...(ruleSet === null ? {} : { ruleSet }),
    schema: text,
    deleted: isDeleted,
  }
}

/** Null where it is none that this registry understands. */
export function decodeRecord(key: Buffer | null, value: Buffer | null): RegistryRecord | null {
  const fields = objectOf(key)
  if (fields === null) return null
  const subject = textOf(fields['subject'])
  const values = value === null ? null : objectOf(value)
  if (value !== null && values === null) return null
  switch (fields['keytype']) {
    case 'SCHEMA':
      return schemaRecord(subject, fields['version'], values)
    case 'CONFIG':
      return { type: 'CONFIG', subject, value: values === null ? null : configOf(values) }
    case 'MODE':
      return { type: 'MODE', subject, value: values === null ? null : textOf(values['mode']) }
    case 'NOOP':
      return { type: 'NOOP' }
    case 'CLEAR_SUBJECT':
      return subject === null || values === null ? null : { type: 'CLEAR_SUBJECT', subject }
    case 'DELETE_SUBJECT': {
      const version = values?.['version']
      if (subject === null || !isCount(version)) return null
      return { type: 'DELETE_SUBJECT', subject, version }
    }
    default:
      return null
  }
}

function schemaRecord(
  subject: string | null,
  version: unknown,
  values: Fields | null,
): RegistryRecord | null {
  if (subject === null || !isCount(version)) return null
  if (values === null) return { type: 'SCHEMA', subject, version, value: null }
  const { id, schema } = values
  if (!isCount(id) || typeof schema !== 'string') return null
  const value: StoredSchema = {
    subject,
    version,
    id,
    type: textOf(values['schemaType']) ?? 'AVRO',
    text: schema,
    references: referencesOf(values['references']) ?? [],
    metadata: plainObject(values['metadata']),
    ruleSet: plainObject(values['ruleSet']),
    isDeleted: values['deleted'] === true,
  }
  return { type: 'SCHEMA', subject, version, value }
}

type Fields = Readonly<Record<string, unknown>>

/** Undefined where they are none. */
export function referencesOf(value: unknown): readonly Reference[] | undefined {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) return undefined
  const references = value.map((row: unknown) => {
    const { name, subject, version } = (plainObject(row) ?? {}) as Fields
    const isWhole = typeof name === 'string' && typeof subject === 'string'
    // As in a request for a version, -1 is the last one; it is stored as a number of its own.
    const isVersion = isCount(version) || version === -1
    return isWhole && isVersion ? { name, subject, version: version as number } : null
  })
  return references.includes(null) ? undefined : (references as Reference[])
}

export function configOf(values: Fields): Config {
  const level = textOf(values['compatibilityLevel'])
  const alias = textOf(values['alias'])
  const { normalize } = values
  return {
    ...(level === null ? {} : { compatibilityLevel: level }),
    ...(typeof normalize === 'boolean' ? { normalize } : {}),
    ...(alias === null ? {} : { alias }),
  }
}

export function plainObject(value: unknown): object | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : null
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

/** A number from 0 that fits an int32. */
function isCount(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 31
}

function objectOf(bytes: Buffer | null): Fields | null {
  if (bytes === null) return null
  try {
    return plainObject(JSON.parse(bytes.toString())) as Fields | null
  } catch (error) {
    if (error instanceof SyntaxError) return null
    throw error
  }
}

/**
 * The settings of a topic that is kept as a table too (`table.enable`), and where such a table lies. They are
 * settings of topics like all others: set, described and deleted with any of Kafka's tools.
 *
 * Whoever may alter a topic says with `table.location` where files are written, so that it stays below `table.dir`
 * unless the node allows more. Both may be directories, or places in an object store (`s3://BUCKET/PREFIX`).
 */
import path from 'node:path'
import type { BrokerConfig } from './broker-config.ts'
import {
  any,
  atLeast,
  boolean,
  type Check,
  ConfigError,
  eachOneOf,
  list,
  long,
  oneOf,
  string,
} from './definition.ts'
import { isInternalTopic } from './internal-topics.ts'

/** Each is the column `kafka_…` where `table.kafka.columns` has it. */
export const kafkaCoordinates = ['topic', 'partition', 'offset', 'timestamp', 'key', 'headers']

const inferred = 'inferred'
/** A subject may be named behind it. */
const registered = /^registry(?::(.+))?$/s

const schemaCheck: Check<string> = {
  allowed: "inferred, registry, registry:SUBJECT, or columns as Delta's schemaString has them",
  check: (text) => {
    if (text !== inferred && !registered.test(text)) refuseNoSchema(text)
  },
}

export const partitionCheck: Check<readonly string[]> = {
  allowed: 'columns, or date, year, month or hour of one: country, date(created) as day',
  check: (items) => void parsePartitionItems(items),
}

export const propertyCheck: Check<readonly string[]> = {
  allowed: 'NAME=VALUE, …',
  check: (items) => {
    for (const item of items) {
      if (!/^[^=\s]+\s*=/.test(item)) throw new Error(`${item} is not NAME=VALUE`)
    }
  },
}

const deadLetterCheck: Check<string> = {
  allowed: 'the name of a topic, none of the broker itself, or nothing',
  check: (name) => {
    if (!/^[\w.-]{0,249}$/.test(name) || name === '.' || name === '..') {
      throw new Error('Value must be the name of a topic')
    }
    if (isInternalTopic(name)) throw new Error(`${name} takes no dead letters`)
  },
}

export const tableConfigs = {
  'table.commit.interval.ms': long(5000, atLeast(100), {
    doc: 'How long a record waits at most until it is in the table.',
  }),
  'table.dead.letter.topic': string('', deadLetterCheck, {
    doc: 'The topic for records that fit no row, with headers that say why; it is made where it is missing. Without it table.errors.tolerance decides.',
  }),
  'table.enable': boolean(false, {
    doc: 'Whether the records of the topic are kept as rows of a table too, each once.',
  }),
  'table.errors.tolerance': string('none', oneOf('none', 'all'), {
    doc: 'none: a record that fits no row stops the table until the settings are changed; all: it is left out.',
  }),
  'table.format': string('delta', oneOf('delta'), {
    doc: 'What the table is: a Delta Lake table.',
  }),
  'table.kafka.columns': list(
    ['partition', 'offset', 'timestamp'],
    eachOneOf(...kafkaCoordinates),
    {
      doc: 'What of a record beside its value has a column, named kafka_partition and so on.',
    },
  ),
  'table.key.format': string('string', oneOf('string', 'json', 'bytes', 'registry'), {
    doc: 'What keys are, where they have a column; registry: as with table.value.format.',
  }),
  'table.key.mode': string('append', oneOf('append', 'upsert'), {
    doc: 'append: each record is a row. upsert: each key has one row, that of its last record in its partition, found by the column kafka_key or, where keys are objects (table.key.format=json, registry), by the columns of their fields; a record without a value deletes it.',
  }),
  'table.location': string('', any, {
    doc: "The directory of the table or s3://BUCKET/PREFIX, below the node's table.dir; ${topic} stands for the topic's name, which is also the default. Another location is another table, and gets all records of the topic.",
  }),
  'table.maintenance': list(['optimize', 'vacuum'], eachOneOf('optimize', 'vacuum'), {
    doc: 'optimize: small files are put together; vacuum: files that no version within delta.deletedFileRetentionDuration (a week) needs are deleted, once a day.',
  }),
  'table.partition.by': list([], partitionCheck, {
    doc: 'Columns that a new table is partitioned by, or parts of a time, of a column or of the record ($timestamp): country, date(created) as day, hour($timestamp).',
  }),
  'table.properties': list([], propertyCheck, {
    doc: 'Properties of a new table: delta.enableChangeDataFeed=true, …',
  }),
  'table.schema': string(inferred, schemaCheck, {
    doc: "Columns of a new table, as Delta's schemaString has them; inferred: those that the records need; registry, or registry:SUBJECT: those of the last version of a subject in the schema registry, TOPIC-value where none is named. Then all values have to be of that subject, as table.value.format=registry has them, and columns follow its versions as table.schema.evolution says.",
  }),
  'table.schema.evolution': string('add', oneOf('none', 'add', 'widen'), {
    doc: 'What may become of the columns of a table that is there: none: nothing; add: new ones, which may be empty; widen: also wider types, where the table has delta.enableTypeWidening.',
  }),
  'table.value.format': string('json', oneOf('json', 'string', 'bytes', 'registry'), {
    doc: 'What values are: json: objects, each field of which has a column; registry: the same, in Avro or in JSON with a JSON Schema, as serializers write them that ask the schema registry; string, bytes: the column value holds them.',
  }),
} as const

/** A topic that is kept as a table. Plain data, which can be handed to a thread. */
export interface TopicTable {
  readonly topic: string
  /** A topic that is made anew is another. */
  readonly topicId: string
  readonly partitionCount: number
  readonly location: string
  /** Why it may not lie there; null: it may. */
  readonly refusal: string | null
  /** The settings above that the topic has, by their names. */
  readonly texts: ReadonlyMap<string, string>
}

/** Where the columns of a table come from: the records, a schema that is given, a subject of the schema registry. */
export type ColumnSource =
  | { readonly kind: 'inferred' }
  | { readonly kind: 'given'; readonly schema: string }
  | { readonly kind: 'registry'; readonly subject: string }

/** What `table.schema` says. */
export function columnSource(text: string, topic: string): ColumnSource {
  if (text === inferred) return { kind: 'inferred' }
  const found = registered.exec(text)
  if (found === null) return { kind: 'given', schema: text }
  return { kind: 'registry', subject: found[1] ?? `${topic}-value` }
}

/** Topics in which the schema registry and connectors keep their state, by the names that they have unless told otherwise. */
const topicsOfState = new Set(['_schemas', 'connect-configs', 'connect-offsets', 'connect-status'])

/** What of a topic's settings does not go together, or with what the topic is. Throws ConfigError. */
export function checkTable(topic: string, texts: ReadonlyMap<string, string>): void {
  const enabled = texts.get('table.enable') ?? 'false'
  const isOfState = isInternalTopic(topic) || topicsOfState.has(topic)
  if (isOfState && enabled.trim().toLowerCase() === 'true') {
    throw new ConfigError(
      'table.enable',
      `Invalid value ${enabled} for configuration table.enable: ${topic} holds state of the broker, the schema registry or connectors, and is not kept as a table`,
    )
  }
  const name = 'table.value.format'
  const format = texts.get(name) ?? 'registry'
  const { kind } = columnSource(texts.get('table.schema') ?? inferred, '')
  if (kind !== 'registry' || format === 'registry') return
  throw new ConfigError(
    name,
    `Invalid value ${format} for configuration ${name}: with table.schema=registry values are in the format registry`,
  )
}

/**
 * What of a change a table that is there could not follow. Whether it is there is not known here: where the topic was to be
 * kept as one that is assumed. Throws ConfigError.
 */
export function checkTableChange(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): void {
  const name = 'table.partition.by'
  const isKept = [before, after].every((texts) => texts.get('table.enable')?.trim() === 'true')
  const isMoved = before.get('table.location') !== after.get('table.location')
  const columns = (after.get(name) ?? '').trim()
  if (!isKept || isMoved || columns === '' || columns === before.get(name)?.trim()) return
  throw new ConfigError(
    name,
    `Invalid value ${columns} for configuration ${name}: a table stays partitioned as it is. With another table.location a new one is made, and gets all records; where there is none yet, set table.enable=false first`,
  )
}

const objectScheme = /^s3a?:\/\//i

/** Whether a place is in an object store, and no directory. */
function isObjectPlace(place: string): boolean {
  return objectScheme.test(place)
}

/** As `path.resolve`, also where one of the two is in an object store. */
function resolvedPlace(root: string, given: string): string {
  if (isObjectPlace(given)) return objectPlace(given)
  return isObjectPlace(root) ? objectPlace(`${root}/${given}`) : path.resolve(root, given)
}

function objectPlace(text: string): string {
  return `s3://${path.posix.join(...text.replace(objectScheme, '').split('/'))}`
}

function isBelow(root: string, place: string): boolean {
  if (isObjectPlace(root) || isObjectPlace(place)) return place.startsWith(`${root}/`)
  const below = path.relative(root, place)
  return below !== '' && below.split(path.sep)[0] !== '..' && !path.isAbsolute(below)
}

/** The directory, or the place in an object store, below which the tables of topics lie. */
function tableDirectory(broker: BrokerConfig): string {
  const given = broker.get('table.dir')
  if (given !== null && given !== '') return resolvedPlace('', given)
  const [first = ''] = broker.get('log.dirs') ?? broker.get('log.dir')
  // Beside it: Kafka takes no directories below it that are no partitions.
  return `${path.resolve(first)}-tables`
}

/** Where the table of a topic lies. Throws ConfigError where it may not lie there. */
export function tableLocation(
  topic: string,
  texts: ReadonlyMap<string, string>,
  broker: BrokerConfig,
): string {
  const name = 'table.location'
  const given = (texts.get(name) ?? '').trim()
  if (/^[a-z][a-z0-9+.-]*:/i.test(given) && !isObjectPlace(given)) {
    const message = `Invalid value ${given} for configuration ${name}: it is a directory or s3://BUCKET/PREFIX, and no other URL`
    throw new ConfigError(name, message)
  }
  const root = tableDirectory(broker)
  const location = resolvedPlace(root, given === '' ? topic : given.replaceAll('${topic}', topic))
  if (broker.get('table.location.anywhere') || isBelow(root, location)) return location
  throw new ConfigError(
    name,
    `Invalid value ${given} for configuration ${name}: tables lie below ${root} (table.dir), unless the node has table.location.anywhere=true`,
  )
}

export interface PartitionItem {
  /** The column that the table is partitioned by. */
  readonly name: string
  /** Of which time it is a part; null: it is a column of its own. */
  readonly derived: {
    readonly part: 'date' | 'year' | 'month' | 'hour'
    /** A column; null: the record's timestamp. */
    readonly source: string | null
  } | null
}

const recordTimestamp = '$timestamp'

/** Throws an Error whose message says what is expected. */
function parsePartitionItem(item: string): PartitionItem {
  const found = /^(\w+)\(\s*([^()]+?)\s*\)(?:\s+as\s+([^\s()]+))?$/.exec(item)
  if (found === null) {
    if (/^[^()$]+$/.test(item)) return { name: item, derived: null }
    throw new Error(`${item} is neither a column nor a part of one`)
  }
  const [, part = '', of = '', given] = found
  if (part !== 'date' && part !== 'year' && part !== 'month' && part !== 'hour') {
    throw new Error(`${part} is none of date, year, month, hour`)
  }
  const source = of === recordTimestamp ? null : of
  if (source?.startsWith('$') === true) throw new Error(`${source} is not ${recordTimestamp}`)
  return { name: given ?? `${source ?? 'timestamp'}_${part}`, derived: { part, source } }
}

/** Throws an Error whose message says what is expected. */
export function parsePartitionItems(items: readonly string[]): PartitionItem[] {
  const parsed = items.map(parsePartitionItem)
  const names = parsed.map(({ name }) => name)
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice !== undefined) throw new Error(`${twice} comes twice`)
  return parsed
}

const primitive =
  /^(string|long|integer|short|byte|float|double|boolean|binary|date|timestamp|timestamp_ntz|decimal\(\d+, *\d+\))$/
/** Types within types. */
const depthMax = 50

/** Whether it is a schema at all; whether a table can be made of it is seen when it is made. */
function refuseNoSchema(text: string): void {
  let schema: unknown
  try {
    schema = JSON.parse(text)
  } catch (error) {
    throw new Error(`it is neither ${inferred}, registry nor JSON: ${(error as Error).message}`)
  }
  refuseNoType(schema, 'the schema', 0)
  if ((schema as { type?: unknown }).type !== 'struct') throw new Error('the schema is no struct')
}

interface TypeJson {
  readonly type?: unknown
  readonly fields?: unknown
  readonly elementType?: unknown
  readonly keyType?: unknown
  readonly valueType?: unknown
}

function refuseNoType(type: unknown, at: string, depth: number): void {
  if (depth > depthMax) throw new Error(`${at.slice(0, 100)}… is too deep`)
  if (typeof type === 'string') {
    if (!primitive.test(type)) throw new Error(`${at} is of an unknown type ${type.slice(0, 60)}`)
    return
  }
  const nested: TypeJson = typeof type === 'object' && type !== null ? type : {}
  if (nested.type === 'array') refuseNoType(nested.elementType, `${at}[]`, depth + 1)
  else if (nested.type === 'map') {
    refuseNoType(nested.keyType, `${at} (key)`, depth + 1)
    refuseNoType(nested.valueType, `${at} (value)`, depth + 1)
  } else if (nested.type === 'struct' && Array.isArray(nested.fields)) {
    refuseNoFields(nested.fields, at, depth)
  } else throw new Error(`${at} is no type: ${(JSON.stringify(type) ?? 'nothing').slice(0, 60)}`)
}

function refuseNoFields(fields: readonly unknown[], at: string, depth: number): void {
  const names = new Set<string>()
  for (const field of fields) {
    const { name, type } = (field ?? {}) as { readonly name?: unknown; readonly type?: unknown }
    if (typeof name !== 'string' || name === '')
      throw new Error(`${at} has a column without a name`)
    if (names.has(name.toLowerCase())) throw new Error(`${at} has the column ${name} twice`)
    names.add(name.toLowerCase())
    refuseNoType(type, `the column ${name}`, depth + 1)
  }
  if (fields.length === 0) throw new Error(`${at} has no columns`)
}

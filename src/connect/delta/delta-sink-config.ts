/**
 * The settings of the Delta sink. Names that begin with `table.` say what the table is like and when it is
 * committed, those with `kafka.` which of a record's coordinates get a column.
 */
import {
  atLeast,
  boolean,
  ConfigError,
  int,
  list,
  long,
  oneOf,
  string,
} from '../../config/definition.ts'
import { partitionCheck, propertyCheck } from '../../config/table-configs.ts'
import { fieldsOfText, type NewTable, newTable } from '../../tables/delta/new-table.ts'
import {
  isObjectLocation,
  partsOfLocation,
  type Variables,
} from '../../tables/storage/s3-settings.ts'
import { ConfigDef, type ConfigValue, key, required, type Settings } from '../config-def.ts'
import { type Advice, connectorAdvice } from './advice.ts'
import { nullable } from './column-types.ts'
import type { LandingSettings } from './landing-table.ts'
import { parsePartitioning } from './partitioning.ts'
import { storageKeys, storageVariables } from './table-storage.ts'

const columnCheck = { allowed: 'a name of a column, or nothing', check: () => undefined }
const columnName = () => string('', columnCheck)

export const deltaSinkConfig = new ConfigDef({
  'table.path': required(
    string(null),
    'HIGH',
    'The directory of the table, or s3://BUCKET/PREFIX. ${topic} stands for the topic of a record, as transforms leave it; without it all topics go to one table.',
  ),
  'table.create': key(boolean(true), 'MEDIUM', 'Make the table where there is none.'),
  'table.begin': key(
    string('committed', oneOf('committed', 'earliest')),
    'LOW',
    'Where reading begins in a partition that the table knows nothing of: where the group of the connector has come to, or at the first record there is.',
  ),
  'table.schema': key(
    string(null),
    'MEDIUM',
    "Columns of a table that is made, as Delta's schemaString has them; else those that its first records need.",
  ),
  'table.schema.evolution': key(
    string('add', oneOf('none', 'add', 'widen')),
    'MEDIUM',
    'What may become of columns: none: nothing; add: new ones, which may be empty; widen: also wider types where the table has delta.enableTypeWidening. What does not fit is treated as errors.tolerance says.',
  ),
  'table.partition.by': key(
    list([], partitionCheck),
    'MEDIUM',
    'Columns that a table that is made is partitioned by, or parts of a time, of a column or of the record ($timestamp): country, date(created) as day, hour($timestamp).',
  ),
  'table.properties': key(
    list([], propertyCheck),
    'LOW',
    'Properties of a table that is made: delta.enableChangeDataFeed=true, …',
  ),
  'table.key.mode': key(
    string('append', oneOf('append', 'upsert')),
    'MEDIUM',
    'append: each record is a row; one without a value has only its key and coordinates. upsert: each key has one row, that of its last record, found by kafka.key.column or, where keys are objects, by columns of their fields; a record without a value deletes it.',
  ),
  'table.value.column': key(
    columnName(),
    'LOW',
    'A column for the whole value, for values that are no objects; without it each field has a column.',
  ),
  'table.commit.interval.ms': key(
    long(10_000, atLeast(1)),
    'HIGH',
    'How long a row waits for its commit at most; no longer than offset.flush.interval.ms of the worker.',
  ),
  'table.commit.rows': key(
    int(1_000_000, atLeast(1)),
    'MEDIUM',
    'So many rows that wait are committed at once.',
  ),
  'table.commit.bytes': key(
    long(64 * 1024 * 1024, atLeast(1)),
    'MEDIUM',
    'So many bytes in memory that wait are committed at once.',
  ),
  ...storageKeys,
  'kafka.topic.column': key(columnName(), 'LOW', 'A column for the topic: string.'),
  'kafka.partition.column': key(columnName(), 'LOW', 'A column for the partition: integer.'),
  'kafka.offset.column': key(columnName(), 'LOW', 'A column for the offset: long.'),
  'kafka.timestamp.column': key(columnName(), 'LOW', 'A column for the timestamp: timestamp.'),
  'kafka.key.column': key(columnName(), 'LOW', 'A column for the key, of its own type.'),
  'kafka.headers.column': key(
    columnName(),
    'LOW',
    'A column for the headers: array of struct of key and value, both text.',
  ),
})

const noKeyColumn =
  'Invalid value upsert for configuration table.key.mode: rows are found by kafka.key.column, which is not set'

/** To write so many ahead of a commit takes some 30 ms; they are a small part of what a commit has. */
const batchRowsMax = 4096

export interface DeltaSinkSettings {
  /** With `${topic}` in it. */
  readonly path: string
  readonly intervalMs: number
  readonly rowsMax: number
  readonly bytesMax: number
  /** A partition that the table knows nothing of is read whole. */
  readonly beginsEarliest: boolean
  /** Transforms may give records of one topic to several tables. */
  readonly mayRoute: boolean
  readonly landing: LandingSettings
  /** Of the object store, by the names of `s3-settings.ts`: what is not to be as in this process. */
  readonly storage: Variables
}

/** Throws ConfigError; DeltaError for what is no table. */
export function parseDeltaSink(
  settings: Settings,
  advice: Advice = connectorAdvice,
): DeltaSinkSettings {
  const config = deltaSinkConfig.parse(settings)
  const properties = propertiesOf(config['table.properties'])
  const schema = config['table.schema']
  const named = (name: string) => (name === '' ? null : name)
  const isUpsert = config['table.key.mode'] === 'upsert'
  if (isUpsert && named(config['kafka.key.column']) === null)
    throw new ConfigError('table.key.mode', noKeyColumn)
  return {
    path: config['table.path'],
    intervalMs: config['table.commit.interval.ms'],
    rowsMax: config['table.commit.rows'],
    bytesMax: config['table.commit.bytes'],
    beginsEarliest: config['table.begin'] === 'earliest',
    storage: storageVariables(config),
    mayRoute: (settings.get('transforms') ?? '').trim() !== '',
    landing: {
      connector: settings.get('name') ?? '',
      fields: schema === null || schema === '' ? null : fieldsOfText(schema, properties),
      properties,
      mayCreate: config['table.create'],
      rows: {
        kafka: {
          topic: named(config['kafka.topic.column']),
          partition: named(config['kafka.partition.column']),
          offset: named(config['kafka.offset.column']),
          timestamp: named(config['kafka.timestamp.column']),
          key: named(config['kafka.key.column']),
          headers: named(config['kafka.headers.column']),
        },
        valueColumn: named(config['table.value.column']),
        partitioning: parsePartitioning(config['table.partition.by']),
        evolution: config['table.schema.evolution'] as 'none' | 'add' | 'widen',
        batchRows: Math.min(batchRowsMax, Math.ceil(config['table.commit.rows'] / 8)),
        ...{ advice, isUpsert },
      },
    },
  }
}

/** The directory of a topic's table. */
export function tablePath(template: string, topic: string): string {
  return template.replaceAll('${topic}', topic)
}

/** What is wrong beyond single values, beside the name that it is wrong with. */
export function validateDeltaSink(
  settings: Settings,
  values: readonly ConfigValue[],
): readonly ConfigValue[] {
  if (values.some(({ errors }) => errors.length > 0)) return values
  const complain = (name: string, error: unknown) => {
    values.find((value) => value.name === name)?.errors.push((error as Error).message)
  }
  const config = deltaSinkConfig.parse(settings)
  if (config['table.key.mode'] === 'upsert' && config['kafka.key.column'] === '')
    complain('table.key.mode', new Error(noKeyColumn))
  const properties = propertiesOf(config['table.properties'])
  const path = config['table.path']
  if (isObjectLocation(path))
    attempt(() => partsOfLocation(tablePath(path, 'topic')), complain, 'table.path')
  const only = nullable('column', { kind: 'int64' })
  attempt(() => made({ fields: [only], properties }), complain, 'table.properties')
  const schema = config['table.schema']
  if (schema !== null && schema !== '') {
    attempt(() => made({ fields: fieldsOfText(schema, properties) }), complain, 'table.schema')
  }
  return values
}

function attempt(
  work: () => unknown,
  complain: (name: string, error: unknown) => void,
  name: string,
): void {
  try {
    work()
  } catch (error) {
    complain(name, error)
  }
}

/** A table that is thrown away. */
function made(definition: Parameters<typeof newTable>[0]): NewTable {
  const random = { float: () => 0, bytes: (length: number) => Buffer.alloc(length) }
  const clock = { now: () => 0, monotonic: () => 0 }
  return newTable(definition, { random, clock })
}

function propertiesOf(items: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    items.map((item) => {
      const at = item.indexOf('=')
      if (at < 1) throw new Error(`${item} is not NAME=VALUE`)
      return [item.slice(0, at).trim(), item.slice(at + 1).trim()]
    }),
  )
}

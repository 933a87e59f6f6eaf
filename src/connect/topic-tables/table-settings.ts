/** The settings of a topic that is a table, as those of the Delta sink that lands it. */
import { parseSetting } from '../../config/definition.ts'
import {
  columnSource,
  kafkaCoordinates,
  type TopicTable,
  tableConfigs,
} from '../../config/table-configs.ts'
import { jsonText } from '../../tables/columns/exact-json.ts'
import { fieldJson } from '../../tables/delta/new-table.ts'
import type { Settings } from '../config-def.ts'
import type { ConverterFactory } from '../converters/converter.ts'
import { fieldsOfSchema } from '../delta/column-types.ts'
import {
  dataSchemaOf,
  RegistryConverter,
  type SchemaSource,
} from '../registry/registry-converter.ts'

const kafka = 'org.apache.kafka.connect'

const converters = {
  json: `${kafka}.json.JsonConverter`,
  string: `${kafka}.storage.StringConverter`,
  bytes: `${kafka}.converters.ByteArrayConverter`,
  registry: 'millrace.connect.registry.RegistryConverter',
}
type Format = keyof typeof converters

/** Those that a worker has for tables of topics beside those that it has for everybody. */
export function tableConverters(schemas: SchemaSource): ReadonlyMap<string, ConverterFactory> {
  const make: ConverterFactory = (options) =>
    new RegistryConverter(schemas, options.get('subject') ?? null)
  return new Map([[converters.registry, make]])
}

/** Of whose values each field has a column. */
const hasFields: ReadonlySet<Format> = new Set(['json', 'registry'])

/** The group in which the topic is read: how far behind its table is can be seen there. */
export function groupOf({ topic }: Pick<TopicTable, 'topic'>): string {
  return `table-${topic}`
}

const connectorPrefix = 'topic-table/'

/** The topics whose records a table has, by the applications of which it knows how far they are. */
export function topicsOf(appIds: Iterable<string>): Set<string> {
  const topics = new Set<string>()
  for (const appId of appIds) {
    if (!appId.startsWith(connectorPrefix)) continue
    const [, topic] = appId.slice(connectorPrefix.length).split('/')
    if (topic !== undefined) topics.add(topic)
  }
  return topics
}

/** What is done for the table beside landing rows in it. */
export function maintenanceOf({ texts }: TopicTable): {
  readonly optimizes: boolean
  readonly vacuums: boolean
} {
  const name = 'table.maintenance'
  const policy = parseSetting(name, tableConfigs[name], texts.get(name) ?? 'optimize,vacuum')
  return { optimizes: policy.includes('optimize'), vacuums: policy.includes('vacuum') }
}

type SettingName = keyof typeof tableConfigs

function textOf({ texts }: TopicTable, name: SettingName): string {
  return texts.get(name) ?? tableConfigs[name].defaultText ?? ''
}

/** The topic for records that have no row; empty: there is none. */
export function deadLettersOf(table: TopicTable): string {
  return textOf(table, 'table.dead.letter.topic')
}

/** Whether a record that has no row is left out; else it stops the table. */
export function toleratesErrors(table: TopicTable): boolean {
  return deadLettersOf(table) !== '' || textOf(table, 'table.errors.tolerance') === 'all'
}

function columnsOf(table: TopicTable) {
  return columnSource(textOf(table, 'table.schema'), table.topic)
}

/**
 * The columns that a new table has from its beginning, as Delta's schemaString; empty: those that its records need. Rejects
 * with RetriableException, DataException.
 */
export async function firstColumns(table: TopicTable, schemas: SchemaSource): Promise<string> {
  const source = columnsOf(table)
  if (source.kind === 'inferred') return ''
  if (source.kind === 'given') return source.schema
  const found = await schemas.latest(source.subject)
  const schema = found === null ? null : dataSchemaOf(found)
  const fields = schema?.type === 'STRUCT' ? fieldsOfSchema(schema) : []
  if (fields.length === 0) return ''
  return jsonText({ type: 'struct', fields: fields.map((field) => fieldJson(field, null)) })
}

/** `columns`: as `firstColumns` has them. Throws ConfigError. */
export function sinkSettings(table: TopicTable, columns: string): Settings {
  const { topic, topicId, location } = table
  const text = (name: SettingName) => textOf(table, name)
  const source = columnsOf(table)
  const isRegistered = source.kind === 'registry'
  const valueFormat: Format = isRegistered ? 'registry' : (text('table.value.format') as Format)
  const coordinates = parseSetting(
    'table.kafka.columns',
    tableConfigs['table.kafka.columns'],
    text('table.kafka.columns'),
  )
  const keyMode = text('table.key.mode')
  const hasColumn = (name: string) =>
    coordinates.includes(name) || (name === 'key' && keyMode === 'upsert')
  return new Map([
    // What the table knows of progress is of this very topic, and of none that gets its name later.
    ['name', `${connectorPrefix}${topicId}`],
    ['topics', topic],
    ['consumer.override.group.id', groupOf(table)],
    ['consumer.override.isolation.level', 'read_committed'],
    ['key.converter', converters[text('table.key.format') as Format]],
    ['key.converter.schemas.enable', 'false'],
    ['value.converter', converters[valueFormat]],
    ['value.converter.schemas.enable', 'false'],
    ...(isRegistered ? [['value.converter.subject', source.subject] as const] : []),
    ['table.path', location],
    ['table.begin', 'earliest'],
    ['table.schema', columns],
    ['table.schema.evolution', text('table.schema.evolution')],
    ['table.partition.by', text('table.partition.by')],
    ['table.key.mode', keyMode],
    ['table.properties', text('table.properties')],
    ['table.commit.interval.ms', text('table.commit.interval.ms')],
    // There may be many tables, and each holds as much at most.
    ['table.commit.bytes', String(32 * 1024 * 1024)],
    ['table.value.column', hasFields.has(valueFormat) ? '' : 'value'],
    ...kafkaCoordinates.map((name): [string, string] => [
      `kafka.${name}.column`,
      hasColumn(name) ? `kafka_${name}` : '',
    ]),
    // A registry that cannot be asked now is no fault of the records.
    ['errors.retry.timeout', '-1'],
    ['errors.tolerance', toleratesErrors(table) ? 'all' : 'none'],
    ['errors.deadletterqueue.topic.name', deadLettersOf(table)],
    ['errors.deadletterqueue.topic.replication.factor', '-1'],
    ['errors.deadletterqueue.context.headers.enable', 'true'],
  ])
}

/** The settings of a topic that is a table, as those of the Delta sink that lands it. */
import { parseSetting } from '../../config/definition.ts'
import {
  givenSchema,
  kafkaCoordinates,
  type TopicTable,
  tableConfigs,
} from '../../config/table-configs.ts'
import type { Settings } from '../config-def.ts'

const kafka = 'org.apache.kafka.connect'

const converters = {
  json: `${kafka}.json.JsonConverter`,
  string: `${kafka}.storage.StringConverter`,
  bytes: `${kafka}.converters.ByteArrayConverter`,
}

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

/** Throws ConfigError. */
export function sinkSettings(table: TopicTable): Settings {
  const { topic, topicId, location, texts } = table
  const text = (name: keyof typeof tableConfigs): string =>
    texts.get(name) ?? tableConfigs[name].defaultText ?? ''
  const valueFormat = text('table.value.format') as keyof typeof converters
  const deadLetters = text('table.dead.letter.topic')
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
    ['key.converter', converters[text('table.key.format') as keyof typeof converters]],
    ['key.converter.schemas.enable', 'false'],
    ['value.converter', converters[valueFormat]],
    ['value.converter.schemas.enable', 'false'],
    ['table.path', location],
    ['table.begin', 'earliest'],
    ['table.schema', givenSchema(text('table.schema')) ?? ''],
    ['table.schema.evolution', text('table.schema.evolution')],
    ['table.partition.by', text('table.partition.by')],
    ['table.key.mode', keyMode],
    ['table.properties', text('table.properties')],
    ['table.commit.interval.ms', text('table.commit.interval.ms')],
    // There may be many tables, and each holds as much at most.
    ['table.commit.bytes', String(32 * 1024 * 1024)],
    ['table.value.column', valueFormat === 'json' ? '' : 'value'],
    ...kafkaCoordinates.map((name): [string, string] => [
      `kafka.${name}.column`,
      hasColumn(name) ? `kafka_${name}` : '',
    ]),
    ['errors.tolerance', deadLetters === '' ? text('table.errors.tolerance') : 'all'],
    ['errors.deadletterqueue.topic.name', deadLetters],
    ['errors.deadletterqueue.topic.replication.factor', '-1'],
    ['errors.deadletterqueue.context.headers.enable', 'true'],
  ])
}

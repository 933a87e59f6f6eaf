/** Which topics are tables, as the metadata says it: told at once, and again whenever that has changed. */
import type { BrokerConfig } from './config/broker-config.ts'
import { ConfigError, parseSetting } from './config/definition.ts'
import { checkTable, type TopicTable, tableConfigs, tableLocation } from './config/table-configs.ts'
import { configResource, type MetadataImage, topicOverrides } from './metadata/image.ts'
import type { MetadataCache } from './metadata/metadata-cache.ts'

/** Only topics that have changed are looked at, however many there are. */
export function followTopicTables(
  cache: MetadataCache,
  config: BrokerConfig,
  tell: (tables: readonly TopicTable[]) => void,
): void {
  const tables = new Map<string, TopicTable>()
  const look = (image: MetadataImage, topics: Iterable<string>): boolean => {
    let isChanged = false
    for (const topic of topics) {
      const before = tables.get(topic)
      const now = topicTable(topic, image, config)
      if (now === null) tables.delete(topic)
      else tables.set(topic, now)
      isChanged ||= shown(before) !== shown(now)
    }
    return isChanged
  }
  cache.subscribe((image, delta) => {
    const changed = delta.configChanges.flatMap(({ type, name }) =>
      type === configResource.TOPIC ? name : [],
    )
    const grown = delta.topics.changes.flatMap(({ topic: { name } }) =>
      tables.has(name) ? name : [],
    )
    if (look(image, new Set([...changed, ...grown]))) tell([...tables.values()])
  })
  look(cache.image, cache.image.configs.get(configResource.TOPIC)?.keys() ?? [])
  tell([...tables.values()])
}

/** Null: it is none. */
function topicTable(name: string, image: MetadataImage, config: BrokerConfig): TopicTable | null {
  const topic = image.topics.byName.get(name)
  const overrides = topicOverrides(image, name)
  const enabled = overrides.get('table.enable')
  if (topic === undefined || enabled === undefined) return null
  if (!parseSetting('table.enable', tableConfigs['table.enable'], enabled)) return null
  const texts = new Map([...overrides].filter(([setting]) => Object.hasOwn(tableConfigs, setting)))
  const { id: topicId, partitions } = topic
  const { location, refusal } = placeOf(name, texts, config)
  return { topic: name, topicId, partitionCount: partitions.length, location, refusal, texts }
}

/** What a topic was allowed before the node was started with other settings may be refused now. */
function placeOf(
  topic: string,
  texts: ReadonlyMap<string, string>,
  config: BrokerConfig,
): Pick<TopicTable, 'location' | 'refusal'> {
  try {
    checkTable(topic, texts)
    const location = tableLocation(topic, texts, config)
    return { location, refusal: null }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return { location: texts.get(error.setting) ?? '', refusal: error.message }
  }
}

function shown(table: TopicTable | null | undefined): string {
  return table ? JSON.stringify({ ...table, texts: [...table.texts] }) : ''
}

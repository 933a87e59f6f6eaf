/** Which names a topic may have. */
import type { TopicsImage } from '../image.ts'

const lengthMax = 249
const legal = /^[a-zA-Z0-9._-]+$/

/** The topic that holds the metadata itself; nobody may create another one. */
export const clusterMetadataTopic = '__cluster_metadata'

/** Why the name is not valid, as Kafka words it; undefined: it is. */
export function invalidTopicName(name: string): string | undefined {
  const reason = reasonInvalid(name)
  return reason === undefined ? undefined : `Topic name is invalid: ${reason}`
}

function reasonInvalid(name: string): string | undefined {
  if (name === '') return 'the empty string is not allowed'
  if (name === '.' || name === '..') return `'${name}' is not allowed`
  if (name.length > lengthMax) {
    return `the length of '${name}' is longer than the max allowed length ${lengthMax}`
  }
  if (!legal.test(name)) {
    return `'${name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'`
  }
  return undefined
}

/** An existing topic whose name differs in nothing but '.' and '_', which metric names cannot tell apart. */
export function collidingTopic(name: string, topics: TopicsImage): string | undefined {
  if (!/[._]/.test(name)) return undefined
  return unifiedNames(topics).get(unify(name))
}

/** Per image, so that a request for many topics looks at the existing ones once. */
const unifiedByImage = new WeakMap<TopicsImage, ReadonlyMap<string, string>>()

/** The names with a '.' or '_' by what they are without the difference. */
function unifiedNames(topics: TopicsImage): ReadonlyMap<string, string> {
  const known = unifiedByImage.get(topics)
  if (known !== undefined) return known
  const names = new Map<string, string>()
  for (const name of topics.byName.keys()) {
    const unified = unify(name)
    if (/[._]/.test(name) && !names.has(unified)) names.set(unified, name)
  }
  unifiedByImage.set(topics, names)
  return names
}

function unify(name: string): string {
  return name.replaceAll('.', '_')
}

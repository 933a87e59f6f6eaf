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
  const unified = unify(name)
  for (const existing of topics.byName.keys()) {
    if (existing.length === name.length && unify(existing) === unified) return existing
  }
  return undefined
}

function unify(name: string): string {
  return name.replaceAll('.', '_')
}

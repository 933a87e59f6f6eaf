/**
 * Topics by name and id, as the group coordinator asks for them, out of the newest metadata image.
 */
import type { TopicLookup } from '../coordinator/group/topics.ts'
import type { MetadataCache } from '../metadata/metadata-cache.ts'

export function topicLookup(metadata: MetadataCache): TopicLookup {
  return {
    topicIdOf: (name) => metadata.image.topics.byName.get(name)?.id,
    topicNameOf: (id) => metadata.image.topics.byId.get(id)?.name,
    partitionCountOf: (name) => metadata.image.topics.byName.get(name)?.partitions.length,
  }
}

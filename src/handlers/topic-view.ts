/** Topics as group coordination asks for them, out of the newest metadata image. */
import type { TopicView } from '../coordinator/group/topics.ts'
import type { MetadataCache } from '../metadata/metadata-cache.ts'

export function topicView(metadata: MetadataCache): TopicView {
  return {
    get version() {
      return metadata.image.offset
    },
    names: () => metadata.image.topics.byName.keys(),
    topicIdOf: (name) => metadata.image.topics.byName.get(name)?.id,
    topicNameOf: (id) => metadata.image.topics.byId.get(id)?.name,
    partitionCountOf: (name) => metadata.image.topics.byName.get(name)?.partitions.length,
    racksOf: (name, index) => {
      const { topics, brokers } = metadata.image
      const replicas = topics.byName.get(name)?.partitions[index]?.replicas ?? []
      return replicas.flatMap((id) => brokers.get(id)?.rack ?? [])
    },
  }
}

/** What changed in the metadata's topics, as coordinators are told of it. */
import type { Uuid } from '../../protocol/types.ts'

/** Told when the newest metadata shows it already. */
export interface TopicChanges {
  /** Names of topics that are new. */
  readonly created: ReadonlySet<string>
  /** Names of topics with other partitions, or replicas elsewhere, than before; the new ones too. */
  readonly changed: ReadonlySet<string>
  /** Names by id. */
  readonly deleted: ReadonlyMap<Uuid, string>
}

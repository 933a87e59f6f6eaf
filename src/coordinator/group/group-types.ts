/**
 * The types of groups. A type with a protocol of its own has
 *
 *   - its records' tables in `protocol/state`, named in `records.ts` (`modernKinds`);
 *   - a folder here with its group, a `ModernGroup` that applies those records, what its requests
 *     decide (a function of the shard's group and the request, giving records and a reply), and its
 *     description;
 *   - a row in the table below;
 *   - a method per API in `group-coordinator.ts`, which finds the shard and turns errors into answers.
 *
 * Listing, deleting, expiring, loading and unloading, offsets and the notice of changed topics work
 * for it through `Group`; what it must say of itself stands there.
 */
import type { ClassicGroup } from './classic/classic-group.ts'
import { ConsumerGroup } from './consumer/consumer-group.ts'
import type { GroupContext, GroupType } from './group.ts'
import type { ModernRecord } from './records.ts'
import { ShareGroup } from './share/share-group.ts'
import { StreamsGroup } from './streams/streams-group.ts'

export type AnyModernGroup = ConsumerGroup | ShareGroup | StreamsGroup
export type AnyGroup = ClassicGroup | AnyModernGroup

interface ModernType {
  readonly type: GroupType
  /** What the names of its records begin with. */
  readonly prefix: string
  /** The record without which there is no group; its tombstone ends the group and comes last. */
  readonly groupRecord: ModernRecord['kind']
  create(groupId: string, context: GroupContext): AnyModernGroup
}

const modernTypes: readonly ModernType[] = [
  {
    type: 'consumer',
    prefix: 'ConsumerGroup',
    groupRecord: 'ConsumerGroupMetadata',
    create: (groupId, context) => new ConsumerGroup(groupId, context),
  },
  {
    type: 'share',
    prefix: 'ShareGroup',
    groupRecord: 'ShareGroupMetadata',
    create: (groupId, context) => new ShareGroup(groupId, context),
  },
  {
    type: 'streams',
    prefix: 'StreamsGroup',
    groupRecord: 'StreamsGroupMetadata',
    create: (groupId, context) => new StreamsGroup(groupId, context),
  },
]

/** The type of group that a record of this kind belongs to. */
export function modernTypeOf(kind: ModernRecord['kind']): ModernType {
  const type = modernTypes.find(({ prefix }) => kind.startsWith(prefix))
  if (type === undefined) throw new Error(`no type of group has records of kind ${kind}`)
  return type
}

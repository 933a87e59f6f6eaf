/**
 * What members of share groups say about records, alone in ShareAcknowledge or on the way in ShareFetch:
 * checked as Kafka checks it, handed to the share partitions, answered partition by partition.
 */
import { type ErrorRow, errors, KafkaError } from '../../protocol/errors.ts'
import type { Uuid } from '../../protocol/types.ts'
import { isShareGroupsEnabled } from '../metadata/features.ts'
import type { MetadataImage } from '../metadata/image.ts'
import { acknowledgeType } from '../replication/share/delivery-run.ts'
import type { AcknowledgementBatch } from '../replication/share/share-partition.ts'
import type { SharePartitions } from '../replication/share/share-partitions.ts'
import type { ShareSessions } from '../replication/share/share-sessions.ts'
import { rule } from '../server/access.ts'
import type { RequestContext } from '../server/request-context.ts'

export const readGroup = rule('READ', 'GROUP', 'errorCode')
export const readTopic = rule('READ', 'TOPIC', 'responses.partitions.errorCode')

export interface ShareParts {
  readonly shares: SharePartitions
  readonly sessions: ShareSessions
  readonly image: () => MetadataImage
}

/** One member of one group, as a request names it. */
export interface ShareMember {
  readonly groupId: string
  readonly memberId: string
}

export interface AcknowledgedTopic {
  readonly topicId: Uuid
  readonly partitions: readonly {
    readonly partitionIndex: number
    readonly acknowledgementBatches: readonly AcknowledgementBatch[]
  }[]
}

/** How a partition's acknowledgements were taken. */
export interface AcknowledgedPartition {
  readonly topicId: Uuid
  readonly partitionIndex: number
  readonly error: ErrorRow
  /** Null where there is no error. */
  readonly message: string | null
}

/** As long as the texts of UUIDs. */
const memberIdCharsMax = 36

/** Before this version a member cannot renew (KIP-1222). */
export const firstVersionWithRenew = 2

export function isShareMemberId(text: string | null): text is string {
  return text !== null && text !== '' && text.length <= memberIdCharsMax
}

/** Who asks. Throws KafkaError: UNSUPPORTED_VERSION, INVALID_REQUEST, GROUP_AUTHORIZATION_FAILED. */
export function shareMember(
  { image }: ShareParts,
  { groupId, memberId }: { groupId: string | null; memberId: string | null },
  context: RequestContext,
): ShareMember {
  if (!isShareGroupsEnabled(image())) throw new KafkaError(errors.UNSUPPORTED_VERSION)
  if (groupId === null) {
    throw new KafkaError(errors.INVALID_REQUEST, 'Invalid group id in the request.')
  }
  readGroup.require(context, groupId)
  if (!isShareMemberId(memberId)) {
    throw new KafkaError(errors.INVALID_REQUEST, 'Invalid member id in the request.')
  }
  return { groupId, memberId }
}

/**
 * Takes what is said at once, in order; resolves when it is stored. Only partitions of which something
 * is said are answered.
 */
export function acknowledge(
  parts: ShareParts,
  member: ShareMember,
  topics: readonly AcknowledgedTopic[],
  isRenewAck: boolean,
  context: RequestContext,
): Promise<AcknowledgedPartition[]> {
  const typeMax =
    context.apiVersion >= firstVersionWithRenew ? acknowledgeType.renew : acknowledgeType.reject
  const answers = topics.flatMap(({ topicId, partitions }) =>
    partitions.map(async ({ partitionIndex, acknowledgementBatches: batches }) => {
      const error = partitionError(parts.image(), topicId, partitionIndex, context)
      const answered = { topicId, partitionIndex }
      if (error !== null) return { ...answered, error, message: error.message }
      if (!areSound(batches, typeMax, isRenewAck)) {
        const invalid = errors.INVALID_REQUEST
        return { ...answered, error: invalid, message: invalid.message }
      }
      if (batches.length === 0) return { ...answered, error: errors.NONE, message: null }
      const share = parts.shares.get(member.groupId, topicId, partitionIndex)
      if (share === undefined) {
        const unknown = errors.UNKNOWN_TOPIC_OR_PARTITION
        return { ...answered, error: unknown, message: unknown.message }
      }
      return { ...answered, ...(await share.acknowledge(member.memberId, batches)) }
    }),
  )
  return Promise.all(answers)
}

/** Why nothing is done for a partition, or null. */
export function partitionError(
  image: MetadataImage,
  topicId: Uuid,
  index: number,
  context: RequestContext,
): ErrorRow | null {
  const topic = image.topics.byId.get(topicId)
  if (topic === undefined) return errors.UNKNOWN_TOPIC_ID
  if (!readTopic.allows(context, topic.name)) return readTopic.error
  return topic.partitions[index] === undefined ? errors.UNKNOWN_TOPIC_OR_PARTITION : null
}

/** In order, with one type each or one for each offset, of the types that the version knows. */
function areSound(
  batches: readonly AcknowledgementBatch[],
  typeMax: number,
  isRenewAck: boolean,
): boolean {
  let end = -1
  return batches.every(({ firstOffset, lastOffset, acknowledgeTypes: types }) => {
    const isInOrder = firstOffset <= lastOffset && firstOffset >= end
    end = lastOffset
    const isCounted = types.length === 1 || types.length === lastOffset - firstOffset + 1
    const isKnown = (type: number) =>
      type >= 0 && type <= typeMax && (type !== acknowledgeType.renew || isRenewAck)
    return isInOrder && isCounted && types.every(isKnown)
  })
}

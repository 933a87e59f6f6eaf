/** ShareAcknowledge (KIP-932): a member says what became of the records it was given. */
import { apis } from '../../protocol/apis.ts'
import { errors, KafkaError } from '../../protocol/errors.ts'
import type { ShareAcknowledgeResponse } from '../../protocol/messages/share-acknowledge.ts'
import { finalEpoch, initialEpoch } from '../replication/share/share-sessions.ts'
import { handler } from '../server/handler.ts'
import { CurrentLeaders } from './current-leader.ts'
import {
  acknowledge,
  readGroup,
  readTopic,
  type ShareParts,
  shareMember,
} from './share-acknowledgements.ts'

type AnsweredTopic = ShareAcknowledgeResponse['responses'][number]

export const shareAcknowledge = (parts: ShareParts) =>
  handler(
    apis.shareAcknowledge,
    async (request, context) => {
      const { topics, shareSessionEpoch: epoch, isRenewAck } = request
      const member = shareMember(parts, request, context)
      const { groupId, memberId } = member
      if (epoch === initialEpoch) throw new KafkaError(errors.INVALID_SHARE_SESSION_EPOCH)
      parts.sessions.next(groupId, memberId, epoch, { added: [], forgotten: [] })
      const said = await acknowledge(parts, member, topics, isRenewAck, context)
      if (epoch === finalEpoch) parts.sessions.end(groupId, memberId)
      const leaders = new CurrentLeaders(parts.image(), context.listener)
      const responses: (AnsweredTopic & { partitions: unknown[] })[] = []
      for (const { topicId, partitionIndex, error, message } of said) {
        const hasMoved = error === errors.NOT_LEADER_OR_FOLLOWER
        const row = {
          partitionIndex,
          errorCode: error.code,
          errorMessage: message,
          currentLeader: hasMoved
            ? leaders.of(topicId, partitionIndex)
            : { leaderId: 0, leaderEpoch: 0 },
        }
        const last = responses.at(-1)
        if (last?.topicId === topicId) last.partitions.push(row)
        else responses.push({ topicId, partitions: [row] })
      }
      return {
        errorCode: errors.NONE.code,
        errorMessage: null,
        acquisitionLockTimeoutMs: parts.shares.settingsFor(groupId).recordLockDurationMs,
        responses,
        nodeEndpoints: [...leaders.nodes],
      }
    },
    {
      access: [readGroup, readTopic],
      onError: (_request, error, _version, message) => ({
        errorCode: error.code,
        errorMessage: message ?? error.message,
        acquisitionLockTimeoutMs: 0,
        responses: [],
        nodeEndpoints: [],
      }),
    },
  )

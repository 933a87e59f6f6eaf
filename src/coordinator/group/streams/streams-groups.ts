/** What streams groups alone are asked. */

import { type ErrorRow, errors, KafkaError } from '../../../../protocol/errors.ts'
import type {
  StreamsGroupHeartbeatRequest,
  StreamsGroupHeartbeatResponse,
} from '../../../../protocol/messages/streams-group-heartbeat.ts'
import type { Environment, Milliseconds } from '../../../environment/environment.ts'
import { allInTurns } from '../../../environment/in-turns.ts'
import type { Decision } from '../../shard.ts'
import type { Caller, GroupContext } from '../group.ts'
import type { GroupRecord } from '../records.ts'
import { type DescribedStreamsGroup, describeStreamsGroup, undescribedStreams } from './describe.ts'
import { emptyResponse, type Heartbeat, streamsHeartbeat } from './heartbeat.ts'
import { checkHeartbeat } from './request.ts'

/** Decides on the shard of the group. Throws, or rejects with, KafkaError. */
type Write = <T>(
  groupId: string,
  decide: (context: GroupContext, nowMs: Milliseconds) => Decision<GroupRecord, T>,
) => T | Promise<T>

export class StreamsGroups {
  readonly #turns: Pick<Environment, 'clock' | 'timers'>
  readonly #write: Write

  constructor(turns: Pick<Environment, 'clock' | 'timers'>, write: Write) {
    this.#turns = turns
    this.#write = write
  }

  /** The answer, and what is to be made; rejects for bugs only. */
  async heartbeat(request: StreamsGroupHeartbeatRequest, caller: Caller): Promise<Heartbeat> {
    try {
      checkHeartbeat(request)
      return await this.#write(request.groupId, (context, nowMs) =>
        streamsHeartbeat(context, request, caller, nowMs),
      )
    } catch (failure) {
      if (!(failure instanceof KafkaError)) throw failure
      return { response: failedHeartbeat(failure.error, failure.message), missingTopics: [] }
    }
  }

  /** Each once, however often it is named: its answer may be long. */
  async describe(groupIds: readonly string[]): Promise<DescribedStreamsGroup[]> {
    const describe = async (groupId: string) => {
      if (groupId === '') return undescribedStreams('', errors.INVALID_GROUP_ID.code)
      try {
        return await this.#write(groupId, (context) => ({
          records: [],
          reply: describeStreamsGroup(context, groupId),
        }))
      } catch (failure) {
        if (!(failure instanceof KafkaError)) throw failure
        return undescribedStreams(groupId, failure.error.code, failure.message)
      }
    }
    return allInTurns(this.#turns, new Set(groupIds), describe)
  }
}

export function failedHeartbeat(
  { code }: ErrorRow,
  errorMessage: string | null,
): StreamsGroupHeartbeatResponse {
  return { ...emptyResponse, errorCode: code, errorMessage }
}

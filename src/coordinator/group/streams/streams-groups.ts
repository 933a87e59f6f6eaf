/** What streams groups alone are asked. */
import { type ErrorRow, KafkaError } from '../../../../protocol/errors.ts'
import type {
  StreamsGroupHeartbeatRequest,
  StreamsGroupHeartbeatResponse,
} from '../../../../protocol/messages/streams-group-heartbeat.ts'
import type { Environment } from '../../../environment/environment.ts'
import type { Caller, GroupWrite } from '../group.ts'
import { describeEach } from '../modern/describe.ts'
import { type DescribedStreamsGroup, describeStreamsGroup, undescribedStreams } from './describe.ts'
import { emptyResponse, type Heartbeat, streamsHeartbeat } from './heartbeat.ts'
import { checkHeartbeat } from './request.ts'

export class StreamsGroups {
  readonly #turns: Pick<Environment, 'clock' | 'timers'>
  readonly #write: GroupWrite

  constructor(turns: Pick<Environment, 'clock' | 'timers'>, write: GroupWrite) {
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

  describe(groupIds: readonly string[]): Promise<DescribedStreamsGroup[]> {
    const describe = (groupId: string) =>
      this.#write(groupId, (context) => ({
        records: [],
        reply: describeStreamsGroup(context, groupId),
      }))
    return describeEach(this.#turns, groupIds, describe, undescribedStreams)
  }
}

export function failedHeartbeat(
  { code }: ErrorRow,
  errorMessage: string | null,
): StreamsGroupHeartbeatResponse {
  return { ...emptyResponse, errorCode: code, errorMessage }
}

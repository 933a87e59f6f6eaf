/** What consumer groups alone are asked. */
import { KafkaError } from '../../../../protocol/errors.ts'
import type {
  ConsumerGroupHeartbeatRequest,
  ConsumerGroupHeartbeatResponse,
} from '../../../../protocol/messages/consumer-group-heartbeat.ts'
import type { Environment } from '../../../environment/environment.ts'
import type { GroupCoordinatorConfig } from '../config.ts'
import type { GroupWrite, SubscribingCaller } from '../group.ts'
import { describeEach, undescribed } from '../modern/describe.ts'
import { refusedHeartbeat } from '../modern/refused-heartbeat.ts'
import { type DescribedConsumerGroup, describeConsumerGroup } from './describe.ts'
import { consumerHeartbeat } from './heartbeat.ts'
import { checkHeartbeat } from './request.ts'

export class ConsumerGroups {
  readonly #turns: Pick<Environment, 'clock' | 'timers'>
  readonly #config: () => GroupCoordinatorConfig
  readonly #write: GroupWrite

  constructor(
    turns: Pick<Environment, 'clock' | 'timers'>,
    config: () => GroupCoordinatorConfig,
    write: GroupWrite,
  ) {
    this.#turns = turns
    this.#config = config
    this.#write = write
  }

  /** Rejects for bugs only. */
  async heartbeat(
    request: ConsumerGroupHeartbeatRequest,
    caller: SubscribingCaller,
  ): Promise<ConsumerGroupHeartbeatResponse> {
    try {
      checkHeartbeat(request, caller.apiVersion, this.#config().groupConsumerAssignors)
      return await this.#write(request.groupId, (context, nowMs) =>
        consumerHeartbeat(context, request, caller, nowMs),
      )
    } catch (failure) {
      if (!(failure instanceof KafkaError)) throw failure
      return refusedHeartbeat(failure.error, failure.message)
    }
  }

  describe(groupIds: readonly string[]): Promise<DescribedConsumerGroup[]> {
    const describe = (groupId: string) =>
      this.#write(groupId, (context) => ({
        records: [],
        reply: describeConsumerGroup(groupId, context.group(groupId)),
      }))
    return describeEach(this.#turns, groupIds, describe, (id, code) => undescribed(id, code))
  }
}

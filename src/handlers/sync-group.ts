/** SyncGroup: the leader hands out what each member gets, every member asks for its part. */
import { apis } from '../../protocol/apis.ts'
import { errors, KafkaError } from '../../protocol/errors.ts'
import type { GroupCoordinator } from '../coordinator/group/group-coordinator.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'

/** KIP-559: from it on, a member must say what it takes the group's protocol to be. */
const firstVersionWithProtocol = 5

const readGroup = rule('READ', 'GROUP', 'errorCode')

export const syncGroup = ({ groups }: { groups: GroupCoordinator }) =>
  handler(
    apis.syncGroup,
    (request, context) => {
      const { protocolType, protocolName } = request
      const isVague = protocolType === null || protocolName === null
      if (isVague && context.apiVersion >= firstVersionWithProtocol) {
        throw new KafkaError(errors.INCONSISTENT_GROUP_PROTOCOL)
      }
      readGroup.require(context, request.groupId)
      const answer = groups.syncGroup(request)
      // It waits for the leader.
      if (answer instanceof Promise) context.setAside()
      return answer
    },
    {
      access: [readGroup],
      onError: (_, error) => ({ errorCode: error.code, assignment: Buffer.alloc(0) }),
    },
  )

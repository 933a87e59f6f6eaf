/** JoinGroup: a member enters its group, or enters it again; the answer waits for the rebalance. */
import { apis } from '../../protocol/apis.ts'
import type { GroupCoordinator } from '../coordinator/group/group-coordinator.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'
import { groupCaller } from './group-caller.ts'

const readGroup = rule('READ', 'GROUP', 'errorCode')

export const joinGroup = ({ groups }: { groups: GroupCoordinator }) =>
  handler(
    apis.joinGroup,
    (request, context) => {
      readGroup.require(context, request.groupId)
      const answer = groups.joinGroup(request, groupCaller(context))
      // What a group keeps of it is a copy.
      context.releaseRequest()
      // It waits for the other members.
      if (answer instanceof Promise) context.setAside()
      return answer
    },
    {
      access: [readGroup],
      onError: ({ memberId }, error) => ({
        errorCode: error.code,
        protocolName: '',
        leader: '',
        memberId,
        members: [],
      }),
    },
  )

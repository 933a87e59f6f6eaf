/** JoinGroup: a member enters its group, or enters it again; the answer waits for the rebalance. */
import { apis } from '../../protocol/apis.ts'
import type { GroupCoordinator } from '../coordinator/group/group-coordinator.ts'
import { handler } from '../server/handler.ts'
import { groupCaller } from './group-caller.ts'

export const joinGroup = ({ groups }: { groups: GroupCoordinator }) =>
  handler(
    apis.joinGroup,
    (request, context) => {
      const answer = groups.joinGroup(request, groupCaller(context))
      // It waits for the other members.
      if (answer instanceof Promise) context.setAside()
      return answer
    },
    {
      onError: ({ memberId }, error) => ({
        errorCode: error.code,
        protocolName: '',
        leader: '',
        memberId,
        members: [],
      }),
    },
  )

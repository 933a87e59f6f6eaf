/** SyncGroup: the leader hands out what each member gets, every member asks for its part. */
import { apis } from '../../protocol/apis.ts'
import type { GroupCoordinator } from '../coordinator/group/group-coordinator.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'

const readGroup = rule('READ', 'GROUP', 'errorCode')

export const syncGroup = ({ groups }: { groups: GroupCoordinator }) =>
  handler(
    apis.syncGroup,
    (request, context) => {
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

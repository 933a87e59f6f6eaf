/** SyncGroup: the leader hands out what each member gets, every member asks for its part. */
import { apis } from '../../protocol/apis.ts'
import type { GroupCoordinator } from '../coordinator/group/group-coordinator.ts'
import { handler } from '../server/handler.ts'

export const syncGroup = ({ groups }: { groups: GroupCoordinator }) =>
  handler(
    apis.syncGroup,
    (request, context) => {
      const answer = groups.syncGroup(request)
      // It waits for the leader.
      if (answer instanceof Promise) context.setAside()
      return answer
    },
    { onError: (_, error) => ({ errorCode: error.code, assignment: Buffer.alloc(0) }) },
  )

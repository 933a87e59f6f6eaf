/** SyncGroup: the leader hands out what each member gets, every member asks for its part. */
import { apis } from '../../protocol/apis.ts'
import type { GroupCoordinator } from '../coordinator/group/group-coordinator.ts'
import { handler } from '../server/handler.ts'

export const syncGroup = ({ groups }: { groups: GroupCoordinator }) =>
  handler(apis.syncGroup, (request) => groups.syncGroup(request), {
    onError: (_, error) => ({ errorCode: error.code, assignment: Buffer.alloc(0) }),
  })

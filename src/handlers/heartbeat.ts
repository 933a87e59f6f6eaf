/** Heartbeat: a member says that it lives, and hears whether its group rebalances. */
import { apis } from '../../protocol/apis.ts'
import type { GroupCoordinator } from '../coordinator/group/group-coordinator.ts'
import { handler } from '../server/handler.ts'

export const heartbeat = ({ groups }: { groups: GroupCoordinator }) =>
  handler(apis.heartbeat, (request) => groups.heartbeat(request), {
    onError: (_, error) => ({ errorCode: error.code }),
  })

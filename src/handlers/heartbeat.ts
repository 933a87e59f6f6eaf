/** Heartbeat: a member says that it lives, and hears whether its group rebalances. */
import { apis } from '../../protocol/apis.ts'
import type { GroupCoordinator } from '../coordinator/group/group-coordinator.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'

const readGroup = rule('READ', 'GROUP', 'errorCode')

export const heartbeat = ({ groups }: { groups: GroupCoordinator }) =>
  handler(
    apis.heartbeat,
    (request, context) => {
      readGroup.require(context, request.groupId)
      return groups.heartbeat(request)
    },
    { access: [readGroup], onError: (_, error) => ({ errorCode: error.code }) },
  )

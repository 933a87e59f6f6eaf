/**
 * LeaveGroup: members go, or are taken out by an operator (KIP-345); before version 3 one at a
 * time.
 */
import { apis } from '../../protocol/apis.ts'
import type { GroupCoordinator } from '../coordinator/group/group-coordinator.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'

const readGroup = rule('READ', 'GROUP', 'errorCode')

export const leaveGroup = ({ groups }: { groups: GroupCoordinator }) =>
  handler(
    apis.leaveGroup,
    (request, context) => {
      readGroup.require(context, request.groupId)
      return groups.leaveGroup(request, context.apiVersion)
    },
    { access: [readGroup], onError: (_, error) => ({ errorCode: error.code }) },
  )

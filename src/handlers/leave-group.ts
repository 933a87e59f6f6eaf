/**
 * LeaveGroup: members go, or are taken out by an operator (KIP-345); before version 3 one at a
 * time.
 */
import { apis } from '../../protocol/apis.ts'
import type { GroupCoordinator } from '../coordinator/group/group-coordinator.ts'
import { handler } from '../server/handler.ts'

export const leaveGroup = ({ groups }: { groups: GroupCoordinator }) =>
  handler(apis.leaveGroup, (request, { apiVersion }) => groups.leaveGroup(request, apiVersion), {
    onError: (_, error) => ({ errorCode: error.code }),
  })

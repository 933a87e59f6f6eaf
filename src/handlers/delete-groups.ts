/** DeleteGroups: groups without members go, and their offsets with them. */
import { apis } from '../../protocol/apis.ts'
import type { GroupCoordinator } from '../coordinator/group/group-coordinator.ts'
import { handler } from '../server/handler.ts'

export const deleteGroups = ({ groups }: { groups: GroupCoordinator }) =>
  handler(apis.deleteGroups, (request) => groups.deleteGroups(request.groupsNames), {
    onError: (request, error) => ({
      results: request.groupsNames.map((groupId) => ({ groupId, errorCode: error.code })),
    }),
  })

/** ListGroups: the groups that this broker coordinates, by state and type if asked for. */
import { apis } from '../../protocol/apis.ts'
import type { GroupCoordinator } from '../coordinator/group/group-coordinator.ts'
import { handler } from '../server/handler.ts'

export const listGroups = ({ groups }: { groups: GroupCoordinator }) =>
  handler(apis.listGroups, (request) => groups.listGroups(request), {
    onError: (_, error) => ({ errorCode: error.code, groups: [] }),
  })

/** ListGroups: the groups that this broker coordinates, by state and type if asked for. */
import { apis } from '../../protocol/apis.ts'
import type { GroupCoordinator } from '../coordinator/group/group-coordinator.ts'
import { filter } from '../server/access.ts'
import { handler } from '../server/handler.ts'

const describeGroup = filter('DESCRIBE', 'GROUP', 'groups', { unless: 'DESCRIBE' })

export const listGroups = ({ groups }: { groups: GroupCoordinator }) =>
  handler(
    apis.listGroups,
    async (request, context) => {
      const listed = await groups.listGroups(request)
      return { ...listed, groups: describeGroup.only(context, listed.groups, (g) => g.groupId) }
    },
    {
      access: [describeGroup],
      onError: (_, error) => ({ errorCode: error.code, groups: [] }),
    },
  )

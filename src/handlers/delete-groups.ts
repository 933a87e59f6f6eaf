/** DeleteGroups: groups without members go, and their offsets with them. */
import { apis } from '../../protocol/apis.ts'
import type { GroupCoordinator } from '../coordinator/group/group-coordinator.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'

const deleteGroup = rule('DELETE', 'GROUP', 'results.errorCode')

export const deleteGroups = ({ groups }: { groups: GroupCoordinator }) =>
  handler(
    apis.deleteGroups,
    async (request, context) => {
      const asked = deleteGroup.split(context, request.groupsNames, (groupId) => groupId)
      const { results } = await groups.deleteGroups(asked.allowed)
      const errorCode = deleteGroup.error.code
      const denied = [...new Set(asked.denied)].map((groupId) => ({ groupId, errorCode }))
      return { results: [...results, ...denied] }
    },
    {
      access: [deleteGroup],
      onError: (request, error) => ({
        results: request.groupsNames.map((groupId) => ({ groupId, errorCode: error.code })),
      }),
    },
  )

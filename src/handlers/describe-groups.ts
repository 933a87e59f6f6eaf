/** DescribeGroups: state, members and assignments of classic groups. */
import { apis } from '../../protocol/apis.ts'
import { describedError } from '../coordinator/group/describe.ts'
import type { GroupCoordinator } from '../coordinator/group/group-coordinator.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'
import { authorizedOperations } from './authorized-operations.ts'

const describeGroup = rule('DESCRIBE', 'GROUP', 'groups.errorCode')

export const describeGroups = ({ groups }: { groups: GroupCoordinator }) =>
  handler(
    apis.describeGroups,
    async (request, context) => {
      const asked = describeGroup.split(context, request.groups, (groupId) => groupId)
      const denied = asked.denied.map((id) => describedError(id, describeGroup.error.code))
      const response = await groups.describeGroups(asked.allowed, context.apiVersion)
      if (!request.includeAuthorizedOperations) return { groups: [...denied, ...response.groups] }
      const described = response.groups.map((group) => ({
        ...group,
        ...(group.errorCode === 0 && {
          authorizedOperations: authorizedOperations(context, 'GROUP', group.groupId),
        }),
      }))
      return { groups: [...denied, ...described] }
    },
    {
      access: [describeGroup],
      onError: (request, error) => ({
        groups: request.groups.map((groupId) => describedError(groupId, error.code)),
      }),
    },
  )

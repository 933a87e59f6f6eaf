/** DescribeGroups: state, members and assignments of classic groups. */
import { apis } from '../../protocol/apis.ts'
import { describedError } from '../coordinator/group/describe.ts'
import type { GroupCoordinator } from '../coordinator/group/group-coordinator.ts'
import { handler } from '../server/handler.ts'

/**
 * Without an authorizer anybody may: READ, DELETE, DESCRIBE, DESCRIBE_CONFIGS and ALTER_CONFIGS, as
 * bits.
 */
const allGroupOperations = (1 << 3) | (1 << 6) | (1 << 8) | (1 << 10) | (1 << 11)

export const describeGroups = ({ groups }: { groups: GroupCoordinator }) =>
  handler(
    apis.describeGroups,
    async (request, { apiVersion }) => {
      const response = await groups.describeGroups(request.groups, apiVersion)
      if (!request.includeAuthorizedOperations) return response
      const authorizedOperations = allGroupOperations
      return {
        groups: response.groups.map((group) =>
          group.errorCode === 0 ? { ...group, authorizedOperations } : group,
        ),
      }
    },
    {
      onError: (request, error) => ({
        groups: request.groups.map((groupId) => describedError(groupId, error.code)),
      }),
    },
  )

/** DeleteShareGroupState: a group is gone, or has no more to do with a topic (KIP-932). */
import { apis } from '../../protocol/apis.ts'
import type { ShareCoordinator } from '../coordinator/share/share-coordinator.ts'
import { handler } from '../server/handler.ts'
import { actForCluster, groupStateRefusal } from './group-state-refusal.ts'

export const deleteShareGroupState = ({ shareState }: { shareState: ShareCoordinator }) =>
  handler(
    apis.deleteShareGroupState,
    (request, context) => {
      actForCluster.require(context)
      return shareState.delete(request)
    },
    {
      access: [actForCluster],
      onError: (request, error) => groupStateRefusal(request, error, {}),
    },
  )

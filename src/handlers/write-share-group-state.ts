/** WriteShareGroupState: what the leader of a partition wants to be kept (KIP-932). */
import { apis } from '../../protocol/apis.ts'
import type { ShareCoordinator } from '../coordinator/share/share-coordinator.ts'
import { handler } from '../server/handler.ts'
import { actForCluster, groupStateRefusal } from './group-state-refusal.ts'

export const writeShareGroupState = ({ shareState }: { shareState: ShareCoordinator }) =>
  handler(
    apis.writeShareGroupState,
    (request, context) => {
      actForCluster.require(context)
      return shareState.write(request)
    },
    {
      access: [actForCluster],
      onError: (request, error) => groupStateRefusal(request, error, {}),
    },
  )

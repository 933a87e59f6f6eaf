/** InitializeShareGroupState: a group coordinator begins the delivery state of partitions (KIP-932). */
import { apis } from '../../protocol/apis.ts'
import type { ShareCoordinator } from '../coordinator/share/share-coordinator.ts'
import { handler } from '../server/handler.ts'
import { actForCluster, groupStateRefusal } from './group-state-refusal.ts'

export const initializeShareGroupState = ({ shareState }: { shareState: ShareCoordinator }) =>
  handler(
    apis.initializeShareGroupState,
    (request, context) => {
      actForCluster.require(context)
      return shareState.initialize(request)
    },
    {
      access: [actForCluster],
      onError: (request, error) => groupStateRefusal(request, error, {}),
    },
  )

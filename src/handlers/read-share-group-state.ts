/** ReadShareGroupState: what the leader of a partition begins with (KIP-932). */
import { apis } from '../../protocol/apis.ts'
import type { ShareCoordinator } from '../coordinator/share/share-coordinator.ts'
import { handler } from '../server/handler.ts'
import { actForCluster, groupStateRefusal } from './group-state-refusal.ts'

export const readShareGroupState = ({ shareState }: { shareState: ShareCoordinator }) =>
  handler(
    apis.readShareGroupState,
    (request, context) => {
      actForCluster.require(context)
      return shareState.read(request)
    },
    {
      access: [actForCluster],
      onError: (request, error) =>
        groupStateRefusal(request, error, { startOffset: 0, stateEpoch: 0, stateBatches: [] }),
    },
  )

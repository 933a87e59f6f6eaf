/** ReadShareGroupStateSummary: where a group stands, without its batches (KIP-932). */
import { apis } from '../../protocol/apis.ts'
import type { ShareCoordinator } from '../coordinator/share/share-coordinator.ts'
import { handler } from '../server/handler.ts'
import { actForCluster, groupStateRefusal } from './group-state-refusal.ts'

export const readShareGroupStateSummary = ({ shareState }: { shareState: ShareCoordinator }) =>
  handler(
    apis.readShareGroupStateSummary,
    (request, context) => {
      actForCluster.require(context)
      return shareState.readSummary(request)
    },
    {
      access: [actForCluster],
      onError: (request, error) =>
        groupStateRefusal(request, error, { startOffset: 0, stateEpoch: 0, leaderEpoch: 0 }),
    },
  )

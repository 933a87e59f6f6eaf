/** ReadShareGroupState: what the leader of a partition begins with (KIP-932). */
import { apis } from '../../protocol/apis.ts'
import type { ShareCoordinator } from '../coordinator/share/share-coordinator.ts'
import { handler } from '../server/handler.ts'
import { groupStateRefusal } from './group-state-refusal.ts'

export const readShareGroupState = ({ shareState }: { shareState: ShareCoordinator }) =>
  handler(apis.readShareGroupState, (request) => shareState.read(request), {
    onError: (request, error) =>
      groupStateRefusal(request, error, { startOffset: -1, stateEpoch: 0, stateBatches: [] }),
  })

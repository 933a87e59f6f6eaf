/** RemoveRaftVoter: a node is not to vote on the metadata any more (KIP-853); refused. */
import { apis } from '../../protocol/apis.ts'
import type { MetadataCache } from '../metadata/metadata-cache.ts'
import { handler } from '../server/handler.ts'
import {
  alterQuorum,
  checkVoterChange,
  voterChangeRefused,
  votersAreFixed,
} from './voter-change-refusal.ts'

export const removeRaftVoter = ({ cache }: { cache: MetadataCache }) =>
  handler(
    apis.removeRaftVoter,
    (request, context) => {
      alterQuorum.require(context)
      checkVoterChange('Remove', request, cache.image.clusterId)
      throw votersAreFixed('removing')
    },
    {
      access: [alterQuorum],
      onError: (_request, error, _version, message) => voterChangeRefused(error, message),
    },
  )

/** AddRaftVoter: a node is to vote on the metadata from now on (KIP-853); refused. */
import { apis } from '../../protocol/apis.ts'
import { errors, KafkaError } from '../../protocol/errors.ts'
import type { BrokerConfig } from '../config/broker-config.ts'
import type { MetadataCache } from '../metadata/metadata-cache.ts'
import { handler } from '../server/handler.ts'
import {
  alterQuorum,
  checkVoterChange,
  voterChangeRefused,
  votersAreFixed,
} from './voter-change-refusal.ts'

interface Parts {
  readonly cache: MetadataCache
  readonly config: BrokerConfig
}

export const addRaftVoter = ({ cache, config }: Parts) =>
  handler(
    apis.addRaftVoter,
    (request, context) => {
      alterQuorum.require(context)
      checkVoterChange('Add', request, cache.image.clusterId)
      const [needed] = config.get('controller.listener.names')
      if (!request.listeners.some(({ name }) => name === needed)) {
        const message = `Add voter request didn't include the endpoint for the default listener ${needed}`
        throw new KafkaError(errors.INVALID_REQUEST, message)
      }
      throw votersAreFixed('adding')
    },
    {
      access: [alterQuorum],
      onError: (_request, error, _version, message) => voterChangeRefused(error, message),
    },
  )

/** ElectLeaders: preferred or unclean, for some partitions or for all (KIP-183, KIP-460). */
import { apis } from '../../protocol/apis.ts'
import { errors } from '../../protocol/errors.ts'
import type { Controller } from '../metadata/controller/controller.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'
import { requireTime } from './time-limit.ts'

const alterCluster = rule('ALTER', 'CLUSTER', 'errorCode')

export const electLeaders = ({ controller }: { controller: Controller }) =>
  handler(
    apis.electLeaders,
    async (request, context) => {
      alterCluster.require(context)
      if (request.topicPartitions?.length !== 0) requireTime(request)
      const replicaElectionResults = await controller.electLeaders(request)
      return { errorCode: errors.NONE.code, replicaElectionResults }
    },
    {
      access: [alterCluster],
      onError: ({ topicPartitions }, { code: errorCode }, _version, errorMessage) => ({
        errorCode,
        replicaElectionResults: (topicPartitions ?? []).map(({ topic, partitions }) => ({
          topic,
          partitionResult: partitions.map((partitionId) => ({
            partitionId,
            errorCode,
            errorMessage,
          })),
        })),
      }),
    },
  )

/** AlterPartitionReassignments: moves partitions to other brokers, and gives that up (KIP-455). */
import { apis } from '../../protocol/apis.ts'
import { errors } from '../../protocol/errors.ts'
import type { Controller } from '../metadata/controller/controller.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'
import { requireTime } from './time-limit.ts'

const alterCluster = rule('ALTER', 'CLUSTER', 'errorCode')

export const alterPartitionReassignments = ({ controller }: { controller: Controller }) =>
  handler(
    apis.alterPartitionReassignments,
    async (request, context) => {
      alterCluster.require(context)
      if (request.topics.length > 0) requireTime(request)
      const responses = await controller.alterPartitionReassignments(request)
      const { allowReplicationFactorChange } = request
      const errorCode = errors.NONE.code
      return { allowReplicationFactorChange, errorCode, errorMessage: null, responses }
    },
    {
      access: [alterCluster],
      onError: ({ topics }, { code: errorCode }, _version, errorMessage) => ({
        errorCode,
        errorMessage,
        responses: topics.map(({ name, partitions }) => ({
          name,
          partitions: partitions.map(({ partitionIndex }) => ({
            partitionIndex,
            errorCode,
            errorMessage,
          })),
        })),
      }),
    },
  )

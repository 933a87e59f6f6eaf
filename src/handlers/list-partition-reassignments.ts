/** ListPartitionReassignments: which partitions are on their way to other brokers (KIP-455). */
import { apis } from '../../protocol/apis.ts'
import { errors } from '../../protocol/errors.ts'
import { ongoingReassignments } from '../metadata/controller/reassign-partitions.ts'
import type { MetadataCache } from '../metadata/metadata-cache.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'

const describeCluster = rule('DESCRIBE', 'CLUSTER', 'errorCode')

export const listPartitionReassignments = ({ cache }: { cache: MetadataCache }) =>
  handler(
    apis.listPartitionReassignments,
    (request, context) => {
      describeCluster.require(context)
      const topics = ongoingReassignments(cache.image, request.topics)
      return { errorCode: errors.NONE.code, errorMessage: null, topics }
    },
    {
      access: [describeCluster],
      onError: (_request, error, _version, errorMessage) => ({
        errorCode: error.code,
        errorMessage,
        topics: [],
      }),
    },
  )

/** DescribeCluster: who belongs to the cluster (KIP-700). */
import { apis } from '../../protocol/apis.ts'
import { errors, KafkaError } from '../../protocol/errors.ts'
import type { MetadataCache } from '../metadata/metadata-cache.ts'
import { handler } from '../server/handler.ts'
import {
  clusterOperations,
  describeOperations,
  operationsNotAsked,
} from './authorized-operations.ts'
import { brokerNodes, type Nodes } from './broker-nodes.ts'

/** Whose addresses are asked for. */
const endpointType = { BROKER: 1, CONTROLLER: 2 } as const

export const describeCluster = (parts: Nodes & { readonly cache: MetadataCache }) =>
  handler(
    apis.describeCluster,
    (request, context) => {
      checkEndpointType(request.endpointType)
      const { image } = parts.cache
      const nodes = brokerNodes(image, parts, context).filter(
        ({ broker }) => request.includeFencedBrokers || !broker.fenced,
      )
      return {
        throttleTimeMs: 0,
        errorCode: errors.NONE.code,
        errorMessage: null,
        endpointType: endpointType.BROKER,
        clusterId: image.clusterId,
        controllerId: parts.nodeId,
        brokers: nodes.map(({ broker, host, port }) => ({
          brokerId: broker.id,
          host,
          port,
          rack: broker.rack,
          isFenced: broker.fenced,
        })),
        clusterAuthorizedOperations: request.includeClusterAuthorizedOperations
          ? clusterOperations(context)
          : operationsNotAsked,
      }
    },
    {
      access: [describeOperations],
      onError: (_request, error, _version, message) => ({
        errorCode: error.code,
        errorMessage: message,
        clusterId: '',
        brokers: [],
      }),
    },
  )

function checkEndpointType(type: number): void {
  if (type === endpointType.BROKER) return
  if (type === endpointType.CONTROLLER) {
    throw new KafkaError(
      errors.MISMATCHED_ENDPOINT_TYPE,
      'The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER',
    )
  }
  throw new KafkaError(errors.UNSUPPORTED_ENDPOINT_TYPE, `Unsupported endpoint type ${type}`)
}

/** The brokers of the cluster, as a client that came by a certain listener is told of them. */
import type { BrokerImage, MetadataImage } from '../metadata/image.ts'
import type { RequestContext } from '../server/request-context.ts'

/** The address that a client is told for this broker. */
export type Advertised = (context: Pick<RequestContext, 'listener' | 'connection'>) => {
  readonly host: string
  readonly port: number
}

export interface BrokerNode {
  readonly broker: BrokerImage
  readonly host: string
  readonly port: number
}

export interface Nodes {
  readonly nodeId: number
  readonly advertised: Advertised
}

/** Brokers that can be reached by the client's listener, ascending by id. */
export function brokerNodes(
  image: MetadataImage,
  { nodeId, advertised }: Nodes,
  context: Parameters<Advertised>[0],
): BrokerNode[] {
  const nodes: BrokerNode[] = []
  for (const broker of image.brokers.values()) {
    if (broker.id === nodeId) {
      nodes.push({ broker, ...advertised(context) })
      continue
    }
    const endpoint = broker.endpoints.find(({ name }) => name === context.listener)
    if (endpoint !== undefined) nodes.push({ broker, host: endpoint.host, port: endpoint.port })
  }
  return nodes.sort((a, b) => a.broker.id - b.broker.id)
}

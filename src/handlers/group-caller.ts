/** Who asks, in the words of the group coordinator. */
import type { Caller } from '../coordinator/group/group.ts'
import { hostAddress } from '../environment/host-address.ts'
import type { RequestContext } from '../server/request-context.ts'

export function groupCaller({ clientId, apiVersion, connection }: RequestContext): Caller {
  // With a slash in front: so Kafka records and shows the hosts of members.
  const clientHost = `/${hostAddress(connection.remote.host)}`
  return { clientId: clientId ?? '', clientHost, apiVersion }
}

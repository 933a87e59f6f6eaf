/** Who asks, in the words of the group coordinator. */
import type { Caller } from '../coordinator/group/group.ts'
import type { RequestContext } from '../server/request-context.ts'

/** An IPv4 client of a dual-stack listener. */
const mappedPrefix = '::ffff:'

export function groupCaller({ clientId, apiVersion, connection }: RequestContext): Caller {
  const { host } = connection.remote
  const isMapped = host.startsWith(mappedPrefix)
  // With a slash in front: so Kafka records and shows the hosts of members.
  const clientHost = `/${isMapped ? host.slice(mappedPrefix.length) : host}`
  return { clientId: clientId ?? '', clientHost, apiVersion }
}

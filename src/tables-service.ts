/** The tables of topics over HTTP: `GET /tables` tells each one's state, how far it is, and why it failed. */
import type { TableStatus } from './connect-service.ts'
import type { Service } from './http/http-server.ts'
import { json, route, routeTable } from './http/routes.ts'

export function tablesService(statuses: () => Promise<readonly TableStatus[]>): Service {
  const answering = routeTable([route('GET', '/tables', async () => json(200, await statuses()))])
  return { segments: ['tables'], load: async () => answering }
}

/** `/admin/loggers` (KIP-495, KIP-976): how much a worker, or all workers of a group, log. */
import { empty, HttpError, json, type Route, type RoutedRequest, route } from '../../http/routes.ts'
import type { Herder } from '../runtime/herder.ts'
import { rootLogger, WorkerLog } from '../runtime/worker-log.ts'
import { isObject } from '../storage/stored-json.ts'

export function loggerRoutes(herder: Herder): Route[] {
  return [
    route('GET', '/admin/loggers', () => json(200, { [rootLogger]: herder.log.told })),
    route('GET', '/admin/loggers/{logger}', (request) => {
      requireRoot(request)
      return json(200, herder.log.told)
    }),
    route('PUT', '/admin/loggers/{logger}', (request) => set(herder, request)),
  ]
}

function requireRoot({ parameters: { logger = '' } }: RoutedRequest): void {
  if (logger !== rootLogger) throw new HttpError(404, `Logger ${logger} not found.`)
}

async function set(herder: Herder, request: RoutedRequest) {
  requireRoot(request)
  const body = request.json()
  const level = isObject(body) ? body['level'] : undefined
  if (typeof level !== 'string')
    throw new HttpError(400, "Desired 'level' parameter was not specified in request.")
  if (!WorkerLog.isLevel(level)) throw new HttpError(404, `invalid log level '${level}'.`)
  if (request.query.get('scope')?.toLowerCase() === 'cluster') {
    await herder.setLogLevelOfAll(level)
    return empty(204)
  }
  herder.log.set(level)
  return json(200, [rootLogger])
}

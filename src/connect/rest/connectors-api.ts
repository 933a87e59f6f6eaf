/** Kafka Connect's REST interface to connectors: `/connectors`, their settings, states and tasks. */
import { empty, HttpError, json, type Route, type RoutedRequest, route } from '../../http/routes.ts'
import type { Herder } from '../runtime/herder.ts'
import type { TargetState } from '../storage/config-state.ts'
import type { Status } from '../storage/status-state.ts'
import { connectorRequest, givenSettings, named, settingsOf } from './connector-request.ts'

export function connectorRoutes(herder: Herder): Route[] {
  const nameOf = ({ parameters }: RoutedRequest) => parameters['name']!
  const target = (state: TargetState, status: number) => async (request: RoutedRequest) => {
    await herder.setTarget(nameOf(request), state)
    return empty(status)
  }
  return [
    route('GET', '/connectors', ({ query }) => json(200, listed(herder, query.getAll('expand')))),
    route('POST', '/connectors', (request) => create(herder, request)),
    route('GET', '/connectors/{name}', (request) => json(200, info(herder, nameOf(request)))),
    route('DELETE', '/connectors/{name}', async (request) => {
      await herder.delete(nameOf(request))
      return empty(204)
    }),
    route('GET', '/connectors/{name}/config', (request) =>
      json(200, Object.fromEntries(herder.require(nameOf(request)))),
    ),
    route('PUT', '/connectors/{name}/config', (request) => putConfig(herder, request)),
    route('PATCH', '/connectors/{name}/config', async (request) => {
      const changes = settingsOf(request.json())
      await herder.patch(nameOf(request), changes)
      return json(200, info(herder, nameOf(request)))
    }),
    route('GET', '/connectors/{name}/status', (request) =>
      json(200, status(herder, nameOf(request))),
    ),
    route('PUT', '/connectors/{name}/pause', target('PAUSED', 202)),
    route('PUT', '/connectors/{name}/resume', target('STARTED', 202)),
    route('PUT', '/connectors/{name}/stop', target('STOPPED', 204)),
    route('POST', '/connectors/{name}/restart', (request) => restart(herder, request)),
    route('GET', '/connectors/{name}/tasks', (request) =>
      json(200, tasks(herder, nameOf(request))),
    ),
    route('GET', '/connectors/{name}/tasks/{task}/status', (request) => {
      const task = taskOf(request)
      const found = herder.statuses.task(nameOf(request), task)
      if (found === undefined)
        throw new HttpError(404, `No status found for task ${nameOf(request)}-${task}`)
      return json(200, { id: task, ...told(found) })
    }),
    route('POST', '/connectors/{name}/tasks/{task}/restart', async (request) => {
      await herder.restartTask(nameOf(request), taskOf(request))
      return empty(204)
    }),
    route('POST', '/connectors/{name}/tasks', async (request) => {
      const { body, headers } = request
      await herder.putTasks(nameOf(request), { body: body ?? Buffer.alloc(0), headers })
      return empty(204)
    }),
    route('PUT', '/connectors/{name}/fence', async (request) => {
      const { body, headers } = request
      await herder.fence(nameOf(request), { body: body ?? Buffer.alloc(0), headers })
      // Kafka's workers read a body where there is any other status.
      return empty(204)
    }),
    ...topicRoutes(herder),
  ]
}

function topicRoutes(herder: Herder): Route[] {
  const { config } = herder.worker
  const isTracked = config['topic.tracking.enable']
  const forbid = (what: string) => new HttpError(403, `${what} is disabled.`)
  return [
    route('GET', '/connectors/{name}/topics', ({ parameters: { name = '' } }) => {
      if (!isTracked) throw forbid('Topic tracking')
      herder.require(name)
      return json(200, { [name]: { topics: herder.statuses.topics(name) } })
    }),
    route('PUT', '/connectors/{name}/topics/reset', ({ parameters: { name = '' } }) => {
      if (!isTracked) throw forbid('Topic tracking')
      if (!config['topic.tracking.allow.reset']) throw forbid('Topic tracking reset')
      herder.forgetTopics(name)
      return empty(202)
    }),
  ]
}

function listed(herder: Herder, expansions: readonly string[]): unknown {
  const { names } = herder.configs
  if (expansions.length === 0) return names
  return Object.fromEntries(
    names.map((name) => [
      name,
      {
        ...(expansions.includes('status') ? { status: statusOrUnassigned(herder, name) } : {}),
        ...(expansions.includes('info') ? { info: info(herder, name) } : {}),
      },
    ]),
  )
}

async function create(herder: Herder, request: RoutedRequest) {
  const { name, settings, target } = connectorRequest(request.json())
  await herder.put(name, settings, { mayReplace: false, target })
  const headers = { Location: `/connectors/${encodeURIComponent(name)}` }
  return json(201, info(herder, name), headers)
}

async function putConfig(herder: Herder, request: RoutedRequest) {
  const { name = '' } = request.parameters
  const settings = named(name, givenSettings(request.json()))
  const isNew = await herder.put(name, settings, { mayReplace: true, target: null })
  const headers = isNew ? { Location: `/connectors/${encodeURIComponent(name)}` } : {}
  return json(isNew ? 201 : 200, info(herder, name), headers)
}

async function restart(herder: Herder, request: RoutedRequest) {
  const { name = '' } = request.parameters
  const includeTasks = request.query.get('includeTasks') === 'true'
  const onlyFailed = request.query.get('onlyFailed') === 'true'
  const before = status(herder, name)
  await herder.restart(name, { includeTasks, onlyFailed })
  if (!includeTasks && !onlyFailed) return empty(204)
  const restarting = <S extends { state: string }>(one: S, isMeant: boolean) =>
    isMeant && (!onlyFailed || one.state === 'FAILED') ? { ...one, state: 'RESTARTING' } : one
  return json(202, {
    ...before,
    connector: restarting(before.connector, true),
    tasks: before.tasks.map((task) => restarting(task, includeTasks)),
  })
}

function info(herder: Herder, name: string) {
  const settings = herder.require(name)
  return {
    name,
    config: Object.fromEntries(settings),
    tasks: herder.configs.tasks(name).map((_, task) => ({ connector: name, task })),
    type: herder.typeOf(settings),
  }
}

function status(herder: Herder, name: string) {
  const settings = herder.configs.connector(name)
  const found = herder.statuses.connector(name)
  if (found === undefined) throw new HttpError(404, `No status found for connector ${name}`)
  return {
    name,
    connector: told(found),
    tasks: herder.statuses.tasks(name).map(([id, task]) => ({ id, ...told(task) })),
    type: settings === undefined ? 'unknown' : herder.typeOf(settings),
  }
}

/** A connector that is being made has no status yet. */
function statusOrUnassigned(herder: Herder, name: string) {
  if (herder.statuses.connector(name) !== undefined) return status(herder, name)
  const { workerId } = herder.worker
  return {
    name,
    connector: { state: 'UNASSIGNED', worker_id: workerId },
    tasks: [],
    type: herder.typeOf(herder.require(name)),
  }
}

function told({ state, workerId, trace, version }: Status) {
  return {
    state,
    worker_id: workerId,
    ...(trace === null ? {} : { trace }),
    ...(version === null ? {} : { version }),
  }
}

function tasks(herder: Herder, name: string) {
  herder.require(name)
  return herder.configs.tasks(name).map((settings, task) => ({
    id: { connector: name, task },
    config: Object.fromEntries(settings),
  }))
}

function taskOf({ parameters }: RoutedRequest): number {
  const text = parameters['task'] ?? ''
  if (!/^\d{1,9}$/.test(text)) throw new HttpError(404, `There is no task ${text}`)
  return Number(text)
}

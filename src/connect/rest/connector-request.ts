/** What describes a connector that is to be made: over REST, and in the files that a standalone worker is given. */
import { HttpError } from '../../http/routes.ts'
import type { Settings } from '../config-def.ts'
import type { TargetState } from '../storage/config-state.ts'
import { isObject } from '../storage/stored-json.ts'

export interface ConnectorRequest {
  readonly name: string
  readonly settings: Settings
  /** Null: as it is, or started. */
  readonly target: TargetState | null
}

const initialStates: Readonly<Record<string, TargetState>> = {
  RUNNING: 'STARTED',
  PAUSED: 'PAUSED',
  STOPPED: 'STOPPED',
}

/** `{"name", "config", "initial_state"}`, as Kafka Connect takes it. Throws HttpError 400. */
export function connectorRequest(body: unknown): ConnectorRequest {
  if (!isObject(body)) throw new HttpError(400, 'The body must be an object with name and config')
  const unknown = Object.keys(body).find(
    (key) => !['name', 'config', 'initial_state'].includes(key),
  )
  if (unknown !== undefined) throw new HttpError(400, `Unrecognized field "${unknown}"`)
  const { name: given = '', config, initial_state: state = null } = body
  if (typeof given !== 'string') throw new HttpError(400, 'name must be a string')
  const name = given.trim()
  const settings = named(name, givenSettings(config))
  const target = state === null ? null : initialStates[String(state).toUpperCase()]
  if (target === undefined)
    throw new HttpError(
      400,
      `initial_state must be one of ${Object.keys(initialStates).join(', ')}`,
    )
  return { name, settings, target }
}

/** An object of texts, numbers and booleans, which count as their texts. Throws HttpError 400. */
export function settingsOf(given: unknown): Map<string, string | null> {
  if (!isObject(given)) throw new HttpError(400, 'A configuration must be an object of strings')
  const settings = new Map<string, string | null>()
  for (const [name, value] of Object.entries(given)) {
    if (value !== null && typeof value === 'object')
      throw new HttpError(400, `The value of ${name} must be a string`)
    settings.set(name, value === null ? null : String(value))
  }
  return settings
}

/** As `settingsOf`, where a null is an error. Throws HttpError 400. */
export function givenSettings(config: unknown): Map<string, string> {
  const given = new Map<string, string>()
  for (const [name, value] of settingsOf(config)) {
    if (value === null)
      throw new HttpError(
        400,
        `Null value can not be supplied as the configuration value of ${name}.`,
      )
    given.set(name, value)
  }
  return given
}

/** The name is a setting too. Throws HttpError 400 where it is another one. */
export function named(name: string, settings: Map<string, string>): Settings {
  const included = settings.get('name')
  if (included !== undefined && included !== name)
    throw new HttpError(
      400,
      `Connector name configuration (${included}) doesn't match connector name in the URL (${name})`,
    )
  return settings.set('name', name)
}

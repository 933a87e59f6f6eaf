/** `/connector-plugins`: what there is, which settings it has, and whether some are right. */
import { HttpError, json, type Route, route } from '../../http/routes.ts'
import type { ConfigKey } from '../config-def.ts'
import { sinkConfig, sourceConfig } from '../connector-configs.ts'
import { converterConfig } from '../converters/converter-configs.ts'
import { headerConverterNames } from '../converters/header-converters.ts'
import { converters, nameOfClass } from '../converters/known-converters.ts'
import type { Herder } from '../runtime/herder.ts'
import { keyInfo } from '../validation.ts'
import { connectVersion } from '../version.ts'
import { settingsOf } from './connector-request.ts'

export function pluginRoutes(herder: Herder): Route[] {
  return [
    route('GET', '/connector-plugins', ({ query }) =>
      json(200, listed(herder, query.get('connectorsOnly') !== 'false')),
    ),
    route('GET', '/connector-plugins/{plugin}/config', ({ parameters: { plugin = '' } }) =>
      json(
        200,
        Array.from(keysOf(herder, plugin), ([name, key]) => keyInfo(name, key)),
      ),
    ),
    route('PUT', '/connector-plugins/{plugin}/config/validate', async (request) => {
      const { plugin = '' } = request.parameters
      const settings = new Map<string, string>()
      for (const [name, value] of settingsOf(request.json()))
        if (value !== null) settings.set(name, value)
      const named = settings.get('connector.class')
      const { worker } = herder
      const included = worker.plugins.connector(named ?? '')
      if (named !== undefined && included !== worker.plugins.connector(plugin))
        throw new HttpError(
          400,
          `Included connector type ${named} does not match request type ${plugin}`,
        )
      return json(200, await herder.validate(new Map([['connector.class', plugin], ...settings])))
    }),
  ]
}

function listed(herder: Herder, connectorsOnly: boolean) {
  const { connectors, transformations, predicates } = herder.worker.plugins
  const told = (plugins: Iterable<{ className: string; type: string; version: string }>) =>
    Array.from(plugins, ({ className, type, version }) => ({ class: className, type, version }))
  const ofConverters = (names: Iterable<string>, type: string) =>
    told(Array.from(names, (className) => ({ className, type, version: connectVersion })))
  if (connectorsOnly) return told(connectors.values())
  return [
    ...told(connectors.values()),
    ...ofConverters(converters.keys(), 'converter'),
    ...ofConverters(headerConverterNames, 'header_converter'),
    ...told(transformations.values()),
    ...told(predicates.values()),
  ]
}

/** Throws HttpError 404. */
function keysOf(herder: Herder, name: string): ReadonlyMap<string, ConfigKey> {
  const plugin = herder.worker.plugins.any(name)
  if (plugin === undefined) {
    const className = nameOfClass(
      [...converters.keys(), ...headerConverterNames],
      name,
      'Converter',
    )
    if (className === undefined) throw new HttpError(404, `Unknown plugin ${name}.`)
    return converterConfig(className).keys
  }
  if (plugin.type === 'sink') return new Map([...plugin.config.keys, ...sinkConfig.keys])
  if (plugin.type === 'source') return new Map([...plugin.config.keys, ...sourceConfig.keys])
  return plugin.config.keys
}

/**
 * References in settings, `${provider:path:key}`: they are kept as they are written, wherever settings are
 * kept, and become what they stand for only where a connector or a task is given its settings. Providers
 * are named in the worker's settings, as in Kafka:
 *
 *     config.providers=file,env
 *     config.providers.file.class=org.apache.kafka.common.config.provider.FileConfigProvider
 *     config.providers.file.param.allowed.paths=/etc/secrets
 *
 * A reference that no provider knows stays as it is.
 */
import { join, resolve, sep } from 'node:path'
import { ConfigError } from '../config/definition.ts'
import { parseProperties } from '../config/properties.ts'
import { DiskError } from '../environment/disk.ts'
import type { Environment } from '../environment/environment.ts'
import type { Settings } from './config-def.ts'
import { nameOfClass } from './converters/known-converters.ts'

/** What a key stands for; undefined: nothing. Throws ConfigError. */
type Lookup = (path: string, key: string) => string | undefined

export interface ProviderSurroundings {
  readonly disk: Environment['disk']
  /** The variables of the process. */
  readonly variables: Readonly<Record<string, string | undefined>>
}

type Make = (parameters: Settings, surroundings: ProviderSurroundings) => Lookup

const prefix = 'org.apache.kafka.common.config.provider'
const classes: ReadonlyMap<string, Make> = new Map<string, Make>([
  [`${prefix}.FileConfigProvider`, fileProvider],
  [`${prefix}.DirectoryConfigProvider`, directoryProvider],
  [`${prefix}.EnvVarConfigProvider`, variableProvider],
])

const reference = /\$\{([^}]*?):(?:([^}]*?):)?([^}]*?)\}/g

export class ConfigProviders {
  readonly #lookups = new Map<string, Lookup>()

  /** Throws ConfigError for a provider that there is not. */
  constructor(settings: Settings, surroundings: ProviderSurroundings) {
    const names = (settings.get('config.providers') ?? '').split(',').map((name) => name.trim())
    for (const name of names.filter((each) => each !== '')) {
      const setting = `config.providers.${name}.class`
      const className = settings.get(setting) ?? ''
      const make = classes.get(nameOfClass(classes.keys(), className, 'ConfigProvider') ?? '')
      if (make === undefined)
        throw new ConfigError(
          setting,
          `Invalid value ${className} for configuration ${setting}: there are ${[...classes.keys()].join(', ')}`,
        )
      const below = `config.providers.${name}.param.`
      const parameters = [...settings]
        .filter(([given]) => given.startsWith(below))
        .map(([given, value]): [string, string] => [given.slice(below.length), value])
      this.#lookups.set(name, make(new Map(parameters), surroundings))
    }
  }

  /** All references replaced that a provider knows. Throws ConfigError where one cannot be asked. */
  resolve(settings: Settings): Settings {
    if (this.#lookups.size === 0) return settings
    return new Map(
      Array.from(settings, ([name, value]) => [
        name,
        value.replace(
          reference,
          (text, provider: string, path: string | undefined, key: string) => {
            const lookup = this.#lookups.get(provider)
            return lookup?.(path ?? '', key) ?? text
          },
        ),
      ]),
    )
  }
}

/** With every reference in place of what it stood for, where the settings of a connector have one. */
export function unresolved(settings: Settings, ofConnector: Settings): Settings {
  const restored = new Map(settings)
  for (const [name, value] of ofConnector)
    if (restored.has(name) && hasReference(value)) restored.set(name, value)
  return restored
}

export function hasReference(value: string): boolean {
  return value.search(reference) >= 0
}

/** Of a properties file. */
function fileProvider(parameters: Settings, { disk }: ProviderSurroundings): Lookup {
  const allowed = allowedPaths(parameters)
  return (path, key) =>
    path === '' || !allowed(path) ? undefined : parseProperties(textOf(disk, path)).get(key)
}

/** Of the files of a directory, each a value. */
function directoryProvider(parameters: Settings, { disk }: ProviderSurroundings): Lookup {
  const allowed = allowedPaths(parameters)
  return (path, key) => {
    if (path === '' || key.includes(sep) || key === '..' || !allowed(path)) return undefined
    const file = join(path, key)
    return disk.exists(file) && !disk.stat(file).isDirectory ? textOf(disk, file) : undefined
  }
}

function variableProvider(parameters: Settings, { variables }: ProviderSurroundings): Lookup {
  const pattern = parameters.get('allowlist.pattern')
  const allowed = pattern === undefined ? /^/ : new RegExp(`^(?:${pattern})$`)
  return (path, key) => (path === '' && allowed.test(key) ? variables[key] : undefined)
}

/** Dots in a path do not lead out of them. */
function allowedPaths(parameters: Settings): (path: string) => boolean {
  const given = parameters.get('allowed.paths')?.trim() ?? ''
  if (given === '') return () => true
  const roots = given.split(',').map((path) => resolve(path.trim()))
  return (path) => {
    const full = resolve(path)
    return roots.some((root) => full === root || full.startsWith(`${root}${sep}`))
  }
}

function textOf(disk: Environment['disk'], path: string): string {
  try {
    return disk.readFile(path).toString('utf8')
  } catch (error) {
    if (!(error instanceof DiskError)) throw error
    const message = `Could not read properties from file ${path}: ${error.code}`
    throw new ConfigError('config.providers', message)
  }
}

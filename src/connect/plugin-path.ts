/**
 * Plug-ins that others have written: the JavaScript modules of the directories that `plugin.path` names,
 * and the `index` of each directory in these. A module's default export is a function, which is handed
 * what plug-ins are made of (`PluginParts`) and answers a plug-in, or a list of them:
 *
 *     // /opt/connect/ticker.mjs
 *     export default ({ ConfigDef, key, int, sourceRecord }) => ({
 *       type: 'source',
 *       className: 'com.example.TickerConnector',
 *       version: '1.0',
 *       config: new ConfigDef({ every: key(int(1000), 'LOW', 'Milliseconds between two ticks.') }),
 *       connector: () => new Ticker(),
 *       task: () => new TickerTask(),
 *     })
 *
 * What a connector and a task are, and what they are told, is in `plugin.ts`; in TypeScript the function
 * is a `PluginModule`. A module that cannot be loaded is told in the log, and is not there.
 */
import { extname, join, resolve } from 'node:path'
import { boolean, ConfigError, int, list, long, password, string } from '../config/definition.ts'
import { type Disk, DiskError } from '../environment/disk.ts'
import type { Logger } from '../environment/environment.ts'
import { ConfigDef, key, required, type Settings } from './config-def.ts'
import * as data from './data.ts'
import { ConnectException, DataException, RetriableException } from './failures.ts'
import type { AnyPlugin } from './plugins.ts'
import { sourceRecord } from './records.ts'

const { arrayOf, mapOf, primitive, Schema, Struct, structOf } = data

/** Tables of settings, schemas and values, records, and what to fail with. */
const pluginParts = {
  ...{ ConfigDef, ConfigError, key, required, boolean, int, list, long, password, string },
  ...{ Schema, Struct, primitive, arrayOf, mapOf, structOf, sourceRecord },
  ...{ ConnectException, DataException, RetriableException },
}

export type PluginParts = typeof pluginParts
export type PluginModule = (parts: PluginParts) => AnyPlugin | readonly AnyPlugin[]

export interface PluginSurroundings {
  readonly disk: Disk
  readonly log: Logger
  /** The default export of a module. */
  readonly load: (path: string) => Promise<unknown>
}

const endings = ['.mjs', '.cjs', '.js']
const types: readonly unknown[] = ['sink', 'source', 'transformation', 'predicate']

/** All that is found. Rejects with ConfigError for a directory that there is not. */
export async function pluginsOf(
  settings: Settings,
  { disk, log, load }: PluginSurroundings,
): Promise<AnyPlugin[]> {
  const paths = (settings.get('plugin.path') ?? '').split(',').map((path) => path.trim())
  const plugins: AnyPlugin[] = []
  for (const path of paths.filter((each) => each !== ''))
    for (const module of modulesIn(disk, resolve(path)))
      try {
        const made = madeBy(await load(module))
        plugins.push(...made)
        const names = made.map(({ className }) => className).join()
        log.info(`Loaded plug-ins from ${module}`, { plugins: names })
      } catch (err) {
        log.error(`No plug-in can be loaded from ${module}`, { err })
      }
  return plugins
}

function modulesIn(disk: Disk, directory: string): string[] {
  try {
    return disk.list(directory).flatMap(({ name, isDirectory }) => {
      const path = join(directory, name)
      if (!isDirectory) return endings.includes(extname(name)) ? [path] : []
      return endings.map((ending) => join(path, `index${ending}`)).filter((at) => disk.exists(at))
    })
  } catch (error) {
    if (!(error instanceof DiskError)) throw error
    const message = `Invalid value ${directory} for configuration plugin.path: ${error.code}`
    throw new ConfigError('plugin.path', message)
  }
}

/** Throws ConnectException where it is none. */
function madeBy(exported: unknown): readonly AnyPlugin[] {
  if (typeof exported !== 'function')
    throw new ConnectException('Its default export is not a function that makes plug-ins')
  const made = (exported as PluginModule)(pluginParts)
  const all = (Array.isArray(made) ? made : [made]) as readonly Partial<AnyPlugin>[]
  for (const { type, className, version, config } of all)
    if (
      !types.includes(type) ||
      typeof className !== 'string' ||
      typeof version !== 'string' ||
      !(config instanceof ConfigDef)
    )
      throw new ConnectException(
        `A plug-in has a type (${types.join(', ')}), a className, a version and a config (a ConfigDef)`,
      )
  return all as readonly AnyPlugin[]
}

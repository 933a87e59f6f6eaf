/** The plugins of a Connect worker on this machine: those that come with it, and those that `plugin.path` adds. */
import type { StorageAt } from './connect/delta/move-offsets.ts'
import { knownPlugins } from './connect/known-plugins.ts'
import { pluginsOf } from './connect/plugin-path.ts'
import { Plugins } from './connect/plugins.ts'
import type { Environment } from './environment/environment.ts'
import { loadModule } from './environment/node/modules.ts'
import { tableStorage } from './table-storage.ts'

/** Where connectors' tables lie. */
export const storageIn =
  (environment: Environment): StorageAt =>
  (location, variables) =>
    tableStorage(location, environment, variables)

/** Rejects with ConfigError. */
export async function loadPlugins(
  environment: Environment,
  settings: ReadonlyMap<string, string>,
): Promise<Plugins> {
  const { clock, random, disk, log } = environment
  const ofOthers = await pluginsOf(settings, { disk, log, load: loadModule })
  const known = knownPlugins({ clock, random, storageAt: storageIn(environment) })
  return new Plugins([...known, ...ofOthers])
}

/** Modules of JavaScript that somebody put where a setting says. */
import { pathToFileURL } from 'node:url'

/** Its default export. Rejects with whatever reading and running it throws. */
export async function loadModule(path: string): Promise<unknown> {
  const { default: exported } = (await import(pathToFileURL(path).href)) as { default?: unknown }
  return exported
}

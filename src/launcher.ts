/**
 * What `npm start` runs, `millrace.js` in the bundle: compiles the broker's one file from V8's code cache,
 * which the build left beside it, and starts it. Compiling took most of a start; what the cache does not
 * hold, or all of it if it is of another version of Node, is compiled as ever. It reads the two files itself: there is
 * no Environment before they are compiled.
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { Script } from 'node:vm'
import { isProgram } from './environment/node/program.ts'

/** The file of the bundle that holds `main.ts` and all that it imports, most packages too, as CommonJS. */
export const brokerFile = 'broker.cjs'
/** What V8 made of it. */
export const cacheFile = 'broker.cache'

/** `main.ts`, compiled. */
export interface CompiledBroker {
  start(args: readonly string[]): Promise<void>
  readonly script: Script
  /** Whether the cache was there and of this very V8. */
  readonly isFromCache: boolean
}

/** Compiles `brokerFile` of a directory, a URL that ends in a slash. Throws if it is not there. */
export function compileBroker(directory: URL): CompiledBroker {
  const filename = fileURLToPath(new URL(brokerFile, directory))
  const cachedData = readCache(new URL(cacheFile, directory))
  const script = new Script(
    `(function (module, exports, require, __filename) {${readFileSync(filename, 'latin1')}\n})`,
    { filename, ...(cachedData === undefined ? {} : { cachedData }) },
  )
  const module = { exports: {} as Pick<CompiledBroker, 'start'> }
  script.runInThisContext()(module, module.exports, createRequire(filename), filename)
  return {
    start: module.exports.start,
    script,
    isFromCache: cachedData !== undefined && script.cachedDataRejected !== true,
  }
}

function readCache(file: URL): Buffer | undefined {
  try {
    return readFileSync(file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** As in `main.ts`. */
export async function start(args: readonly string[]): Promise<void> {
  await compileBroker(new URL('./', import.meta.url)).start(args)
}

if (isProgram(import.meta.url)) await start(process.argv.slice(2))

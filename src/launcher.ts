/**
 * What `npm start` runs, `millrace.js` in the bundle: compiles the broker's one file from V8's code cache,
 * which the build left beside it, and starts it. Compiling took most of a start; what the cache does not
 * hold, or all of it if it is of another version of Node, is compiled as ever.
 */
import { type CompiledFile, compileFile } from './environment/node/compiled-file.ts'
import { isProgram } from './environment/node/program.ts'

/** The file of the bundle that holds `main.ts` and all that it imports, most packages too, as a function. */
export const brokerFile = 'broker.cjs'
/** What V8 made of it. */
export const cacheFile = 'broker.cache'

type Start = (args: readonly string[]) => Promise<void>

/** `main.ts`, compiled from a directory, a URL that ends in a slash. Throws if it is not there. */
export const compileBroker = (directory: URL): CompiledFile<{ readonly start: Start }> =>
  compileFile(new URL(brokerFile, directory), new URL(cacheFile, directory))

/** As in `main.ts`. */
export async function start(args: readonly string[]): Promise<void> {
  await compileBroker(new URL('./', import.meta.url)).exports.start(args)
}

// Not awaited: the bundle of this file is CommonJS.
if (isProgram(import.meta.url)) void start(process.argv.slice(2))

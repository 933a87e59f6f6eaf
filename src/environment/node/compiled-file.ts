/**
 * A function that stands for a file of CommonJS, compiled from what V8 made of it before, which lies beside it. The
 * file holds the function as it is, since V8 then keeps its text outside the heap, and no second one.
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { Script } from 'node:vm'

export interface CompiledFile<Exports> {
  readonly exports: Exports
  readonly script: Script
  /** Whether the cache was there and of this very V8. */
  readonly isFromCache: boolean
}

/** The text of CommonJS as `compileFile` takes it. */
export const asFunction = (text: string): string =>
  `(function (module, exports, require, __filename) {${text}\n})`

/** Compiles and runs `file`. Without the cache, or with one of another V8, it takes longer. Throws if it is not there. */
export function compileFile<Exports>(file: URL, cache: URL): CompiledFile<Exports> {
  const filename = fileURLToPath(file)
  const cachedData = readCache(cache)
  const script = new Script(readFileSync(filename, 'latin1'), {
    filename,
    ...(cachedData === undefined ? {} : { cachedData }),
  })
  const module = { exports: {} as Exports }
  script.runInThisContext()(module, module.exports, createRequire(filename), filename)
  return {
    exports: module.exports,
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

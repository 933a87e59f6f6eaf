/**
 * Joins a CommonJS file and the packages that it requires into one text, each file a function, for V8's
 * code cache to hold them all: to find, read and compile the twenty files of a logger takes longer than
 * to open an empty broker.
 *
 * What is required by a name that is not written out, and Node's own modules, are required as ever. The
 * files do not know where they lay: nothing that starts a program of its own package works when joined.
 */
import { readFileSync } from 'node:fs'
import { createRequire, isBuiltin } from 'node:module'

const required = /\brequire\(\s*(['"])([^'"]+)\1\s*\)/g

interface JoinedFile {
  readonly text: string
  /** The number of the joined file that each name leads to. */
  readonly numbers: Readonly<Record<string, number>>
}

/** The text of one CommonJS module that does what `entry` does. `isJoined` is asked about packages' names. */
export function joinPackages(entry: string, isJoined: (name: string) => boolean): string {
  const paths = [entry]
  const files: JoinedFile[] = []
  // Grows meanwhile.
  for (const path of paths) {
    const text = readFileSync(path, 'utf8')
    const isJson = path.endsWith('.json')
    const numbers: Record<string, number> = {}
    for (const [, , name = ''] of isJson ? [] : text.matchAll(required)) {
      const isWanted = path !== entry || isJoined(name)
      const found = isWanted && !isBuiltin(name) ? resolveFrom(path, name) : undefined
      if (found === undefined) continue
      if (!paths.includes(found)) paths.push(found)
      numbers[name] = paths.indexOf(found)
    }
    files.push({ text: isJson ? `module.exports = ${text}` : text, numbers })
  }
  return `${prelude(files)}\nload(0, module)\n`
}

/** Nothing where a package does without it. */
function resolveFrom(path: string, name: string): string | undefined {
  try {
    return createRequire(path).resolve(name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error
    return undefined
  }
}

function prelude(files: readonly JoinedFile[]): string {
  const functions = files.map(
    ({ text }) => `function (module, exports, require, __filename, __dirname) {${text}\n}`,
  )
  return `const names = ${JSON.stringify(files.map(({ numbers }) => numbers))}
const loaded = []
const directory = require('node:path').dirname(__filename)
function load(number, module = { exports: {} }) {
  if (loaded[number] !== undefined) return loaded[number].exports
  loaded[number] = module
  const from = (name) => names[number][name] === undefined ? require(name) : load(names[number][name])
  files[number](module, module.exports, Object.assign(from, require), __filename, directory)
  return module.exports
}
const files = [${functions.join(',\n')}]`
}

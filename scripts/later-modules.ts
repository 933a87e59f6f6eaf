/** Has Node load some of its modules when they are used and not when a file that requires them is. */

/**
 * The text of a CommonJS file as Rollup writes it, where each of the modules `names` is loaded when something of it is
 * asked for, or it is called, for the first time.
 */
export function requireLater(text: string, names: readonly string[]): string {
  const quoted = names.map((name) => `'${name}'`)
  const required = new RegExp(`^var (\\S+) = require\\((${quoted.join('|')})\\);$`, 'gm')
  return text.replace(required, 'var $1 = (LATER)(() => require($2));').replaceAll('(LATER)', later)
}

/** What can be called has to stand for a module: `node:assert` is called. */
const later =
  '((load) => new Proxy(() => {}, { apply: (_, self, given) => load()(...given), get: (_, name) => load()[name] }))'

/** Style as a test: what no linter knows about the house. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { directionViolations } from '../scripts/directions.ts'

// Compiled tests run from build/, one folder deeper than their source.
const root = fileURLToPath(new URL('../..', import.meta.url))

function filesBelow(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? filesBelow(`${folder}/${entry.name}`) : [`${folder}/${entry.name}`],
  )
}

const sources = ['src', 'protocol'].flatMap(filesBelow).filter((file) => file.endsWith('.ts'))

t.test('imports go one way, without cycles', async (t) => {
  t.strictSame(directionViolations(root), [])
})

t.test('names say what a thing is', async (t) => {
  for (const file of sources) {
    const name = basename(file)
    t.match(name, /^[a-z0-9]+(-[a-z0-9]+)*(\.d)?\.ts$/, `${file} is in kebab-case`)
    t.notMatch(name, /^(utils?|common|helpers?|misc|index)\.ts$|-(utils?|helpers?|impl)\.ts$/, file)
    const text = readFileSync(join(root, file), 'utf8')
    t.notMatch(
      text,
      /\b(class|interface)\s+\w+(Manager|Helper|Util|Utils|Impl)\b/,
      `${file} has no class named for nothing`,
    )
  }
})

t.test('a file opens with its idea and stays one idea', async (t) => {
  for (const file of sources) {
    const text = readFileSync(join(root, file), 'utf8').replace(/^#!.*\n/, '')
    t.match(text, /^\/\*\*/, `${file} opens with a comment`)
    t.ok(text.split('\n').length <= 650, `${file} is short enough to be one idea`)
  }
})

t.test('nothing is left half done', async (t) => {
  for (const file of sources) {
    const text = readFileSync(join(root, file), 'utf8')
    t.notMatch(text, /\b(TODO|FIXME|XXX|HACK)\b/, file)
    t.notMatch(text, /catch\s*(\([^)]*\))?\s*\{\s*\}/, `${file} hides no error`)
    t.notMatch(text, /@ts-(ignore|nocheck)/, file)
  }
})

t.test('a message, a handler: one file per API', async (t) => {
  const handlers = filesBelow('src/handlers').map((file) => basename(file))
  const messages = new Set(filesBelow('protocol/messages').map((file) => basename(file)))
  for (const file of handlers) {
    const text = readFileSync(join(root, 'src/handlers', file), 'utf8')
    if (/\bhandler\(\s*apis\./.test(text)) t.ok(messages.has(file), `${file} has its tables`)
  }
  t.ok(statSync(join(root, 'src/handlers')).isDirectory())
})

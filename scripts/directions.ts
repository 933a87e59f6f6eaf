/**
 * Which part of the house may import which (DESIGN, "The house"). `npm run check` and a test ask
 * `directionViolations`; the table below is the rule.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'

/** A part is a folder or file below the root; the longest matching name counts. */
const mayImport: Readonly<Record<string, readonly string[] | 'anything'>> = {
  protocol: [],
  'src/environment': [],
  'src/environment/node': ['src/environment'],
  'src/config': [],
  'src/raft': ['protocol', 'src/environment', 'src/config'],
  'src/log': ['protocol', 'src/environment', 'src/config'],
  'src/metadata': ['protocol', 'src/environment', 'src/config', 'src/raft'],
  'src/coordinator': ['protocol', 'src/environment', 'src/config'],
  'src/replication': ['protocol', 'src/environment', 'src/config', 'src/log', 'src/metadata'],
  'src/server': ['protocol', 'src/environment', 'src/config'],
  'src/telemetry': ['protocol', 'src/environment', 'src/config', 'src/metadata'],
  'src/handlers': [
    'protocol',
    'src/environment',
    'src/config',
    'src/server',
    'src/log',
    'src/replication',
    'src/metadata',
    'src/raft',
    'src/coordinator',
    'src/telemetry',
  ],
  'src/client': ['protocol', 'src/environment', 'src/config'],
  'src/http': ['src/environment', 'src/config'],
  'src/connect': [
    'protocol',
    'src/client',
    'src/tables',
    'src/config',
    'src/environment',
    'src/http',
    'src/registry',
    'src/registry/avro',
    'src/connect/json-text.ts',
    'src/connect/float-text.ts',
    'src/connect/failures.ts',
    'src/tables/columns/json-string.ts',
  ],
  'src/connect/runtime/distributed': [
    'protocol',
    'src/client',
    'src/config',
    'src/connect',
    'src/environment',
    'src/http',
    'src/connect/failures.ts',
  ],
  // Exact JSON: connect's own, and it knows nothing of connectors.
  'src/connect/json-text.ts': [
    'src/connect/failures.ts',
    'src/connect/float-text.ts',
    'src/tables/columns/json-string.ts',
  ],
  'src/connect/float-text.ts': [],
  'src/connect/failures.ts': [],
  'src/registry/avro': ['src/connect/json-text.ts', 'src/connect/failures.ts'],
  'src/registry': [
    'protocol',
    'src/environment',
    'src/client',
    'src/http',
    'src/registry/avro',
    'src/connect/json-text.ts',
    'src/connect/failures.ts',
  ],
  'src/connect-service.ts': [
    'src/config',
    'src/connect',
    'src/environment',
    'src/http',
    'src/connect-thread.ts',
  ],
  'src/connect-thread.ts': [
    'src/config',
    'src/connect',
    'src/environment',
    'src/environment/node',
    'src/http',
    'src/connect-plugins.ts',
    'src/seeded-worker.ts',
  ],
  'src/connector-thread.ts': ['src/connect', 'src/environment/node', 'src/seeded-worker.ts'],
  'src/seeded-worker.ts': ['src/connect', 'src/environment/node', 'src/connect-plugins.ts'],
  'src/connect-worker.ts': [
    'src/client',
    'src/config',
    'src/connect',
    'src/connect/runtime/distributed',
    'src/environment',
    'src/environment/node',
    'src/connect-metrics.ts',
    'src/http',
    'src/connect-plugins.ts',
    'src/seeded-worker.ts',
  ],
  'src/connect-plugins.ts': [
    'src/connect',
    'src/environment',
    'src/environment/node',
    'src/table-storage.ts',
  ],
  'src/tables': ['protocol', 'src/environment', 'src/tables/columns/json-string.ts'],
  'src/tables/columns/json-string.ts': [],
  'src/table-storage.ts': ['src/environment', 'src/environment/node', 'src/tables'],
  'src/broker.ts': 'anything',
  'src/coordinators.ts': ['src/coordinator', 'src/environment', 'src/metadata', 'src/replication'],
  'src/orphaned-transactions.ts': [
    'protocol',
    'src/coordinator',
    'src/environment',
    'src/replication',
  ],
  'src/broker-metrics.ts': 'anything',
  'src/node-coordinators.ts': [
    'src/broker-settings.ts',
    'src/config',
    'src/coordinator',
    'src/coordinators.ts',
    'src/environment',
    'src/handlers',
    'src/metadata',
    'src/replication',
  ],
  'src/node-directories.ts': ['src/config', 'src/environment', 'src/log', 'src/metadata'],
  'src/broker-settings.ts': [
    'src/config',
    'src/coordinator',
    'src/log',
    'src/metadata',
    'src/server',
  ],
  'src/main.ts': [
    'src/broker.ts',
    'src/broker-metrics.ts',
    'src/config',
    'src/connect-metrics.ts',
    'src/connect-service.ts',
    'src/connect-thread.ts',
    'src/environment',
    'src/environment/node',
    'src/http',
    'src/registry',
    'src/table-metrics.ts',
    'src/tables-service.ts',
  ],
  'src/connect-metrics.ts': ['src/connect', 'src/http'],
  'src/table-metrics.ts': ['src/connect-service.ts', 'src/http'],
  'src/tables-service.ts': ['src/connect-service.ts', 'src/http'],
  'src/topic-tables.ts': ['src/config', 'src/metadata'],
  'src/launcher.ts': ['src/environment/node'],
  'src/compaction-thread.ts': ['src/environment/node', 'src/log'],
  'src/conversion-thread.ts': ['src/environment/node', 'src/log'],
  'src/cli': [
    'protocol',
    'src/client',
    'src/environment',
    'src/environment/node',
    'src/config',
    'src/tables',
    'src/main.ts',
    'src/connect-worker.ts',
    'src/table-storage.ts',
  ],
  test: 'anything',
  scripts: 'anything',
}

/**
 * Packages by the part that may use them; `node:` modules of the outside world likewise. Nobody but
 * `environment/node` reaches the outside, with one exception: the command line, whose files are those that
 * its user names.
 */
const packagesOf: Readonly<Record<string, RegExp>> = {
  protocol: /^(crc-32|lz4|snappyjs)(\/|$)|^node:(zlib|buffer|module|assert|crypto)/,
  'src/environment/node': /^pino$|^node:/,
  'src/cli': /^node:fs$/,
  'src/client': /^node:crypto$/,
  'src/registry': /^node:crypto$/,
  'src/connect/runtime/distributed': /^node:crypto$/,
  'src/tables': /^node:(zlib|crypto)$/,
}
/** What every part may use of Node: nothing that reaches the outside. */
const harmless = /^node:(assert|buffer|path|url|util)(\/|$)/

/** Those that build the environment, and with it the one place where a process's own settings and end are known. */
const programs =
  /^src\/(environment\/node\/|cli\/|(main|launcher|connect-worker|connect-thread|seeded-worker|table-storage)\.ts$)/
/** What no import shows and `rules.json` cannot forbid; clocks and timers are forbidden there. */
const worldly =
  /\bMath\.random\b|(?<![\w.#])process\.(env|argv|exit|on|std\w+|platform|\w+Usage|hrtime)\b/

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return filesBelow(path)
    return entry.name.endsWith('.ts') && !entry.name.endsWith('.d.ts') ? [path] : []
  })
}

function partOf(path: string): string {
  const names = Object.keys(mayImport).filter(
    (name) => path === name || path.startsWith(`${name}/`),
  )
  return names.sort((a, b) => b.length - a.length)[0] ?? ''
}

/** One line for each import that goes the wrong way, each file that reaches outside by itself, and each cycle. */
export function directionViolations(root: string): string[] {
  const wrong: string[] = []
  const graph = new Map<string, string[]>()
  for (const top of ['protocol', 'src']) {
    for (const file of filesBelow(join(root, top))) {
      const from = relative(root, file).split(sep).join('/')
      const part = partOf(from)
      if (part === '') wrong.push(`${from}: belongs to no part of the house`)
      const targets: string[] = []
      graph.set(from, targets)
      const text = readFileSync(file, 'utf8')
      const [reached] = programs.test(from) ? [] : (worldly.exec(text) ?? [])
      if (reached !== undefined) wrong.push(`${from}: reaches out by ${reached}`)
      for (const { specifier, typeOnly } of importsOf(text)) {
        if (!specifier.startsWith('.')) {
          if (!harmless.test(specifier) && !packagesOf[part]?.test(specifier)) {
            wrong.push(`${from}: imports ${specifier}`)
          }
          continue
        }
        const to = relative(root, resolve(dirname(file), specifier))
          .split(sep)
          .join('/')
        if (!typeOnly) targets.push(to)
        const allowed = mayImport[part]
        const other = partOf(to)
        if (allowed === 'anything' || other === part || allowed?.includes(other)) continue
        wrong.push(`${from}: imports ${to}, which ${part} may not`)
      }
    }
  }
  return [...wrong, ...cycles(graph)]
}

/** Static and dynamic imports and re-exports; type-only ones vanish when the program runs. */
function* importsOf(text: string): Generator<{ specifier: string; typeOnly: boolean }> {
  for (const match of text.matchAll(/^(import|export)\s+(type\s)?[^'"`;]*?from\s+'([^']+)'/gms)) {
    yield { specifier: match[3] ?? '', typeOnly: match[2] !== undefined }
  }
  for (const match of text.matchAll(/^import\s+'([^']+)'/gm)) {
    yield { specifier: match[1] ?? '', typeOnly: false }
  }
  for (const match of text.matchAll(/\bimport\(\s*'([^']+)'/g)) {
    yield { specifier: match[1] ?? '', typeOnly: true }
  }
}

function cycles(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const found: string[] = []
  const state = new Map<string, 'open' | 'done'>()
  const path: string[] = []
  const visit = (file: string): void => {
    if (state.get(file) === 'done') return
    if (state.get(file) === 'open') {
      found.push(`cycle: ${[...path.slice(path.indexOf(file)), file].join(' -> ')}`)
      return
    }
    state.set(file, 'open')
    path.push(file)
    for (const target of graph.get(file) ?? []) visit(target)
    path.pop()
    state.set(file, 'done')
  }
  for (const file of graph.keys()) visit(file)
  return found
}

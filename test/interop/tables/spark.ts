/**
 * Delta tables exchanged with Spark: tables of every feature that it makes are read here row for row, are then appended
 * to, merged into, deleted from and put together here, and read back there; and it works on tables that were made here.
 *
 * Spark takes seconds to start, so that it is given its statements in two lots, as a file each.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Report } from '../directories/exchange.ts'
import { JavaProgram } from '../java-program.ts'
import { fetchSpark, sparkFlags, sparkJars } from '../spark-jars.ts'
import { attempt, millrace, type OurTable, ours, ourTables, run, same } from './exchange.ts'
import { theirTables } from './spark-tables.ts'

// Compiled tests run from build/, one folder deeper than their source.
const root = fileURLToPath(new URL('../../../..', import.meta.url))
export interface SparkOptions {
  /** Where jars are kept from run to run. */
  readonly cache: string
  readonly directory: string
}

/** Tables of which also the changes are compared. */
const feeds = new Set(['feed', 'ours-tracked'])
/** A table that gives values itself, and refuses some. */
const ruled: OurTable = {
  commits: 1,
  options: [
    '--schema',
    JSON.stringify({
      type: 'struct',
      fields: [
        column('id', 'long'),
        column('at', 'timestamp'),
        column('n', 'long', {
          'delta.identity.start': 100,
          'delta.identity.step': -3,
          'delta.identity.allowExplicitInsert': true,
        }),
        column('day', 'date', { 'delta.generationExpression': 'CAST(at AS DATE)' }),
        column('v', 'string', { CURRENT_DEFAULT: "'none'" }),
      ],
    }),
    ...['--partition-by', 'day', '--property', 'delta.constraints.positive=id >= 0'],
  ],
  row: (n) => `{"id":${n},"at":"2024-02-${10 + (n % 3)}T10:00:00Z"}`,
}
const madeHere: Readonly<Record<string, OurTable>> = { ...ourTables, ruled }

function column(name: string, type: string, metadata = {}) {
  return { name, type, nullable: true, metadata }
}

/** What Spark adds to tables whose values are not all given. */
const additions: Readonly<Record<string, readonly string[]>> = {
  generated: ["INSERT INTO $t (id, at) VALUES (500, TIMESTAMP '2024-02-29 10:00:00')"],
  'ours-ruled': [
    "INSERT INTO $t (id, at) VALUES (500, TIMESTAMP '2024-02-29 10:00:00')",
    'UPDATE $t SET at = at + INTERVAL 1 DAY WHERE id = 500',
  ],
}

/** A table on which both must agree. */
interface Table {
  readonly name: string
  readonly path: string
}

export async function exchangeWithSpark(
  { cache, directory }: SparkOptions,
  report: Report,
): Promise<void> {
  const jars = sparkJars(cache)
  const reason = fetchSpark(jars)
  if (reason !== null) return report('spark', null, reason)
  mkdirSync(directory, { recursive: true })
  const table = (name: string): Table => ({ name, path: join(directory, name) })
  const generated = table('generated')
  const theirs = Object.keys(theirTables).map(table)
  const own = Object.keys(madeHere).map((kind) => table(`ours-${kind}`))
  const all = [generated, ...theirs, ...own]
  for (const { name, path } of own) makeOurs(name.slice('ours-'.length), path)

  const spark = new Spark(jars, directory)
  await spark.carryOut('made', [
    `generated ${generated.path}`,
    sql(
      'INSERT INTO $t (id, at) SELECT id, timestamp_seconds(id * 40000) FROM range(9)',
      generated,
    ),
    ...theirs.flatMap((one) => theirTables[one.name]!.map((text) => sql(text, one))),
    ...own.flatMap((one) => changesThere(one.name).map((text) => sql(text, one))),
    ...all.flatMap(readings),
  ])
  for (const one of all) {
    await attempt(report, `spark: ${one.name}, read here`, async () => agree(one))
  }
  for (const one of all) {
    await attempt(report, `spark: ${one.name}, changed here`, async () => changeHere(one))
  }
  const added = all.flatMap((one) => (additions[one.name] ?? []).map((text) => sql(text, one)))
  await spark.carryOut('changed', [...added, ...all.flatMap(readings)])
  for (const one of all) {
    await attempt(report, `spark: ${one.name}, read there`, async () => agree(one))
  }
}

class Spark {
  readonly #program: JavaProgram
  readonly #directory: string

  constructor(jars: string, directory: string) {
    this.#directory = directory
    this.#program = new JavaProgram({
      source: join(root, 'test/interop/clients/spark/Delta.java'),
      jars,
      classes: join(directory, 'classes'),
      flags: sparkFlags,
      logFile: join(directory, 'spark.log'),
    })
  }

  /** Throws with the statement that failed. */
  async carryOut(name: string, lines: readonly string[]): Promise<void> {
    const file = join(this.#directory, name)
    writeFileSync(file, lines.map((line) => `${line}\n`).join(''))
    const { code, output } = await this.#program.run(file)
    if (code !== 0) throw new Error(`Spark: exit ${code}: ${output.slice(-600)}`)
  }
}

const sql = (text: string, { path }: Table) => `sql ${text.replaceAll('$t', `delta.\`${path}\``)}`

const readings = ({ name, path }: Table): string[] => [
  `read ${path} ${path}.rows`,
  ...(feeds.has(name) ? [`changes ${path} ${path}.changes`] : []),
]

/** Throws where what Spark wrote down is not what we read. */
function agree({ name, path }: Table): string {
  const rows = same('rows', ours('read', path, '--json'), readFileSync(`${path}.rows`, 'utf8'))
  if (!feeds.has(name)) return `${rows} rows`
  const told = ours('changes', path, '--from', '0', '--json')
  return `${rows} rows, ${same('changes', told, readFileSync(`${path}.changes`, 'utf8'))} changes`
}

function makeOurs(kind: string, path: string): void {
  const table = madeHere[kind]!
  const lines = Array.from({ length: 50 }, (_, i) => table.row(i))
  run(process.execPath, [millrace, 'tables', 'append', path, ...table.options], lines)
}

/** What Spark does to a table that was made here. */
const changesThere = (name: string): readonly string[] =>
  additions[name] ??
  (name === 'ours-partitioned' || name === 'ours-tracked'
    ? [
        'DELETE FROM $t WHERE id % 7 = 2',
        'UPDATE $t SET id = id + 1000 WHERE id % 5 = 0',
        'MERGE INTO $t t USING (SELECT * FROM $t WHERE id < 20) u ON t.id = u.id WHEN MATCHED THEN DELETE',
        'OPTIMIZE $t',
      ]
    : ['INSERT INTO $t SELECT * FROM $t', 'OPTIMIZE $t'])

/** Of tables that have values for the rest, or have no rows. */
const saysLittle = ['{"id":1}', '{"id":2}']
const isFilled = (name: string): boolean => name in additions || name === 'defaults'

/** Rows that are there are added again, the first is deleted, the last written over, all are put together. */
function changeHere({ name, path }: Table): string {
  const there = ours('read', path, '--json', '--limit', '4').trim()
  const lines = isFilled(name) || there === '' ? saysLittle : there.split('\n')
  const change = (verb: string, input: readonly string[], ...options: string[]) =>
    run(process.execPath, [millrace, 'tables', verb, path, ...options], input)
  const id = /^\{"id":(-?\d+)/.exec(lines[0]!)?.[1]
  const steps = [
    () => change('append', lines),
    ...(id === undefined
      ? []
      : [
          () => change('delete', [], '--where', `id = ${id}`),
          () => change('merge', lines.slice(-1), '--on', 'id'),
        ]),
    () => change('optimize', []),
  ]
  for (const step of steps) step()
  return id === undefined
    ? 'added to, put together'
    : 'added to, deleted from, merged into, put together'
}

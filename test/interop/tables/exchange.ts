/**
 * Delta tables exchanged with delta-rs: each reads, row for row, what the other wrote, with checkpoints, partitions,
 * deletes and compactions in between; and writers of both append to one table at once, where no commit may be lost.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Report } from '../directories/exchange.ts'

// Compiled tests run from build/, one folder deeper than their source.
const root = fileURLToPath(new URL('../../../..', import.meta.url))
export const program = join(root, 'test/interop/tables/delta.py')
const writer = fileURLToPath(new URL('./writer.js', import.meta.url))
export const millrace = join(root, 'build/bundle/cli.js')
/** Writers at once of each kind, and commits of each. */
const kills = 20
const writers = { ours: 3, theirs: 2, commits: 20 }

export interface ExchangeOptions {
  /** A Python that has deltalake and pyarrow. */
  readonly python: string
  /** Or where in an object store, which both parties find by variables of this process. */
  readonly directory: string
  readonly label?: string
}

export async function exchangeTables(
  { python, directory, label = 'tables' }: ExchangeOptions,
  report: Report,
): Promise<void> {
  if (!directory.includes('://')) mkdirSync(directory, { recursive: true })
  await attempt(report, `${label}: writers killed`, () => killWriters(`${directory}/killed`))
  const version = spawnSync(python, [program, 'version'], { encoding: 'utf8' })
  if (version.status !== 0) {
    report(label, null, `no deltalake and pyarrow in ${python}`)
    return
  }
  const theirs = (...args: string[]) => run(python, [program, ...args])
  const told = version.stdout.trim()
  await attempt(report, `${label}: theirs are read`, async () => {
    let rows = 0
    for (const kind of ['rich', 'partitioned', 'checkpointed', 'feed']) {
      const path = `${directory}/theirs-${kind}`
      theirs('write', path, kind)
      rows += same(kind, ours('read', path, '--json'), theirs('read', path))
    }
    return `${rows} rows, ${told}`
  })
  await attempt(report, `${label}: ours are read`, async () => {
    let rows = 0
    for (const [kind, table] of Object.entries(ourTables)) {
      const path = `${directory}/ours-${kind}`
      for (let batch = 0; batch < table.commits; batch++) {
        const lines = Array.from({ length: 50 }, (_, i) => table.row(batch * 50 + i))
        const options = batch === 0 ? table.options : []
        run(process.execPath, [millrace, 'tables', 'append', path, ...options], lines)
      }
      rows += same(kind, ours('read', path, '--json'), theirs('read', path))
    }
    return `${rows} rows, ${told}`
  })
  await attempt(report, `${label}: changes are told alike`, async () => {
    let rows = 0
    for (const [name, last] of Object.entries({ 'theirs-feed': 3, 'ours-tracked': 10 })) {
      const path = `${directory}/${name}`
      const told = ours('changes', path, '--from', '0', '--to', String(last), '--json')
      rows += same(name, told, theirs('changes', path, '0', String(last)))
    }
    return `${rows} changes, ${told}`
  })
  await attempt(report, `${label}: brought back, put together and cleaned`, async () => {
    const path = `${directory}/theirs-partitioned`
    ours('restore', path, '--version', '2')
    const before = theirs('read', path)
    const rows = same('brought back', before, ours('read', path, '--version', '2'))
    ours('optimize', path)
    same('put together', theirs('read', path), before)
    ours('delete', path, '--where', "id < 15 AND p IS NOT NULL OR day = '2024-02-29' AND id > 30")
    const left = same('deleted', theirs('read', path), ours('read', path, '--json'))
    ours('vacuum', path, '--retention-hours', '0', '--force')
    same('cleaned', theirs('read', path), ours('read', path))
    return `${rows} rows, then ${left}, ${told}`
  })
  await attempt(report, `${label}: what we delete is told alike`, async () => {
    const path = `${directory}/theirs-feed`
    ours('delete', path, '--where', 'id > 3 AND id < 23')
    const range = ['4', '4'] as const
    const changed = ours('changes', path, '--from', range[0], '--to', range[1])
    return `${same('deleted', changed, theirs('changes', path, ...range))} changes, ${told}`
  })
  await attempt(report, `${label}: merged by key`, async () => {
    const path = `${directory}/theirs-merged`
    theirs('write', path, 'feed')
    const rows = Array.from({ length: 20 }, (_, i) => `{"id":${i * 2},"p":"merged"}`)
    run(process.execPath, [millrace, 'tables', 'merge', path, '--on', 'id'], rows)
    theirs('merge', path)
    run(process.execPath, [millrace, 'tables', 'merge', path, '--on', 'id,day'], rows.slice(0, 3))
    const range = ['4', '6'] as const
    const changed = ours('changes', path, '--from', range[0], '--to', range[1])
    const changes = same('changes', changed, theirs('changes', path, ...range))
    return `${same('merged', theirs('read', path), ours('read', path))} rows, ${changes} changes`
  })
  await attempt(report, `${label}: rows deleted by vectors`, async () => {
    const path = `${directory}/ours-vectors`
    const property = ['--property', 'delta.enableDeletionVectors=true']
    const rows = Array.from({ length: 5000 }, (_, i) => `{"id":${i},"n":${i % 10}}`)
    run(process.execPath, [millrace, 'tables', 'append', path, ...property], rows)
    ours('delete', path, '--where', 'id < 4500 AND n <> 3 OR id = 4999')
    ours('update', path, '--set', 'n = n + 100', '--where', 'id IN (3, 4500, 4998)')
    const some = ['{"id":13,"n":1}', '{"id":7}', '{"id":23,"gone":true}']
    const merge = ['merge', path, '--on', 'id', '--delete-marker', 'gone']
    run(process.execPath, [millrace, 'tables', ...merge], some)
    return `${same('left', theirs('read', path), ours('read', path))} rows, ${told}`
  })
  await attempt(report, `${label}: writers at once`, async () => {
    const path = `${directory}/at-once`
    run(process.execPath, [millrace, 'tables', 'append', path], ['{"id":-1}'])
    const starts = [
      ...Array.from({ length: writers.ours }, () => [process.execPath, writer]),
      ...Array.from({ length: writers.theirs }, () => [python, program, 'append']),
    ]
    const children = starts.map(([command, ...args], i) => {
      const own = [path, String(i * writers.commits), String(writers.commits)]
      return spawn(command!, [...args, ...own], { stdio: ['ignore', 'ignore', 'inherit'] })
    })
    const exits = await Promise.all(children.map((child) => once(child, 'exit')))
    if (exits.some(([code]) => code !== 0)) throw new Error(`writers ended with ${exits}`)
    const count = starts.length * writers.commits + 1
    const expected = Array.from({ length: count }, (_, i) => `{"id":${i - 1}}`).join('\n')
    same('ours', ours('read', path, '--json'), expected)
    same('theirs', theirs('read', path), expected)
    return `${count - 1} commits of ${starts.length} writers, none lost`
  })
}

export function ours(...args: string[]): string {
  return run(process.execPath, [millrace, 'tables', ...args])
}

/** Writers that are killed at any moment: what they said is durable is there, and nothing is there twice. */
async function killWriters(path: string): Promise<string> {
  run(process.execPath, [millrace, 'tables', 'append', path], ['{"id":-1}'])
  const said = new Set(['-1'])
  for (let i = 0; i < kills; i++) {
    const two = [0, 1].map((which) =>
      spawn(process.execPath, [writer, path, String((2 * i + which) * 1000), '1000'], {
        stdio: ['ignore', 'pipe', 'inherit'],
      }),
    )
    const texts = two.map(async ({ stdout }) => (await stdout!.toArray()).join(''))
    await setTimeout(400 + 37 * (i % 11))
    for (const child of two) child.kill('SIGKILL')
    for (const text of await Promise.all(texts)) {
      for (const id of text.split('\n').slice(0, -1)) said.add(id)
    }
  }
  const ids = ours('read', path, '--json')
    .trim()
    .split('\n')
    .map((row) => row.slice(6, -1))
  const found = new Set(ids)
  const lost = [...said].filter((id) => !found.has(id))
  if (lost.length > 0) throw new Error(`lost: ${lost}`)
  if (found.size < ids.length) throw new Error('a row is there twice')
  return `${ids.length} rows, ${said.size} told durable, ${2 * kills} kills`
}

export interface OurTable {
  readonly commits: number
  readonly options: readonly string[]
  readonly row: (n: number) => string
}

const schema = (...fields: [string, unknown][]) =>
  JSON.stringify({
    type: 'struct',
    fields: fields.map(([name, type]) => ({ name, type, nullable: true, metadata: {} })),
  })

export const ourTables: Readonly<Record<string, OurTable>> = {
  rich: {
    commits: 12,
    options: [
      '--schema',
      schema(
        ...(['long', 'byte', 'short', 'integer', 'float', 'double', 'boolean'] as const).map(
          (type) => [type, type] as [string, string],
        ),
        ['text', 'string'],
        ['bytes', 'binary'],
        ['day', 'date'],
        ['at', 'timestamp'],
        ['local', 'timestamp_ntz'],
        ['price', 'decimal(9,2)'],
        ['wide', 'decimal(38,10)'],
        ['xs', { type: 'array', elementType: 'integer', containsNull: true }],
        ['m', { type: 'map', keyType: 'string', valueType: 'long', valueContainsNull: true }],
        ['o', JSON.parse(schema(['x', 'long'], ['y', 'string']))],
      ),
    ],
    row: (n) =>
      n % 9 === 0
        ? '{}'
        : `{"long":${9007199254740993n + BigInt(n)},"byte":${n % 128},"short":${-n},"integer":${n},` +
          `"float":${n / 8},"double":${n % 5 === 0 ? '"NaN"' : n / 3},"boolean":${n % 2 === 0},` +
          `"text":"${'t'.repeat(n % 60)}ü😀","bytes":"AP8=","day":"0001-01-0${(n % 9) + 1}",` +
          `"at":"1969-12-31T23:59:59.00000${n % 10}Z","local":"2024-02-29T00:00:00.000001",` +
          `"price":-12345.67,"wide":${n}.0000000001,"xs":[${n},null],"m":{"a":${n}},` +
          `"o":${n % 4 === 0 ? 'null' : `{"x":${n},"y":null}`}}`,
  },
  partitioned: {
    commits: 3,
    options: ['--partition-by', 'p,q'],
    row: (n) => `{"id":${n},"p":${['"a/b"', '"x y=%"', '"Zürich"', 'null'][n % 4]},"q":${n % 3}}`,
  },
  mapped: {
    commits: 2,
    options: ['--property', 'delta.columnMapping.mode=name'],
    row: (n) => `{"a column":${n},"another, one":{"x y":"${n}"}}`,
  },
  tracked: {
    commits: 11,
    options: [
      ...['--property', 'delta.enableInCommitTimestamps=true'],
      ...['--property', 'delta.enableChangeDataFeed=true'],
    ],
    row: (n) => `{"id":${n}}`,
  },
}

export function run(command: string, args: readonly string[], lines?: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, {
    encoding: 'utf8',
    input: lines?.map((line) => `${line}\n`).join('') ?? '',
    maxBuffer: 256 * 1024 * 1024,
  })
  if (status === 0) return stdout
  throw new Error(`${args.slice(-3).join(' ')}: exit ${status}: ${stderr.trim().slice(-300)}`)
}

/** Answers how many rows there are, if they are the same, whatever their order. */
export function same(what: string, one: string, other: string): number {
  const [a, b] = [one, other].map((text) => text.split('\n').filter(Boolean).map(plainly).sort())
  const at = a!.findIndex((row, i) => row !== b![i])
  if (at < 0 && a!.length === b!.length) return a!.length
  throw new Error(`${what}: ${a!.length} and ${b!.length} rows; ${a![at]} is not ${b![at]}`)
}

/** One number has several spellings: those of floats become one, long ones stay as they are. */
function plainly(row: string): string {
  return row.replace(/(?<=[:[,])-?\d[\d.eE+-]*/g, (text) =>
    /^-?\d+$/.test(text) || text.replace(/\D/g, '').length > 17 ? text : String(Number(text)),
  )
}

export async function attempt(
  report: Report,
  what: string,
  work: () => Promise<string>,
): Promise<void> {
  try {
    report(what, true, await work())
  } catch (error) {
    report(what, false, (error as Error).message.slice(0, 600))
  }
}

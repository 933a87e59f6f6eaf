/**
 * The golden tables of Delta's own readers, as the Rust kernel of Delta keeps them (`kernel/tests/golden_data` of
 * delta-kernel-rs): archives of a table, and mostly of the rows that are in it. Each is read row for row; those whose
 * rows nobody says are read or are refused with a reason, never with a stack trace.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { Report } from '../directories/exchange.ts'
import { attempt, millrace, ours, program, run, same } from './exchange.ts'

export interface GoldenOptions {
  /** A Python that has deltalake and pyarrow. */
  readonly python: string
  /** Where the archives, `*.tar.zst`, lie. */
  readonly archives: string
  /** Where they are unpacked. */
  readonly directory: string
}

/** The kernel leaves these out too, for their rows are not what the table says: a timestamp in the zone of who wrote it. */
const wronglyExpected = new Set(['data-reader-partition-values'])

export async function readGoldenTables(options: GoldenOptions, report: Report): Promise<void> {
  const { python, archives, directory } = options
  if (!existsSync(archives)) {
    report('golden', null, `no golden tables in ${archives}`)
    return
  }
  run(python, [program, 'unpack', archives, directory])
  for (const name of readdirSync(directory).sort()) {
    const table = join(directory, name, 'delta')
    const expected = join(directory, name, 'expected')
    const label = `golden: ${basename(name)}`
    if (wronglyExpected.has(name) || !existsSync(expected))
      await attempt(report, label, async () => readOrRefused(table))
    else
      await attempt(report, label, async () => {
        const rows = [ours('read', table, '--json'), run(python, [program, 'rows', expected])]
        return `${same(name, ...(rows.map(withoutZone) as [string, string]))} rows`
      })
  }
}

/** Spark's older timestamps do not say whether they are in UTC. */
function withoutZone(rows: string): string {
  return rows.replace(/(\d\d:\d\d:\d\d\.\d{6})Z"/g, '$1"')
}

function readOrRefused(table: string): string {
  const args = [millrace, 'tables', 'read', table, '--json']
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  if (status === 0) return `read, ${stdout.split('\n').length - 1} rows, which nobody vouches for`
  if (/^\s+at /m.test(stderr) || stderr.trim() === '') throw new Error(stderr || `exit ${status}`)
  return `refused: ${stderr.trim().slice(0, 300)}`
}

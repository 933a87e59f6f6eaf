/** Logs with damage of all kinds: whatever is done with such a table ends well, or in one of the errors that are meant. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { DiskError } from '../../../src/environment/disk.ts'
import { LocalStorage } from '../../../src/environment/node/local-storage.ts'
import { readChanges } from '../../../src/tables/delta/changes.ts'
import { deleteRows } from '../../../src/tables/delta/delete.ts'
import { DeltaError } from '../../../src/tables/delta/delta-error.ts'
import { optimizeTable } from '../../../src/tables/delta/optimize.ts'
import { restoreTable } from '../../../src/tables/delta/restore.ts'
import type { TableEnvironment } from '../../../src/tables/delta/table-environment.ts'
import { vacuumTable } from '../../../src/tables/delta/vacuum.ts'
import { ParquetError } from '../../../src/tables/parquet/parquet-error.ts'
import { randomFrom } from '../../protocol/generated-values.ts'
import { field, Made, removeScratch, stage } from './made.ts'

t.teardown(removeScratch)

const words = [
  'null',
  '-1',
  '"x"',
  '[]',
  '{}',
  '1e400',
  '99999999999999999999',
  'true',
  '"../../x"',
]

/** A log with another value, without a piece, or with a byte turned. */
function damaged(text: string, random: (below: number) => number): string {
  const values = [...text.matchAll(/(?<=:)(?:-?\d+|"[^"\\]*"|true|false|null|\{\}|\[\])/g)]
  const at = random(text.length)
  switch (random(4)) {
    case 0:
      return text.slice(0, at)
    case 1:
      return text.slice(0, at) + String.fromCharCode(random(128)) + text.slice(at + 1)
    default: {
      const found = values[random(values.length)]!
      const end = found.index + found[0].length
      return text.slice(0, found.index) + words[random(words.length)] + text.slice(end)
    }
  }
}

const work: Readonly<Record<string, (environment: TableEnvironment) => Promise<unknown>>> = {
  changes: async ({ storage }) => {
    for await (const batch of readChanges(storage, 0)) t.ok(batch.rowCount >= 0)
  },
  delete: (environment) => deleteRows(environment, "id = 1 OR p = 'b'"),
  optimize: (environment) => optimizeTable(environment),
  restore: (environment) => restoreTable(environment, 1),
  vacuum: (environment) => vacuumTable(environment, { retentionMs: 0, force: true, dryRun: true }),
}

t.test('a damaged log ends in an error that says so, or in none', async (t) => {
  const made = new Made()
  const properties = new Map([
    ['delta.enableChangeDataFeed', 'true'],
    ['delta.enableInCommitTimestamps', 'true'],
    ['delta.checkpointInterval', '3'],
  ])
  const fields = [field('id', 'int64'), field('p', 'string')]
  const first = made.create({ fields, partitionBy: ['p'], properties })
  await stage(first, ['{"id":1,"p":"a"}', '{"id":2,"p":"b"}'])
  await first.commit({ operation: 'WRITE' })
  for (let id = 3; id < 7; id++) await made.append([`{"id":${id},"p":"a"}`])
  const log = join(made.root, '_delta_log')
  const random = randomFrom(7)
  const outcomes = new Map<string, number>()
  for (let round = 0; round < 60; round++) {
    const root = mkdtempSync(join(made.root, '../damaged-'))
    cpSync(made.root, root, { recursive: true })
    const names = readdirSync(log).filter(
      (name) => name.endsWith('.json') || name === '_last_checkpoint',
    )
    const name = names[random(names.length)]!
    const text = damaged(readFileSync(join(log, name), 'utf8'), random)
    writeFileSync(join(root, '_delta_log', name), text)
    const [what, done] = Object.entries(work)[round % 5]!
    const environment = { ...made.environment, storage: new LocalStorage(root) }
    const outcome = await done(environment).then(
      () => 'done',
      (error: unknown) => {
        const isMeant =
          error instanceof DeltaError || error instanceof ParquetError || error instanceof DiskError
        if (!isMeant)
          t.fail(`${what} of ${name} in round ${round}: ${(error as Error).stack}\n${text}`)
        return (error as Error).name
      },
    )
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    rmSync(root, { recursive: true, force: true })
  }
  t.ok(outcomes.get('done')! > 8, 'not all damage is seen')
  t.ok(outcomes.get('DeltaError')! > 8, 'but much is')
})

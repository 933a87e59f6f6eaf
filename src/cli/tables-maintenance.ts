/** `millrace tables optimize`, `vacuum` and `restore`: what makes a table smaller, and what takes it back. */
import { jsonText } from '../tables/columns/exact-json.ts'
import { optimizeTable } from '../tables/delta/optimize.ts'
import { restoreTable } from '../tables/delta/restore.ts'
import { vacuumTable } from '../tables/delta/vacuum.ts'
import { localVerb } from './command.ts'
import { UsageError } from './failure.ts'
import { bytes, count, plural } from './table.ts'
import { tableEnvironment, tablePath } from './table-storage.ts'
import { versionOf } from './table-versions.ts'
import { toldWriting, warn } from './tables-failure.ts'

const mebibyte = 1024 * 1024
const hourMs = 3_600_000

export const optimize = localVerb({
  summary: 'Put small files together into large ones',
  positionals: [tablePath],
  options: {
    'target-mib': { kind: 'number', summary: 'Size of the large files in MiB, 128 unless given' },
    'z-order-by': {
      kind: 'text',
      value: 'NAME,…',
      summary: 'Rows that are near each other in these columns go to the same files (Z-order)',
    },
  },
  notes: [
    'With --z-order-by all files of a partition are written anew, so that who asks for some values of any of\n' +
      'the columns reads few of them.',
  ],
  examples: [
    { says: 'A table of many commits', line: 'millrace tables optimize /data/orders' },
    {
      says: 'One that is searched by either of two columns',
      line: 'millrace tables optimize /data/orders --z-order-by customer,product',
    },
  ],
  run: ({ values, positionals, json }) =>
    toldWriting(positionals[0]!, async () => {
      const mebibytes = values['target-mib'] ?? 128
      if (mebibytes < 1) throw new UsageError('--target-mib: expected 1 or more')
      const columns = values['z-order-by']?.split(',').map((name) => name.trim())
      const environment = tableEnvironment(positionals[0]!)
      const done = await optimizeTable(environment, mebibytes * mebibyte, columns)
      warn(done)
      const told = {
        version: done?.version ?? null,
        filesRemoved: done?.removed ?? 0,
        filesAdded: done?.files ?? 0,
      }
      process.stdout.write(
        json
          ? `${jsonText(told)}\n`
          : done === null
            ? 'Nothing to do\n'
            : `Version ${done.version}: ${plural(done.files, 'file')} in the place of ${count(done.removed)}\n`,
      )
      return 0
    }),
})

export const vacuum = localVerb({
  summary: 'Delete files that no version within the retention needs',
  positionals: [tablePath],
  options: {
    'retention-hours': {
      kind: 'number',
      summary: 'Versions that long ago stay readable; what the table says (7 days) unless given',
    },
    'dry-run': { kind: 'flag', summary: 'Only say what would be deleted' },
    force: { kind: 'flag', summary: 'Allow less retention than the table asks for' },
  },
  notes: [
    'Versions before the retention can no longer be read or restored. With less retention than a writer\n' +
      'takes to commit, its files are deleted under it: --force is for tables that nobody writes.',
  ],
  examples: [
    { says: 'What would go', line: 'millrace tables vacuum /data/orders --dry-run' },
    { says: 'A month stays', line: 'millrace tables vacuum /data/orders --retention-hours 720' },
  ],
  run: ({ values, positionals, json }) =>
    toldWriting(positionals[0]!, async () => {
      const hours = values['retention-hours']
      if (hours !== undefined && hours < 0)
        throw new UsageError('--retention-hours: expected 0 or more')
      const { files, bytes: size } = await vacuumTable(tableEnvironment(positionals[0]!), {
        retentionMs: hours === undefined ? undefined : hours * hourMs,
        force: values.force,
        dryRun: values['dry-run'],
      })
      const done = values['dry-run'] ? 'would be deleted' : 'deleted'
      process.stdout.write(
        json
          ? `${jsonText({ files: [...files], bytes: size, dryRun: values['dry-run'] })}\n`
          : `${files.map((name) => `${name}\n`).join('')}${plural(files.length, 'file')} ${done}, ${bytes(size)}\n`,
      )
      return 0
    }),
})

/** What the Delta sink and the tables of topics call a partition that they land: NAME/TOPIC/PARTITION. */
const partitionAt = /^.+\/([^/]+)\/(\d+)$/

/** Records of topics that are in the table no more come to it again, where they are still there. */
function landingAgain(setBack: ReadonlyMap<string, bigint>): string {
  return [...setBack]
    .map(([appId, offset]) => {
      const [, topic, partition] = partitionAt.exec(appId) ?? []
      return `Partition ${partition} of ${topic} lands again from offset ${offset} on\n`
    })
    .join('')
}

export const restore = localVerb({
  summary: 'Make a table what it was at an older version, by a new one',
  positionals: [tablePath],
  notes: [
    'Records of topics that came behind that version land again, as far as they are still in the topic:\n' +
      'the table is what the topic makes of it. To leave them out, move the offsets of its connector.',
  ],
  options: {
    version: { kind: 'number', summary: 'The version to go back to' },
    timestamp: {
      kind: 'text',
      value: 'TIME',
      summary: 'Or a time at which the table was as it is to be, e.g. 2026-01-31T10:00:00Z',
    },
  },
  examples: [
    { says: 'Before the mistake', line: 'millrace tables restore /data/orders --version 41' },
    {
      says: 'As it was at noon',
      line: 'millrace tables restore /data/orders --timestamp 2026-01-31T12:00:00Z',
    },
  ],
  run: ({ values, positionals, json }) =>
    toldWriting(positionals[0]!, async () => {
      const environment = tableEnvironment(positionals[0]!)
      const version = await versionOf(environment.storage, values)
      if (version === undefined) {
        throw new UsageError('--version or --timestamp is missing: what to go back to')
      }
      const done = await restoreTable(environment, version, {
        timestamp: values.timestamp,
        goesBack: (appId) => partitionAt.test(appId),
      })
      warn(done)
      const told = {
        version: done?.version ?? null,
        filesRemoved: done?.removed ?? 0,
        filesAdded: done?.added ?? 0,
        landsAgain: [...(done?.setBack ?? [])].map(([appId, offset]) => ({ appId, offset })),
      }
      process.stdout.write(
        json
          ? `${jsonText(told)}\n`
          : done === null
            ? `The table is as it was at version ${version}\n`
            : `Version ${done.version}: ${plural(done.added, 'file')} back, ${count(done.removed)} gone\n${landingAgain(done.setBack)}`,
      )
      return 0
    }),
})

/** `millrace dump`: what is in the files of a broker's log directories, read without a broker. */
import { readdirSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { unreadable } from '../environment/disk.ts'
import { type Command, localVerb } from './command.ts'
import { type Dumped, dumpFile, isKnownFile } from './dump-files.ts'
import { CommandError, exitCodes } from './failure.ts'
import { table } from './table.ts'

export const command: Command = localVerb({
  summary: 'Print the content of a broker’s files',
  positionals: [
    {
      name: 'PATH',
      summary: 'Files, or directories of partitions whose files to print',
      many: true,
    },
  ],
  options: {
    records: {
      kind: 'flag',
      short: 'r',
      summary: 'The records in segments, too, not only batches',
    },
    'max-entries': { kind: 'number', short: 'n', summary: 'At most so many entries of each file' },
  },
  notes: [
    'It knows segments (.log), metadata snapshots (.checkpoint), .index, .timeindex, .txnindex, producer\n' +
      'snapshots (.snapshot), checkpoint files, partition.metadata, meta.properties and quorum-state.\n' +
      'Records of internal topics are decoded. --json prints an object a line.',
    'A damaged file is printed up to the damage, and the exit code is 1.',
  ],
  examples: [
    {
      says: 'The batches of a segment',
      line: 'millrace dump /tmp/kafka-logs/orders-0/00000000000000000000.log',
    },
    { says: 'Everything of a partition', line: 'millrace dump --records /tmp/kafka-logs/orders-0' },
    {
      says: 'The metadata log',
      line: 'millrace dump --records /tmp/kafka-logs/__cluster_metadata-0/*.log',
    },
  ],
  async run({ values, positionals, json }) {
    const entriesMax = values['max-entries'] ?? Number.POSITIVE_INFINITY
    let isWhole = true
    for (const path of positionals.flatMap(filesAt)) {
      const dumped = dumpFile(path, { withRecords: values.records, entriesMax })
      process.stdout.write(json ? asJsonLines(path, dumped) : asText(path, dumped))
      if (dumped.damage !== null) {
        process.stderr.write(`millrace: ${path}: ${dumped.damage}\n`)
        isWhole = false
      }
    }
    return isWhole ? exitCodes.ok : exitCodes.failed
  },
})

function filesAt(path: string): string[] {
  let isDirectory: boolean
  try {
    isDirectory = statSync(path).isDirectory()
  } catch (error) {
    throw new CommandError(unreadable(path, error))
  }
  if (!isDirectory) {
    if (!isKnownFile(basename(path)))
      throw new CommandError(
        `${path} is no file of a broker`,
        '`millrace dump --help` lists those it knows.',
      )
    return [path]
  }
  const files = readdirSync(path).filter(isKnownFile).sort()
  if (files.length === 0) throw new CommandError(`there are no files of a broker in ${path}`)
  return files.map((name) => join(path, name))
}

function asJsonLines(file: string, { kind, entries }: Dumped): string {
  return entries.map((entry) => `${asJson({ file, kind, ...entry })}\n`).join('')
}

function asText(path: string, { kind, entries }: Dumped): string {
  const title = `${path} (${kind})\n`
  if (entries.length === 0) return `${title}  empty\n`
  const names = [...new Set(entries.flatMap((entry) => Object.keys(entry)))].filter(
    (name) => name !== 'records',
  )
  const isPlain = entries.every((entry) => !('records' in entry))
  if (isPlain)
    return (
      title +
      indent(
        table(
          names,
          entries.map((entry) => names.map((name) => cell(entry[name]))),
        ),
      )
    )
  return (
    title +
    entries
      .map((entry) => {
        const { records, ...batch } = entry
        const fields = Object.entries(batch).map(([name, value]) => `${name}=${cell(value) ?? '-'}`)
        const lines = (records as object[]).map((record) => `    ${recordLine(record)}\n`)
        return `  ${fields.join(' ')}\n${lines.join('')}`
      })
      .join('')
  )
}

function recordLine(record: object): string {
  return Object.entries(record)
    .map(([name, value]) => `${name}=${cell(value) ?? 'null'}`)
    .join(' ')
}

function cell(value: unknown): string | number | null {
  if (value === null || value === undefined) return null
  if (typeof value === 'number' || typeof value === 'string') return value
  return typeof value === 'bigint' ? String(value) : asJson(value)
}

/** Whole numbers that a double might not hold are texts. */
function asJson(value: unknown): string {
  return JSON.stringify(value, (_name, inner) =>
    typeof inner === 'bigint' ? String(inner) : inner,
  )
}

const indent = (text: string) => text.replace(/^(?=.)/gm, '  ')

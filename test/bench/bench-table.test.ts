import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { rowsOf } from '../../scripts/bench-rows.ts'
import { lossesAgainst, readSamples, Samples, table } from '../../scripts/bench-table.ts'

const rows = rowsOf(1)
const large = 'produce 1 MB requests of 1 KB'
const small = 'small requests, 64 connections'

function lineOf(text: string, name: string): string {
  return text.split('\n').find((line) => line.startsWith(`| ${name} |`)) ?? ''
}

t.test('a row says what it is of Kafka, of its aim and of the machine', async (t) => {
  const samples = new Samples({
    [`millrace/${large}`]: [400, 600, 500],
    [`kafka/${large}`]: [1000],
    [`machine/receive, checksum, write 1 MB`]: [625],
    [`millrace/${small}: broker CPU`]: [20],
    [`kafka/${small}: broker CPU`]: [40],
    'millrace/memory, idle': [64],
    'kafka/memory, idle': [320],
    'millrace/end to end at 10000/s: p50': [0.4],
    'kafka/end to end at 10000/s: p50': [2000],
  })
  const text = table(rows, samples, ['millrace', 'kafka'])
  t.equal(
    lineOf(text, large),
    `| ${large} | 500 MB/s (±20 %) | 1,000 MB/s (±0 %) | **0.50x** | 0.7x: **behind** | 80 % of 625 MB/s |`,
  )
  t.match(
    lineOf(text, `${small}: broker CPU`),
    /\*\*2\.0x\*\* \| 3x: \*\*behind\*\*: \w+/,
    'and why',
  )
  t.match(lineOf(text, 'memory, idle'), /\| under 65 MB: met \|/, 'a figure may be the aim')
  t.match(lineOf(text, 'end to end at 10000/s: p50'), '**5,000x**')
  t.notMatch(text, /transactions/, 'what was not measured is left out')
})

t.test('what costs the processor more than a tenth more is told, and nothing else', async (t) => {
  const earlier = new Samples({
    [`millrace/${large}`]: [500],
    [`millrace/${large}: broker CPU`]: [2],
    [`millrace/${small}: broker CPU`]: [20],
    'millrace/compaction: broker CPU': [1],
  })
  const now = new Samples({
    [`millrace/${large}`]: [100],
    [`millrace/${large}: broker CPU`]: [2.19],
    [`millrace/${small}: broker CPU`]: [22.4, 22.6, 15],
  })
  const lost = lossesAgainst(earlier, now, rows)
  t.equal(lost.count, 1)
  t.match(lineOf(lost.text, `${small}: broker CPU`), '+12 %: lost')
  t.match(lineOf(lost.text, `${large}: broker CPU`), /\| \+9 % \|/)
  t.match(lost.text, `Lost more than a tenth of CPU per unit: ${small}: broker CPU.`)
  t.equal(lossesAgainst(now, now, rows).count, 0)
})

t.test('a result that was kept is read again', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-samples-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  const file = join(directory, 'kept.json')
  const samples = new Samples()
  samples.add('machine', 'CRC32C', 6000)
  samples.add('machine', 'CRC32C', 7000)
  writeFileSync(file, JSON.stringify(samples.all))
  t.strictSame(readSamples(file).of('machine', 'CRC32C'), [6000, 7000])
  t.throws(() => readSamples(join(directory, 'none.json')), /ENOENT/)
})

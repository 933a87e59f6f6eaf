/** What a run of the bench has measured, as tables, and what it has lost against an earlier run. */
import { readFileSync } from 'node:fs'
import { type Kind, machineUnit, type Row } from './bench-rows.ts'

/** A figure that belongs to the processor counts as lost where it has grown by more than this part. */
const lossMin = 0.1

/** All values of every row, by who was measured. */
export class Samples {
  readonly #values = new Map<string, number[]>()

  constructor(all: Readonly<Record<string, readonly number[]>> = {}) {
    for (const [key, values] of Object.entries(all)) this.#values.set(key, [...values])
  }

  add(kind: Kind | 'machine', row: string, value: number): void {
    const key = `${kind}/${row}`
    this.#values.set(key, [...(this.#values.get(key) ?? []), value])
  }

  of(kind: Kind | 'machine', row: string): readonly number[] {
    return this.#values.get(`${kind}/${row}`) ?? []
  }

  /** NaN where there is no sample. */
  median(kind: Kind | 'machine', row: string): number {
    return median(this.of(kind, row))
  }

  /** Names of what was measured of `kind`. */
  rowsOf(kind: Kind | 'machine'): readonly string[] {
    const start = `${kind}/`
    return [...this.#values.keys()]
      .filter((key) => key.startsWith(start))
      .map((key) => key.slice(start.length))
  }

  get all(): Readonly<Record<string, readonly number[]>> {
    return Object.fromEntries(this.#values)
  }
}

/** What `--json` has written. Throws where it is not there or is something else. */
export function readSamples(file: string): Samples {
  return new Samples(JSON.parse(readFileSync(file, 'utf8')) as Record<string, number[]>)
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length / 2
  const low = sorted[Math.ceil(middle) - 1] ?? Number.NaN
  const high = sorted[Math.floor(middle)] ?? low
  return (low + high) / 2
}

function digits(value: number): string {
  return Number(value.toPrecision(3)).toLocaleString('en-US', { maximumFractionDigits: 3 })
}

function shown(values: readonly number[], unit: string): string {
  if (values.length === 0) return ''
  const middle = median(values)
  const spread = ((Math.max(...values) - Math.min(...values)) / 2 / middle) * 100
  return `${digits(middle)} ${unit} (±${spread.toFixed(0)} %)`
}

/** How many times better `ours` is; NaN where one is missing. */
function ratioOf({ betterIs }: Row, ours: number, theirs: number): number {
  return betterIs === 'more' ? ours / theirs : theirs / ours
}

/** Two digits: 0.50, 2.0, 5,000. */
function shownRatio(ratio: number): string {
  const short = ratio.toPrecision(2)
  return ratio < 100 ? short : Number(short).toLocaleString('en-US')
}

/** What is to be reached, and whether it was; why not, where that is known. */
function reached(row: Row, samples: Samples): string {
  const { name, unit, betterIs, ratio, bound, why } = row
  const ours = samples.median('millrace', name)
  const found = ratioOf(row, ours, samples.median('kafka', name))
  const aims: string[] = []
  let isMet = true
  if (ratio !== undefined && !Number.isNaN(found)) {
    aims.push(`${ratio}x`)
    isMet &&= found >= ratio
  }
  if (bound !== undefined && !Number.isNaN(ours)) {
    aims.push(`${betterIs === 'less' ? 'under' : 'over'} ${bound} ${unit}`)
    isMet &&= betterIs === 'less' ? ours < bound : ours > bound
  }
  if (aims.length === 0) return ''
  const verdict = isMet ? 'met' : `**behind**${why === undefined ? '' : `: ${why}`}`
  return `${aims.join(', ')}: ${verdict}`
}

/** The part of the machine's limit that we reach. */
function shareOfLimit(row: Row, samples: Samples): string {
  if (row.limit === undefined) return ''
  const limit = samples.median('machine', row.limit)
  const share = 1 / ratioOf(row, limit, samples.median('millrace', row.name))
  return Number.isNaN(share) ? '' : `${(share * 100).toFixed(0)} % of ${digits(limit)} ${row.unit}`
}

export function markdown(head: readonly string[], lines: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...lines]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n')
}

export function table(rows: readonly Row[], samples: Samples, kinds: readonly Kind[]): string {
  const lines = rows
    .filter(({ name }) => kinds.some((kind) => samples.of(kind, name).length > 0))
    .map((row) => {
      const { name, unit } = row
      const ratio = ratioOf(row, samples.median('millrace', name), samples.median('kafka', name))
      return [
        name,
        ...kinds.map((kind) => shown(samples.of(kind, name), unit)),
        row.isOurs ? 'ours alone' : Number.isNaN(ratio) ? '' : `**${shownRatio(ratio)}x**`,
        reached(row, samples),
        shareOfLimit(row, samples),
      ]
    })
  return markdown(['', ...kinds, 'ratio', 'to be reached', 'of what the machine can'], lines)
}

export function machineTable(samples: Samples): string {
  const lines = samples
    .rowsOf('machine')
    .map((name) => [name, shown(samples.of('machine', name), machineUnit(name))])
  return markdown(['what the machine can', ''], lines)
}

/** Whether a row tells what a unit of work costs the processor. */
const isCost = ({ name }: Row): boolean => name.endsWith(': broker CPU')

/** Rows that cost the processor more than in an earlier run, by more than a tenth. */
export function lossesAgainst(
  earlier: Samples,
  samples: Samples,
  rows: readonly Row[],
): { count: number; text: string } {
  const costs = rows.filter(isCost).map(({ name, unit }) => {
    const [before, now] = [earlier.median('millrace', name), samples.median('millrace', name)]
    return { name, unit, before, now, change: now / before - 1 }
  })
  const both = costs.filter(({ change }) => !Number.isNaN(change))
  const lines = both.map(({ name, unit, before, now, change }) => {
    const percent = `${change > 0 ? '+' : ''}${(change * 100).toFixed(0)} %`
    const verdict = change > lossMin ? `**${percent}: lost**` : percent
    return [name, `${digits(before)} ${unit}`, `${digits(now)} ${unit}`, verdict]
  })
  const lost = both.filter(({ change }) => change > lossMin).map(({ name }) => name)
  const verdict =
    lost.length === 0
      ? `None of ${both.length} figures of CPU per unit has lost more than a tenth.`
      : `Lost more than a tenth of CPU per unit: ${lost.join('; ')}.`
  return {
    count: lost.length,
    text: `${markdown(['', 'before', 'now', 'change'], lines)}\n\n${verdict}`,
  }
}

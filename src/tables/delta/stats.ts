/**
 * Statistics of a data file, as its `add` has them: how many rows, and of each of the first columns the least and
 * greatest value and how many rows lack one. A reader opens no file that its statistics exclude, so a bound is left
 * out wherever it could be wrong: NaN has no place among bounds, JSON no number for infinity, and neither a timestamp
 * beyond year 9999 nor text that is not UTF-8 is written alike by all.
 */
import { type Column, type ColumnBatch, isValid } from '../columns/column.ts'
import { type Json, jsonText, NumberText, parseJson } from '../columns/exact-json.ts'
import { dateText, decimalText, timestampText } from '../columns/json-text.ts'
import { compareScalars, type Scalar } from '../columns/predicate.ts'
import { scalarOf } from '../parquet/bounds.ts'
import type { ColumnSummary } from '../parquet/parquet-writer.ts'
import type { AddAction } from './actions.ts'
import type { TableField } from './schema.ts'

/** UTF-16 units of text in a bound; up to twice as many where the greatest needs more. */
const textUnitsMax = 32
const defaultColumns = 32

/** Which columns have statistics: so many of the first leaves, or those below the named ones. */
export interface StatsChoice {
  readonly leaves: number
  /** Paths of the columns' names; `null`: by `leaves`. */
  readonly paths: readonly (readonly string[])[] | null
  /** Besides, whatever the choice: paths of physical names. */
  readonly clustering: readonly (readonly string[])[]
  /** Whether statistics say that bounds are tight: they do where rows may be deleted by vectors. */
  readonly saysTight: boolean
}

/** Of files that no reader picks by them. */
export const noStats: StatsChoice = { leaves: 0, paths: null, clustering: [], saysTight: false }

export function statsChoice(
  configuration: ReadonlyMap<string, string>,
  more: Pick<StatsChoice, 'clustering' | 'saysTight'>,
): StatsChoice {
  const named = configuration.get('delta.dataSkippingStatsColumns')
  const indexed = configuration.get('delta.dataSkippingNumIndexedCols') ?? `${defaultColumns}`
  const leaves = /^-?\d+$/.test(indexed) ? Number(indexed) : defaultColumns
  return {
    ...more,
    leaves: leaves < 0 ? Number.POSITIVE_INFINITY : leaves,
    paths: named === undefined || named.trim() === '' ? null : namedPaths(named),
  }
}

/** Names with dots between those of one path, commas between paths; in back-ticks they stand for themselves. */
function namedPaths(text: string): string[][] {
  const paths: string[][] = [[]]
  for (const [, quoted, bare, mark] of text.matchAll(/`((?:[^`]|``)*)`|([^,.`]+)|([,.])/g)) {
    const name = quoted?.replaceAll('``', '`') ?? bare?.trim() ?? ''
    if (mark === ',') paths.push([])
    else if (name !== '') paths.at(-1)!.push(name)
  }
  return paths.filter((path) => path.length > 0)
}

/** A column that has statistics. */
interface Leaf {
  readonly field: TableField
  /** Physical names. */
  readonly path: readonly string[]
  readonly names: readonly string[]
  /** Places of the children on the way from the file's columns. */
  readonly at: readonly number[]
  nullCount: number
  hasNan: boolean
}

/** Collects the statistics of one file while its batches are written. */
export class FileStats {
  readonly #leaves: readonly Leaf[]
  readonly #saysTight: boolean
  #rowCount = 0

  /** `fields`: those of the file, in its order. */
  constructor(fields: readonly TableField[], choice: StatsChoice) {
    this.#saysTight = choice.saysTight
    const root = { path: [], names: [], at: [] }
    const all = fields.flatMap((field, i) => leavesOf(field, root, i))
    this.#leaves = all.filter(
      ({ path, names }, i) =>
        (choice.paths?.some((one) => isWithin(names, one)) ?? i < choice.leaves) ||
        choice.clustering.some((one) => isWithin(path, one)),
    )
  }

  /** The batch's columns are those of the file's fields. */
  observe(batch: Pick<ColumnBatch, 'columns' | 'rowCount'>): void {
    this.#rowCount += batch.rowCount
    for (const leaf of this.#leaves) {
      const way = columnsOnTheWay(batch.columns, leaf.at)
      leaf.nullCount += missingIn(way, batch.rowCount)
      const column = way.at(-1)!
      if (column.layout === 'float' || column.layout === 'double') {
        leaf.hasNan ||= column.values.some((value) => Number.isNaN(value))
      }
    }
  }

  /** The text of `add.stats`. `columns`: what the writer of the file found. */
  finish(columns: readonly ColumnSummary[]): string {
    const least: Json = {}
    const greatest: Json = {}
    const nullCount: Json = {}
    for (const leaf of this.#leaves) {
      put(nullCount, leaf.path, leaf.nullCount)
      const found = leaf.hasNan ? null : boundsOf(leaf, columns)
      if (found === null) continue
      if (found.least !== undefined) put(least, leaf.path, found.least)
      if (found.greatest !== undefined) put(greatest, leaf.path, found.greatest)
    }
    return jsonText({
      numRecords: this.#rowCount,
      minValues: least,
      maxValues: greatest,
      nullCount,
      ...(this.#saysTight ? { tightBounds: true } : {}),
    })
  }
}

/** A file's statistics where rows of it are deleted by a vector: they count and bound more than there is. */
export function looseStats({ stats }: Pick<AddAction, 'stats'>, rowCount: number): string {
  let known: Json = {}
  try {
    known = parseJson(stats ?? '{}')
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
  }
  const isObject = typeof known === 'object' && known !== null && !Array.isArray(known)
  return jsonText({
    ...(isObject ? (known as object) : {}),
    numRecords: rowCount,
    tightBounds: false,
  })
}

/** Lists and maps are leaves of their own: what is in them has no statistics. */
function leavesOf(
  field: TableField,
  above: Pick<Leaf, 'path' | 'names' | 'at'>,
  place: number,
): Leaf[] {
  const way = {
    path: [...above.path, field.physicalName],
    names: [...above.names, field.name],
    at: [...above.at, place],
  }
  if (field.type.kind === 'struct') {
    return field.children.flatMap((child, i) => leavesOf(child, way, i))
  }
  return [{ field, ...way, nullCount: 0, hasNan: false }]
}

/** Whether a leaf is what a path names, or below it. */
function isWithin(path: readonly string[], named: readonly string[]): boolean {
  return named.every((name, i) => path[i]?.toLowerCase() === name.toLowerCase())
}

function columnsOnTheWay(columns: readonly Column[], at: readonly number[]): Column[] {
  const way = [columns[at[0]!]!]
  for (const i of at.slice(1)) {
    const above = way.at(-1)!
    way.push((above as Column & { layout: 'struct' }).children[i]!)
  }
  return way
}

function missingIn(way: readonly Column[], rowCount: number): number {
  if (way.every(({ layout, validity }) => layout !== 'null' && validity === null)) return 0
  let missing = 0
  for (let row = 0; row < rowCount; row++) {
    if (!way.every((column) => isValid(column, row))) missing++
  }
  return missing
}

interface Bounds {
  readonly least: Json | undefined
  readonly greatest: Json | undefined
}

function boundsOf({ field, path }: Leaf, columns: readonly ColumnSummary[]): Bounds | null {
  const text = path.join('\0')
  const summary = columns.find(({ leaf }) => leaf.path.join('\0') === text)
  if (summary === undefined || summary.bounds.length === 0) return null
  let least: Scalar | undefined
  let greatest: Scalar | undefined
  for (const bounds of summary.bounds) {
    const low = scalarOf(summary.leaf, bounds.least)
    const high = scalarOf(summary.leaf, bounds.greatest)
    if (low === undefined || high === undefined) return null
    if (least === undefined || compareScalars(low, least) < 0) least = low
    if (greatest === undefined || compareScalars(high, greatest) > 0) greatest = high
  }
  return {
    least: boundJson(field, least!, 'least'),
    greatest: boundJson(field, greatest!, 'greatest'),
  }
}

/** A bound as the log spells it; `undefined` where it has none. */
function boundJson(
  { type }: TableField,
  value: Scalar,
  as: 'least' | 'greatest',
): Json | undefined {
  switch (type.kind) {
    case 'int8':
    case 'int16':
    case 'int32':
    case 'int64':
      return value as number | bigint
    case 'float':
    case 'double':
      return Number.isFinite(value) ? (value as number) : undefined
    case 'decimal':
      return new NumberText(decimalText(value as bigint, type.scale))
    case 'date':
      return inFourDigits(dateText(value as number))
    case 'timestamp':
      return timestampBound(value as bigint, type.isUtc, as)
    case 'string':
      return as === 'least' ? textBelow(value as string) : textAbove(value as string)
    default:
      return undefined
  }
}

function inFourDigits(text: string): string | undefined {
  return /^\d{4}-/.test(text) && !text.startsWith('0000') ? text : undefined
}

/** To the millisecond, so that no value lies beyond. */
function timestampBound(
  micros: bigint,
  isUtc: boolean,
  as: 'least' | 'greatest',
): string | undefined {
  const below = ((micros % 1000n) + 1000n) % 1000n
  const floor = (micros - below) / 1000n
  const millis = as === 'greatest' && below > 0n ? floor + 1n : floor
  return inFourDigits(`${timestampText(millis, 'millis').slice(0, -3)}${isUtc ? 'Z' : ''}`)
}

/** The greatest prefix that is short enough. `undefined` for what was not UTF-8. */
export function textBelow(text: string): string | undefined {
  if (text.includes('\ufffd')) return undefined
  return text.length <= textUnitsMax ? text : prefixOf(text, textUnitsMax)
}

/**
 * A text that no value is above: a prefix and a character greater than the one that it leaves out, U+007F where that
 * is greater, else U+10FFFF. `undefined` where none is to be had.
 */
export function textAbove(text: string): string | undefined {
  if (text.includes('\ufffd')) return undefined
  if (text.length <= textUnitsMax) return text
  let prefix = prefixOf(text, textUnitsMax)
  while (prefix.length <= 2 * textUnitsMax) {
    const dropped = text.codePointAt(prefix.length)
    if (dropped === undefined) return text
    if (dropped < 0x7f) return `${prefix}\u007f`
    if (dropped < 0x10ffff) return `${prefix}\u{10ffff}`
    prefix += '\u{10ffff}'
  }
  return undefined
}

/** Not between the halves of a character. */
function prefixOf(text: string, units: number): string {
  const isHalf = (text.charCodeAt(units - 1) & 0xfc00) === 0xd800
  return text.slice(0, isHalf ? units - 1 : units)
}

function put(into: { [name: string]: Json }, path: readonly string[], value: Json): void {
  let at = into
  for (const name of path.slice(0, -1)) {
    if (!Object.hasOwn(at, name)) define(at, name, {})
    at = at[name] as { [name: string]: Json }
  }
  define(at, path.at(-1)!, value)
}

/** Not by assignment: a column may be named __proto__. */
function define(at: { [name: string]: Json }, name: string, value: Json): void {
  Object.defineProperty(at, name, { value, enumerable: true, writable: true, configurable: true })
}

/**
 * What a table asks of its rows beside the types of their columns. Constraints and invariants have to be true of each;
 * and columns may have values of their own where a row says nothing of them: a default, the next number of an identity
 * column, or what is generated from the others, which is also all that a row may say of it. SQL tells what they are: an
 * expression that is not known here is refused with the name of the feature, before any row is written.
 */
import type { Column, ColumnBatch, Field } from '../columns/column.ts'
import { type Json, parseJson } from '../columns/exact-json.ts'
import { comparing, type Evaluate } from '../columns/expression.ts'
import { assigned } from '../columns/functions.ts'
import { printer } from '../columns/json-text.ts'
import { parseExpression } from '../columns/sql.ts'
import { type Value, valueAt } from '../columns/value.ts'
import { Condition, columnsOf } from '../columns/where.ts'
import type { MetadataAction } from './actions.ts'
import { emptyColumn } from './conform.ts'
import { givenColumn } from './data-writer.ts'
import { DeltaError, invalid, unsupported } from './delta-error.ts'
import { computed, evaluating } from './expressions.ts'
import { IdentityColumn } from './identity.ts'
import type { TableField } from './schema.ts'
import type { Silent } from './silent-rows.ts'

/** Characters of a value, and values, that are shown of a row. */
const shownCharactersMax = 100
const shownValuesMax = 10

/** A row of those that were to be written is none of the table's. */
export class RowRefused extends DeltaError {
  /** Its place in the batch, from 0. */
  readonly row: number

  constructor(row: number, message: string) {
    super('invalid', message)
    this.row = row
  }
}

/** A column of a table, or of one that is yet to be made. */
export type RuledField = Field & Partial<Pick<TableField, 'metadata' | 'children'>>

export interface TableRules {
  readonly fields: readonly RuledField[]
  readonly configuration: MetadataAction['configuration']
  /** Those that count for writers. */
  readonly features: readonly string[]
  /** What `current_timestamp()` is, in milliseconds. */
  readonly now: number
}

/** Those that ask something of rows: a table that is made has those that its columns and properties need. */
export const rowFeatures: readonly string[] = [
  'allowColumnDefaults',
  'checkConstraints',
  'generatedColumns',
  'identityColumns',
  'invariants',
]

interface Check {
  /** As it is told of a row that violates it. */
  readonly name: string
  readonly condition: Condition
}

interface Formula {
  readonly field: Field
  /** What it is computed from, in the order in which `at` takes it. */
  readonly fields: readonly Field[]
  readonly at: Evaluate
  readonly text: string
}

export class RowRules {
  /** Columns that have a value where a row says nothing of them. */
  readonly filled: readonly string[]
  readonly #fields: readonly RuledField[]
  readonly #checks: readonly Check[]
  readonly #defaults: ReadonlyMap<string, Formula>
  readonly #generated: ReadonlyMap<string, Formula>
  readonly #identities: ReadonlyMap<string, IdentityColumn>

  /** Throws DeltaError `unsupported` for a rule that is not known here. */
  constructor(rules: TableRules) {
    const { fields, features } = rules
    const has = (feature: string): boolean => features.includes(feature)
    this.#fields = fields
    this.#checks = [
      ...(has('checkConstraints') ? constraintsOf(rules) : []),
      ...(has('invariants') ? fields.flatMap((field) => invariantsOf(field, rules)) : []),
    ]
    this.#defaults = has('allowColumnDefaults') ? defaultsOf(rules) : new Map()
    this.#generated = has('generatedColumns') ? generatedOf(rules) : new Map()
    this.#identities = has('identityColumns') ? identitiesOf(rules) : new Map()
    const filled = [this.#defaults, this.#identities, this.#generated].flatMap((columns) => [
      ...columns.keys(),
    ])
    this.filled = [...new Set(filled)]
  }

  /** Whether rows are written as they come. */
  get areNone(): boolean {
    return this.#checks.length === 0 && this.filled.length === 0
  }

  isGenerated(column: string): boolean {
    return this.#generated.has(column)
  }

  isIdentity(column: string): boolean {
    return this.#identities.has(column)
  }

  /** How far rows are numbered, by column; only of columns that have given numbers here. */
  get highWaterMarks(): ReadonlyMap<string, bigint> {
    const marks = new Map<string, bigint>()
    for (const { name, highWaterMark } of this.#identities.values()) {
      if (highWaterMark !== null) marks.set(name, highWaterMark)
    }
    return marks
  }

  /** New rows, with all columns. Throws RowRefused, or DeltaError where a value cannot be computed. */
  inserted(batch: ColumnBatch, silent: Silent): ColumnBatch {
    if (this.areNone) return batch
    return this.#ruled(batch, silent, (field, given, mask) => {
      const formula = this.#defaults.get(field.name)
      if (formula !== undefined) return filled(field, given, mask, () => formula.at([], 0))
      const identity = this.#identities.get(field.name)
      return identity === undefined ? given : this.#numbered(field, identity, given, mask)
    })
  }

  /** Rows of the table that were given other values: what is generated from those is computed anew where it is silent. */
  updated(batch: ColumnBatch, silent: Silent): ColumnBatch {
    if (this.#checks.length === 0 && this.#generated.size === 0) return batch
    return this.#ruled(batch, silent, (_, given) => given)
  }

  #ruled(
    batch: ColumnBatch,
    silent: Silent,
    fill: (field: Field, given: Column, mask: Uint8Array | null) => Column,
  ): ColumnBatch {
    const { rowCount } = batch
    const unknown = batch.fields.find(({ name }) => !this.#fields.some((one) => one.name === name))
    if (unknown !== undefined) throw invalid(`the table has no column ${unknown.name}`)
    const masks = new Map<string, Uint8Array | null>()
    const columns = this.#fields.map((field) => {
      const given = givenColumn(batch, field)
      const mask =
        given === null ? new Uint8Array(rowCount).fill(1) : (silent.get(field.name) ?? null)
      masks.set(field.name, mask)
      return fill(field, given ?? emptyColumn(field.type, rowCount), mask)
    })
    const whole = { rowCount, fields: this.#fields, columns }
    for (const formula of this.#generated.values()) {
      const place = this.#fields.findIndex(({ name }) => name === formula.field.name)
      const mask = masks.get(formula.field.name)!
      columns[place] = generatedColumn(formula, whole, columns[place]!, mask)
    }
    this.#refuseViolations(whole)
    return whole
  }

  #numbered(
    field: Field,
    identity: IdentityColumn,
    given: Column,
    mask: Uint8Array | null,
  ): Column {
    const isSilent = (row: number): boolean => mask !== null && mask[row] === 1
    // To say that there is no number is to leave it to the table, where rows cannot have their own.
    const takes = (row: number): boolean =>
      isSilent(row) || (!identity.allowsOthers && valueAt(field.type, given, row) === null)
    const taken = new Uint8Array(given.length)
    for (let row = 0; row < given.length; row++) {
      if (takes(row)) taken[row] = 1
      else if (!identity.allowsOthers) {
        throw new RowRefused(
          row,
          `column ${field.name} numbers rows itself (GENERATED ALWAYS AS IDENTITY): none comes with a number`,
        )
      }
    }
    return filled(field, given, taken, () => identity.take())
  }

  #refuseViolations(batch: ColumnBatch): void {
    for (const { name, condition } of this.#checks) {
      const row = evaluating(() => condition.fails(batch)).indexOf(1)
      if (row < 0) continue
      throw new RowRefused(
        row,
        `${name} is violated by a row: ${shown(batch, condition.fields, row)}`,
      )
    }
  }
}

/** The values that are given, and others where the mask has 1. */
function filled(field: Field, given: Column, mask: Uint8Array | null, make: () => Value): Column {
  if (mask === null || !mask.includes(1)) return given
  const { type } = field
  const optional = { ...field, isNullable: true }
  const value: Evaluate = (_, row) => (mask[row] === 1 ? make() : valueAt(type, given, row))
  return computed({ field: optional, at: value }, [], given.length)
}

function generatedColumn(
  { field, fields, at, text }: Formula,
  batch: ColumnBatch,
  given: Column,
  mask: Uint8Array | null,
): Column {
  const sources = columnsOf(batch, fields)
  const column = computed({ field: { ...field, isNullable: true }, at }, sources, batch.rowCount)
  const compare = comparing(field.type, field.type)
  for (let row = 0; row < batch.rowCount; row++) {
    if (mask !== null && mask[row] === 1) continue
    const [said, made] = [valueAt(field.type, given, row), valueAt(field.type, column, row)]
    const isSame = said === null || made === null ? said === made : compare(said, made) === 0
    if (isSame) continue
    const before = { ...batch, columns: batch.columns.with(batch.fields.indexOf(field), given) }
    throw new RowRefused(
      row,
      `column ${field.name} is generated as ${text}, and a row has another value there: ${shown(before, [field, ...fields], row)}`,
    )
  }
  return column
}

/** As in `id is -1, country is null`. */
function shown(batch: ColumnBatch, fields: readonly Field[], row: number): string {
  const values = fields.slice(0, shownValuesMax).map((field) => {
    const at = batch.fields.findIndex(({ name }) => name === field.name)
    const text = printer(field.type)(batch.columns[at]!, row)
    return `${field.name} is ${text.length > shownCharactersMax ? `${text.slice(0, shownCharactersMax)}…` : text}`
  })
  return values.join(', ')
}

function constraintsOf({ configuration, fields }: TableRules): Check[] {
  const prefix = 'delta.constraints.'
  return [...configuration]
    .filter(([key]) => key.toLowerCase().startsWith(prefix))
    .map(([key, text]) => ({
      name: `the constraint ${key.slice(prefix.length)} (${text})`,
      condition: known(key, 'checkConstraints', () => Condition.parse(text, fields)),
    }))
}

function invariantsOf(field: RuledField, rules: TableRules, isReached = true): Check[] {
  const nested = (field.children ?? []).flatMap((child) =>
    invariantsOf(child, rules, isReached && field.type.kind === 'struct'),
  )
  const rule = field.metadata?.['delta.invariants']
  if (rule === undefined || rule === null) return nested
  const condition = known(`column ${field.name}`, 'invariants', () => {
    if (!isReached) throw new RangeError('what lies in lists and maps has none')
    return Condition.parse(invariantText(rule), rules.fields)
  })
  return [
    { name: `the invariant of column ${field.name} (${invariantText(rule)})`, condition },
    ...nested,
  ]
}

/** Throws RangeError where it has not the form of the protocol. */
function invariantText(rule: Json): string {
  let json: Json
  try {
    json = typeof rule === 'string' ? parseJson(rule) : rule
  } catch (error) {
    throw new RangeError(`it is no JSON: ${(error as Error).message}`, { cause: error })
  }
  const found = json as { expression?: { expression?: Json } | null } | null
  const text = found?.expression?.expression
  if (typeof text !== 'string') throw new RangeError('it has no expression')
  return text
}

function defaultsOf(rules: TableRules): Map<string, Formula> {
  const name = 'CURRENT_DEFAULT'
  refuseNested(rules.fields, name, 'allowColumnDefaults')
  return formulas(rules, name, (field, text) =>
    known(`column ${field.name}`, 'allowColumnDefaults', () => formulaOf(field, text, [], rules)),
  )
}

function generatedOf(rules: TableRules): Map<string, Formula> {
  const name = 'delta.generationExpression'
  refuseNested(rules.fields, name, 'generatedColumns')
  return formulas(rules, name, (field, text) =>
    known(`column ${field.name}`, 'generatedColumns', () => {
      comparing(field.type, field.type)
      const isGiven = ({ metadata = {} }: RuledField): boolean =>
        !Object.hasOwn(metadata, name) && !Object.hasOwn(metadata, 'delta.identity.start')
      const others = rules.fields.filter(isGiven)
      return formulaOf(field, text, others, rules)
    }),
  )
}

function formulaOf(
  field: Field,
  text: string,
  from: readonly Field[],
  { now }: TableRules,
): Formula {
  const { expression, fields } = parseExpression(text, from, now)
  return { field, fields, at: assigned(expression, field.type), text }
}

function formulas(
  { fields }: TableRules,
  property: string,
  formula: (field: RuledField, text: string) => Formula,
): Map<string, Formula> {
  const all = new Map<string, Formula>()
  for (const field of fields) {
    const text = field.metadata?.[property]
    if (typeof text === 'string') all.set(field.name, formula(field, text))
  }
  return all
}

function identitiesOf({ fields }: TableRules): Map<string, IdentityColumn> {
  refuseNested(fields, 'delta.identity.start', 'identityColumns')
  const all = new Map<string, IdentityColumn>()
  for (const field of fields) {
    const identity = IdentityColumn.of(field)
    if (identity !== null) all.set(field.name, identity)
  }
  return all
}

/** Only whole columns have values of their own. */
function refuseNested(fields: readonly RuledField[], property: string, feature: string): void {
  for (const { children = [] } of fields) {
    for (const child of children) {
      if (Object.hasOwn(child.metadata, property)) {
        throw refused(`column ${child.name}`, feature, 'it lies within another')
      }
    }
    refuseNested(children, property, feature)
  }
}

/** Throws DeltaError with the name of the feature for what is not known here. */
function known<Result>(what: string, feature: string, read: () => Result): Result {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw refused(what, feature, error.message)
  }
}

function refused(what: string, feature: string, why: string): DeltaError {
  return unsupported(`the table cannot be written: ${what} uses the feature ${feature}: ${why}`)
}

/**
 * Whether data written with one schema can be read with another: Avro's schema resolution, answered for
 * all data at once. What stands in the way is told as the usual registry tells it, so that people and
 * scripts recognise it. How recursion ends: `comparison.ts`.
 */
import { type JudgedPairs, judged, type Sides } from './comparison.ts'
import {
  type AvroSchema,
  branchName,
  type EnumSchema,
  type Field,
  type FixedSchema,
  type NamedSchema,
  type RecordSchema,
  SchemaError,
  type UnionSchema,
} from './schema.ts'

/** Pairs within pairs: records that refer to one another may form long chains without being nested. */
const depthMax = 500
/** Differences that one answer lists. */
const differencesMax = 100
/** Symbols of one enum that an answer lists, and their characters. */
const toldSymbolsMax = 100
const toldCharactersMax = 1000

export type DifferenceType =
  | 'NAME_MISMATCH'
  | 'FIXED_SIZE_MISMATCH'
  | 'MISSING_ENUM_SYMBOLS'
  | 'READER_FIELD_MISSING_DEFAULT_VALUE'
  | 'TYPE_MISMATCH'
  | 'MISSING_UNION_BRANCH'

export interface Difference {
  readonly type: DifferenceType
  /** A JSON pointer into the reader's schema. */
  readonly path: string
  readonly detail: string
}

/** Empty: the reader can read all that the writer writes. Throws SchemaError beyond the limits. */
export function differences(reader: AvroSchema, writer: AvroSchema): readonly Difference[] {
  return judged<AvroSchema, Difference>({ depthMax, metAgain: () => untoldOnly }, (pairs) =>
    new Comparison(pairs).compare(reader, writer, null),
  )
}

/** Steps down into a schema, the last one first: shared by what lies below it. */
type Path = { readonly step: string; readonly above: Path } | null

/** The path of all that is asked for a yes or no alone. */
const untoldPath: Path = { step: '', above: null }

const none: readonly Difference[] = []
/** Stands for differences that are told elsewhere, or that nobody asked for. */
const untold: Difference = { type: 'TYPE_MISMATCH', path: '/', detail: '' }
/** The verdict of a pair that was asked about for a yes or no alone: asked for more, it is judged again. */
const untoldOnly: readonly Difference[] = [untold]
const promotions: Readonly<Record<string, readonly string[]>> = {
  long: ['int'],
  float: ['int', 'long'],
  double: ['int', 'long', 'float'],
  bytes: ['string'],
  string: ['bytes'],
}

class Comparison {
  readonly #pairs: JudgedPairs<AvroSchema, Difference>

  constructor(pairs: JudgedPairs<AvroSchema, Difference>) {
    this.#pairs = pairs
  }

  compare(reader: AvroSchema, writer: AvroSchema, path: Path): readonly Difference[] {
    return this.#pairs.verdict(
      reader,
      writer,
      () => verdict(this.#judge(reader, writer, path), path),
      (known) => known !== untoldOnly || path === untoldPath,
    )
  }

  #reads(reader: AvroSchema, writer: AvroSchema): boolean {
    return this.compare(reader, writer, untoldPath).length === 0
  }

  #judge(reader: AvroSchema, writer: AvroSchema, path: Path): readonly Difference[] {
    if (reader.kind === 'union' && writer.kind === 'union')
      return writer.branches.flatMap((branch, index) =>
        this.#reads(reader, branch)
          ? []
          : [this.#missing(reader, branch, down(path, String(index)))],
      )
    if (writer.kind === 'union')
      return writer.branches.flatMap((branch, index) =>
        this.compare(reader, branch, down(path, String(index))),
      )
    if (reader.kind === 'union') return this.#inUnion(reader, writer, path)
    if (reader.kind === 'array' && writer.kind === 'array')
      return this.compare(reader.items, writer.items, down(path, 'items'))
    if (reader.kind === 'map' && writer.kind === 'map')
      return this.compare(reader.values, writer.values, down(path, 'values'))
    if (reader.kind === 'fixed' && writer.kind === 'fixed')
      return this.#named(reader, writer, path, () => sizes(reader, writer, path))
    if (reader.kind === 'enum' && writer.kind === 'enum')
      return this.#named(reader, writer, path, () => this.#symbols(reader, writer, path))
    if (reader.kind === 'record' && writer.kind === 'record')
      return this.#named(reader, writer, path, () => this.#fields(reader, writer, path))
    if (reader.kind === writer.kind || promotions[reader.kind]?.includes(writer.kind)) return none
    const detail = `reader type: ${typeName(reader)} not compatible with writer type: ${typeName(writer)}`
    return [{ type: 'TYPE_MISMATCH', path: pointer(path), detail }]
  }

  #inUnion(reader: UnionSchema, writer: AvroSchema, path: Path): readonly Difference[] {
    const reads = reader.branches.some((branch) => this.#reads(branch, writer))
    return reads ? none : [this.#missing(reader, writer, path)]
  }

  /** A branch that is being judged is told about where that began. */
  #missing(reader: UnionSchema, writer: AvroSchema, path: Path): Difference {
    const isAbove = (branch: AvroSchema) => this.#pairs.isInProgress(branch, writer)
    return reader.branches.some(isAbove) ? untold : missingBranch(writer, path)
  }

  #named(
    reader: NamedSchema,
    writer: NamedSchema,
    path: Path,
    inside: () => readonly Difference[],
  ): readonly Difference[] {
    this.#pairs.budget.lookUp(1 + reader.aliases.length)
    const found = names(reader, writer, path)
    return found.length > 0 && path === untoldPath ? found : [...found, ...inside()]
  }

  #symbols(reader: EnumSchema, writer: EnumSchema, path: Path): readonly Difference[] {
    if (reader.fallback !== null) return none
    const missingMax = path === untoldPath ? 1 : toldSymbolsMax + 1
    const missing: string[] = []
    for (const symbol of writer.symbols) {
      this.#pairs.budget.lookUp(1)
      if (!reader.symbolSet.has(symbol)) missing.push(symbol)
      if (missing.length === missingMax) break
    }
    if (missing.length === 0) return none
    const at = pointer(down(path, 'symbols'))
    return [{ type: 'MISSING_ENUM_SYMBOLS', path: at, detail: listed(missing) }]
  }

  #fields(reader: RecordSchema, writer: RecordSchema, path: Path): readonly Difference[] {
    const fields = down(path, 'fields')
    return reader.fields.flatMap((field) => {
      this.#pairs.budget.lookUp(1 + field.aliases.length)
      const at = down(fields, String(field.position))
      const written = writtenField(writer, field)
      if (written !== null) return this.compare(field.schema, written.schema, down(at, 'type'))
      if (field.fallback !== undefined) return []
      const type = 'READER_FIELD_MISSING_DEFAULT_VALUE'
      return [{ type, path: pointer(at), detail: field.name } as const]
    })
  }
}

/** The field of the writer from which the reader's is filled: by its name, or an alias. */
function writtenField(writer: RecordSchema, field: Field): Field | null {
  const found = new Set<Field>()
  for (const name of [field.name, ...field.aliases]) {
    const written = writer.fieldsByName.get(name)
    if (written !== undefined) found.add(written)
  }
  if (found.size > 1)
    throw new SchemaError(
      `Reader record field ${field.name} matches multiple fields in writer record schema ${writer.name.full}`,
    )
  return [...found][0] ?? null
}

/** Whether values of the one are values of the other as far as names decide. */
function haveSameName(reader: NamedSchema, writer: NamedSchema): boolean {
  return (
    reader.name.short === writer.name.short ||
    reader.aliases.some((alias) => alias.full === writer.name.full)
  )
}

function names(reader: NamedSchema, writer: NamedSchema, path: Path): readonly Difference[] {
  if (haveSameName(reader, writer)) return none
  const detail = `expected: ${writer.name.full}`
  return [{ type: 'NAME_MISMATCH', path: pointer(down(path, 'name')), detail }]
}

function sizes(reader: FixedSchema, writer: FixedSchema, path: Path): readonly Difference[] {
  if (reader.size === writer.size) return none
  const detail = `expected: ${writer.size}, found: ${reader.size}`
  return [{ type: 'FIXED_SIZE_MISMATCH', path: pointer(down(path, 'size')), detail }]
}

function listed(symbols: readonly string[]): string {
  const text = symbols.slice(0, toldSymbolsMax).sort().join(', ')
  const isCut = symbols.length > toldSymbolsMax || text.length > toldCharactersMax
  return isCut ? `[${text.slice(0, toldCharactersMax)}, …]` : `[${text}]`
}

/** What is kept of what was found: what is told elsewhere counts only where there is nothing else. */
function verdict(found: readonly Difference[], path: Path): readonly Difference[] {
  if (found.length === 0) return none
  if (path === untoldPath) return untoldOnly
  const told = found.filter((each) => each !== untold).slice(0, differencesMax)
  return told.length > 0 ? told : [untold]
}

function missingBranch(writer: AvroSchema, path: Path): Difference {
  const detail = `reader union lacking writer type: ${typeName(writer)}`
  return { type: 'MISSING_UNION_BRANCH', path: pointer(path), detail }
}

function typeName(schema: AvroSchema): string {
  return (schema.kind === 'union' ? branchName(schema) : schema.kind).toUpperCase()
}

function down(above: Path, step: string): Path {
  return above === untoldPath ? untoldPath : { step, above }
}

function pointer(path: Path): string {
  const steps: string[] = []
  for (let at = path; at !== null; at = at.above) steps.push(at.step)
  return `/${steps.reverse().join('/')}`
}

type Describe = (difference: Difference, sides: Sides) => string

const descriptions: Readonly<Record<DifferenceType, Describe>> = {
  FIXED_SIZE_MISMATCH: ({ path }, { reader, writer }) =>
    `The size of FIXED type field at path '${path}' in the ${reader} schema does not match with the ${writer} schema`,
  TYPE_MISMATCH: ({ path }, { reader, writer }) =>
    `The type (path '${path}') of a field in the ${reader} schema does not match with the ${writer} schema`,
  NAME_MISMATCH: ({ path }) => `The name of the schema has changed (path '${path}')`,
  MISSING_ENUM_SYMBOLS: ({ path, detail }, { reader, writer }) =>
    `The ${reader} schema is missing enum symbols '${detail}' at path '${path}' in the ${writer} schema`,
  MISSING_UNION_BRANCH: ({ path }, { reader, writer }) =>
    `The ${reader} schema is missing a type inside a union field at path '${path}' in the ${writer} schema`,
  READER_FIELD_MISSING_DEFAULT_VALUE: ({ path, detail }, { reader, writer }) =>
    `The field '${detail}' at path '${path}' in the ${reader} schema has no default value and is missing in the ${writer} schema`,
}

/** One difference, as the usual registry words it. */
export function describeDifference(difference: Difference, sides: Sides): string {
  const { type, detail } = difference
  return `{errorType:'${type}', description:'${descriptions[type](difference, sides)}', additionalInfo:'${detail}'}`
}

/**
 * The tables against the facts about Kafka's messages, where the file with these facts lies beside
 * the repository; elsewhere that part says that it compared nothing. And, from the tables alone:
 * what is encoded comes back the same, in every version.
 */
import { existsSync, readFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import t from 'tap'
import type { ApiRow } from '../../protocol/apis.ts'
import { apiByKey, apis } from '../../protocol/apis.ts'
import { decode, encode, steppedCodec } from '../../protocol/codec.ts'
import { errorByCode, errors } from '../../protocol/errors.ts'
import { Reader } from '../../protocol/reader.ts'
import type { Field, Fields, Message } from '../../protocol/schema.ts'
import type { Type, Versions } from '../../protocol/types.ts'
import { includes, parseVersions, zeroUuid } from '../../protocol/types.ts'
import { Writer } from '../../protocol/writer.ts'
import { atOnce } from '../../src/environment/in-turns.ts'
import { allMessages, versionsOf } from './all-messages.ts'
import { generateValue, randomFrom } from './generated-values.ts'

const reference = new URL('../../../../shared/reference/', import.meta.url)

interface FieldFact {
  name: string
  type: string
  versions: Versions
  nullable: Versions
  tag: { number: number; versions: Versions } | null
  default: string | undefined
  compact: boolean
  fields: FieldFact[]
}

interface MessageFact {
  key: number | null
  name: string
  kind: string
  valid: Versions
  flexible: Versions
  notes: string[]
  fields: FieldFact[]
}

function readFacts(text: string): MessageFact[] {
  const facts: MessageFact[] = []
  let levels: FieldFact[][] = []
  for (const line of text.split('\n')) {
    const indent = line.search(/\S/)
    if (indent < 0) continue
    if (indent === 0) {
      levels = []
      const [title = '', kind = '', valid = '', flexible = '', ...notes] = line.split(' · ')
      if (!/^versions \d/.test(valid)) continue
      const [name = '', key] = title.split(' ').reverse()
      const fields: FieldFact[] = []
      facts.push({
        key: key === undefined ? null : Number(key),
        name,
        kind,
        valid: parseVersions(valid.split(' ')[1] as string),
        flexible: parseVersions(flexible.split(' ')[1] as string),
        notes,
        fields,
      })
      levels = [fields]
    } else if (levels.length > 0) {
      levels.length = indent / 2
      const fact = readField(line.trim())
      levels.at(-1)?.push(fact)
      levels.push(fact.fields)
    }
  }
  return facts
}

function readField(line: string): FieldFact {
  const [name = '', type = '', versions = '', ...rules] = line.split(' ')
  const rest = rules.join(' ')
  const tag = /tag (\d+) (\S+)/.exec(rest)
  return {
    name: name[0]?.toLowerCase() + name.slice(1),
    type,
    versions: parseVersions(versions),
    nullable: parseVersions(/null (\d\S*)/.exec(rest)?.[1] ?? 'none'),
    tag: tag && { number: Number(tag[1]), versions: parseVersions(tag[2] as string) },
    default: /= (.+?)(?: ~)?(?: never-compact)?$/.exec(rest)?.[1],
    compact: !rest.includes('never-compact'),
    fields: [],
  }
}

/** What a version of a structure looks like, a line for each field, from the facts. */
function outlineOfFacts(fields: FieldFact[], version: number, isFlexible: boolean): string[] {
  return (
    fields
      .filter((field) => includes(field.versions, version))
      // A version in which a tagged field is not tagged lacks it (TransactionLogValue v0).
      .filter((field) => field.tag === null || includes(field.tag.versions, version))
      .flatMap((field) => {
        const tag = field.tag?.number ?? '-'
        const isNullable = includes(field.nullable, version)
        const type = field.fields.length === 0 ? field.type : field.type.replace(/\w+/, 'struct')
        const rules = `${tag} ${isNullable} ${isFlexible && field.compact} ${standardOfFact(field)}`
        const inner = outlineOfFacts(field.fields, version, isFlexible)
        return [`${field.name} ${type} ${rules}`, ...inner.map((line) => `  ${line}`)]
      })
  )
}

function outlineOfTable(fields: Fields, version: number, isFlexible: boolean): string[] {
  return Object.entries(fields)
    .filter(([, field]) => includes(field.versions, version))
    .flatMap(([name, field]) => {
      const tag = isFlexible && field.tag !== null ? field.tag : '-'
      const isNullable = includes(field.nullable, version)
      const rules = `${tag} ${isNullable} ${isFlexible && field.compact} ${standardOfField(field)}`
      const inner = innerFields(field.type)
      const lines = inner === null ? [] : outlineOfTable(inner, version, isFlexible)
      return [`${name} ${typeName(field.type)} ${rules}`, ...lines.map((line) => `  ${line}`)]
    })
}

function typeName(type: Type<Fields>): string {
  if (type.kind === 'array') return `[]${typeName(type.element)}`
  if (type.kind === 'struct') return 'struct'
  // The same on the wire.
  return type.name === 'int64Exact' ? 'int64' : type.name
}

function innerFields(type: Type<Fields>): Fields | null {
  if (type.kind === 'array') return innerFields(type.element)
  return type.kind === 'struct' ? type.fields : null
}

/** A default in words that facts and tables share. What may be null and has no other is null. */
function standardOfFact(field: FieldFact): string {
  const given = field.default
  if (given !== undefined && given !== 'None') {
    if (given === 'null') return 'null'
    if (field.type === 'bool') return given.toLowerCase()
    return field.type === 'string' ? JSON.stringify(given.replaceAll('"', '')) : `${Number(given)}`
  }
  if (field.type.startsWith('[]')) return '[]'
  const empty: Record<string, string> = { string: '""', bool: 'false', bytes: '[]', records: '[]' }
  empty.uuid = JSON.stringify(zeroUuid)
  if (field.fields.length > 0) return 'struct'
  return empty[field.type] ?? '0'
}

function standardOfField(field: Field): string {
  const standard = field.default
  if (standard === null) return 'null'
  if (field.type.kind === 'array') return '[]'
  if (field.type.kind === 'struct') return 'struct'
  if (typeof standard === 'object') return '[]'
  return typeof standard === 'number' || typeof standard === 'bigint'
    ? `${standard}`
    : JSON.stringify(standard)
}

/**
 * A nullable field without a default in the facts may have null for one in the table, unless it is
 * tagged: then leaving it out says what the default says.
 */
function sameOutline(actual: string[], expected: string[]): boolean {
  return (
    actual.length === expected.length &&
    actual.every((line, index) => {
      const other = expected[index] as string
      if (line === other) return true
      const [, head] = /^(.* - true (?:true|false)) null$/.exec(line) ?? []
      return head !== undefined && other.startsWith(head)
    })
  )
}

t.test('every table says what the facts say', async (t) => {
  const path = new URL('kafka-messages.txt', reference)
  if (!existsSync(path)) return t.comment('no facts at hand: nothing compared')
  const facts = readFacts(readFileSync(path, 'utf8'))
  t.ok(facts.length > 250, `${facts.length} messages in the facts`)
  t.same(facts.map((fact) => fact.name).sort(), [...allMessages.keys()].sort(), 'the same messages')
  for (const fact of facts) {
    const table = allMessages.get(fact.name) as Message
    t.same([table.key, table.valid], [fact.key, fact.valid], `${fact.name}: key and versions`)
    for (const version of versionsOf(table)) {
      const isFlexible = includes(table.flexible, version)
      if (isFlexible !== includes(fact.flexible, version))
        t.fail(`${fact.name} v${version} flexible`)
      const actual = outlineOfTable(table.fields, version, isFlexible)
      const expected = outlineOfFacts(fact.fields, version, isFlexible)
      if (!sameOutline(actual, expected)) t.same(actual, expected, `${fact.name} v${version}`)
    }
  }
})

t.test('every API has its row, in key order', async (t) => {
  const rows: ApiRow[] = Object.values(apis)
  t.same(
    rows.map((row) => row.key),
    rows.map((row) => row.key).sort((a, b) => a - b),
  )
  for (const [property, row] of Object.entries<ApiRow>(apis)) {
    t.equal(property, row.name[0]?.toLowerCase() + row.name.slice(1))
    t.same([row.request.key, row.response.key], [row.key, row.key], row.name)
    t.same([row.request.name, row.response.name], [`${row.name}Request`, `${row.name}Response`])
    t.same(row.request.valid, row.response.valid, row.name)
    t.equal(apiByKey(row.key), row)
  }
  t.equal(apiByKey(4), undefined, 'LeaderAndIsr went with ZooKeeper')
  t.equal(apiByKey(-1), undefined)

  const path = new URL('kafka-messages.txt', reference)
  if (!existsSync(path)) return t.comment('no facts at hand: nothing compared')
  for (const fact of readFacts(readFileSync(path, 'utf8'))) {
    if (fact.kind !== 'request') continue
    const row = apiByKey(fact.key as number) as ApiRow
    t.same([...row.listeners].sort(), fact.notes[0]?.split(',').sort(), `${row.name}: listeners`)
    t.equal(row.isLatestUnstable, fact.notes.includes('latest unstable'), row.name)
  }
})

t.test('every error has its row', async (t) => {
  for (const row of Object.values(errors)) t.equal(errorByCode(row.code), row)
  t.equal(errorByCode(30_000), errors.UNKNOWN_SERVER_ERROR)

  const path = new URL('kafka-configs-and-errors.txt', reference)
  if (!existsSync(path)) return t.comment('no facts at hand: nothing compared')
  const section = /## Error codes\n([^#]*)/.exec(readFileSync(path, 'utf8'))?.[1] ?? ''
  const facts = section.trim().split('\n')
  const rows = Object.values(errors)
  t.same(
    rows.map((row) => `${row.code} ${row.name}${row.retriable ? ' retriable' : ''}`),
    facts,
  )
})

t.test('what is encoded comes back the same', async (t) => {
  const seed = Number(process.env.SEED ?? 1)
  const random = randomFrom(seed)
  for (const table of allMessages.values()) {
    for (const version of versionsOf(table)) {
      for (let round = 0; round < 5; round++) {
        const value = generateValue(table, version, random)
        const bytes = encode(table, version, value)
        const what = `${table.name} v${version}, round ${round}, seed ${seed}`
        const stepped = steppedCodec(table, version)
        const writer = new Writer()
        atOnce(stepped.write(writer, value))
        for (const decoded of [
          decode(table, version, bytes),
          decode(table, version, Buffer.concat(writer.finish())),
          atOnce(stepped.read(new Reader(bytes))),
        ]) {
          if (isDeepStrictEqual(decoded, value)) continue
          t.strictSame(decoded, value, what)
          return
        }
      }
    }
  }
  t.pass(`seed ${seed}`)
})

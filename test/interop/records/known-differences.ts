/** Where ours are different from Apache Kafka's on purpose, and why. */
import { Fraction, type Json } from '../../../src/connect/json-text.ts'
import type { Case } from './cases.ts'
import { inOrder, type Notation, withTexts } from './notation.ts'
import type { Outcome } from './ours.ts'

interface Difference {
  /** Of the class, without its package and without `$Key` or `$Value`. */
  readonly name: string
  readonly given: Case
  readonly their: Outcome
  readonly our: Outcome
  /** What was made; null: it was refused. */
  readonly theirs: string | null
  readonly ours: string | null
  readonly refusal: string
}

type Known = readonly [reason: string, isIt: (difference: Difference) => boolean]

/** The Gregorian calendar's first day. */
const gregorianMs = -12_219_292_800_000

const json: readonly Known[] = [
  [
    'a value that is none of its schema, or beyond its type, is refused, and not 0, null or cut off',
    ({ given, theirs, refusal }) =>
      given.kind === 'read' &&
      theirs !== null &&
      /^Invalid \w+ field|out of the range of|should be encoded as|is no number of/.test(refusal),
  ],
  [
    'what follows a value is refused, and a blank text is, which is no null',
    ({ given, theirs, refusal }) =>
      given.kind === 'read' && theirs !== null && /^JSON has .* in place of/.test(refusal),
  ],
  [
    'NaN and the infinities are read as they are written, and are not 0',
    ({ given, theirs, ours }) =>
      given.kind === 'read' &&
      theirs?.includes('"0000000000000000"') === true &&
      /"[7f]ff[08]0{12}"/.test(ours ?? ''),
  ],
  [
    'a negative zero keeps its sign',
    ({ theirs, ours }) =>
      theirs !== null && theirs === ours?.replaceAll('8000000000000000', '0000000000000000'),
  ],
]

const texts: readonly Known[] = [
  [
    'bytes and times are texts that can be read, not [B@… and Java’s dates',
    ({ name, given, theirs, ours }) =>
      name === 'StringConverter' &&
      given.kind.startsWith('write') &&
      ours !== null &&
      /\[B@|[A-Z][a-z]{2} [A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d UTC/.test(written(theirs)),
  ],
  [
    'encodings that are not known are refused by name',
    ({ name, refusal }) => name === 'StringConverter' && refusal.includes('converter.encoding'),
  ],
  [
    'without a schema an integer is one of any size, and a float of either',
    ({ name, given, ours, their }) =>
      /^(Short|Integer|Float)Converter$/.test(name) &&
      'schema' in given &&
      given.schema === null &&
      ours !== null &&
      'message' in their &&
      /Failed to serialize/.test(their.message),
  ],
]

const headers: readonly Known[] = [
  [
    'the text null is null, which Kafka trips over',
    ({ their, ours }) =>
      'error' in their && their.error.endsWith('NullPointerException') && ours === '[null,null]',
  ],
  [
    'lists and maps of several types, or of nothing, have no schema',
    ({ their, our, ours }) =>
      'made' in their &&
      'made' in our &&
      (ours?.startsWith('[null,') || /^\[\[("[^"]*"|[^"])*null\]/.test(ours ?? '')) === true &&
      JSON.stringify((their.made as Notation[])[1]) === JSON.stringify((our.made as Notation[])[1]),
  ],
  [
    'lists and maps with nulls are read as such, not as texts',
    ({ theirs, ours }) =>
      theirs !== null && /^\[\["STRING".*null/.test(theirs) && /^\[\["(ARRAY|MAP)/.test(ours ?? ''),
  ],
  [
    'a text is taken for what all of it is, not for what it begins with',
    ({ theirs, ours }) =>
      theirs !== null && !theirs.startsWith('[["STRING"') && /^\[\["STRING"/.test(ours ?? ''),
  ],
  [
    'quotes and backslashes that were escaped in lists and maps are again what they were',
    ({ theirs, ours }) => theirs !== null && theirs.replaceAll('\\\\\\', '\\') === ours,
  ],
  [
    'a time is written as what its schema says that it is: one at midnight, or before 1970, too',
    ({ given, theirs, ours }) =>
      given.kind === 'writeHeader' &&
      ours !== null &&
      /\d\d:\d\d\.\d{3}Z|^\d{4}-\d\d-\d\d$/.test(written(theirs)) &&
      /\d{4}-\d\d-\d\d/.test(written(ours)),
  ],
]

const transforms: readonly Known[] = [
  [
    'Java before 19 writes some floats with a digit more than they need',
    ({ their, our }) =>
      'made' in their && 'made' in our && roundedText(their.made) === roundedText(our.made),
  ],
  [
    'a name and a version are set in schemas of all types, not of structs alone',
    ({ name, their, ours }) =>
      name === 'SetSchemaMetadata' &&
      'message' in their &&
      their.message === 'Cannot list fields on non-struct type' &&
      ours !== null,
  ],
  [
    'a decimal that is masked keeps its scale, without which no converter takes it',
    ({ name, theirs, ours }) =>
      name === 'MaskField' &&
      theirs?.includes('["d","0",0]') === true &&
      ours?.includes('["d","0",2]') === true,
  ],
  [
    'settings that can never work are refused as they are set, not with each record',
    ({ name, their, our }) =>
      /Router$/.test(name) &&
      'at' in their &&
      their.at === 'apply' &&
      'at' in our &&
      our.at === 'configure',
  ],
  [
    'what JavaScript’s regular expressions do not have is refused by name',
    ({ refusal }) =>
      /Invalid regular expression: .*(not supported|Nothing to repeat)/.test(refusal),
  ],
]

const times: readonly Known[] = [
  [
    'times before 1582 are of the Gregorian calendar, as everywhere but in Java’s formats',
    ({ name, given, theirs, ours }) =>
      /^Timestamp|^Simple/.test(name) &&
      theirs !== null &&
      ours !== null &&
      timesIn(given, theirs).some((ms) => ms < gregorianMs),
  ],
  [
    'times beyond what a double holds in milliseconds, or an INT64 in smaller units, are refused',
    ({ name, refusal }) =>
      name === 'TimestampConverter' &&
      /is no number of milliseconds|out of the range/.test(refusal),
  ],
  [
    'a year of two digits is one of 1950 to 2049, in whichever year it is read',
    ({ given }) => given.config['format'] === 'yyMMdd',
  ],
  [
    'a sign within a date is refused, not counted backwards',
    ({ given, theirs, refusal }) =>
      theirs !== null && /does not match/.test(refusal) && /(^|\D)-\d/.test(recordText(given)),
  ],
  [
    'of the names of zones UTC and GMT are known; others, and dates by week, are refused',
    ({ theirs, refusal }) =>
      theirs !== null &&
      (/value \(\S+ [A-Z]{3}\) does not match/.test(refusal) || /^Weeks in/.test(refusal)),
  ],
  ['a day of the week alone is of no date', ({ given }) => given.config['format'] === 'EEE HH'],
]

/** Why; null: it is not known. */
export function knownDifference(given: Case, their: Outcome, our: Outcome): string | null {
  const difference: Difference = {
    ...{ given, their, our },
    name: given.className.replace(/.*\./, '').replace(/\$.*/, ''),
    theirs: 'made' in their ? JSON.stringify(their.made) : null,
    ours: 'made' in our ? JSON.stringify(our.made) : null,
    refusal: 'message' in our ? our.message : '',
  }
  const { name } = difference
  const isHeader = given.kind.endsWith('Header') || name === 'InsertHeader'
  const all = [
    ...(name === 'JsonConverter' ? json : []),
    ...[...texts, ...(isHeader && name !== 'StringConverter' ? headers : [])],
    ...(given.kind === 'transform' || given.kind === 'predicate' ? transforms : []),
    ...times,
  ]
  return all.find(([, isIt]) => isIt(difference))?.[0] ?? null
}

/** The text that was written. */
function written(made: string | null): string {
  return made === null ? '' : Buffer.from(JSON.parse(made) as string, 'hex').toString()
}

const recordText = (given: Case) => ('record' in given ? String(given.record.value) : '')

/** That a record has, or has got. */
function timesIn(given: Case, theirs: string): number[] {
  const made = Array.from(theirs.matchAll(/\["t","(-?\d+)"\]/g), ([, ms]) => Number(ms))
  if (!('record' in given)) return made
  const { timestamp, value } = given.record
  return [...made, timestamp ?? 0, typeof value === 'bigint' ? Number(value) : 0]
}

/** With every float of its JSON texts as near as a FLOAT32 is. */
const roundedText = (made: Notation) =>
  JSON.stringify(withTexts(made, (text) => rounded(inOrder(text))))

function rounded(text: Json): Json {
  if (text instanceof Fraction) return new Fraction(String(Math.fround(Number(text.text))))
  if (Array.isArray(text)) return text.map(rounded)
  if (!(text instanceof Map)) return text
  return new Map(Array.from(text, ([name, member]) => [name, rounded(member)]))
}

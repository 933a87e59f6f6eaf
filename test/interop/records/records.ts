/**
 * The same records, schemas and bytes given to Apache Kafka's converters, transformations and predicates, and to ours:
 * what comes out has to be the same, or be refused as it is there. Where ours are different on purpose
 * (`known-differences.ts`), it is told how often.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { connectJars, fetchConnect } from '../connect/workers.ts'
import type { Report } from '../directories/exchange.ts'
import { JavaProgram } from '../java-program.ts'
import type { Case } from './cases.ts'
import { headerCases, jsonCases, plainCases } from './converter-cases.ts'
import { knownDifference } from './known-differences.ts'
import { inOrder, type Notation, withTexts } from './notation.ts'
import { caseNotation, type Outcome, outcomeOf } from './ours.ts'
import { chainCases, predicateCases, transformCases } from './transform-cases.ts'

interface RecordsOptions {
  /** An empty directory for all that is written. */
  readonly directory: string
}

const groups: readonly (readonly [string, readonly Case[]])[] = [
  ['JSON', jsonCases],
  ['the other converters', plainCases],
  ['header converters', headerCases],
  ...byClass(transformCases),
  ['predicates', predicateCases],
  ['chains', chainCases],
]
/** Of each group at most so many differences are told. */
const toldMax = 12

export async function compareRecords({ directory }: RecordsOptions, report: Report): Promise<void> {
  const reason = fetchConnect()
  if (reason !== null) return report('records', null, reason)
  mkdirSync(directory, { recursive: true })
  const theirs = await outcomesOf(
    directory,
    groups.flatMap(([, cases]) => [...cases]),
  )
  let at = 0
  for (const [name, cases] of groups) {
    compareGroup(name, cases, theirs.slice(at, at + cases.length), report)
    at += cases.length
  }
}

/** Without their package, and with the transformation of keys beside that of values. */
function byClass(cases: readonly Case[]): [string, Case[]][] {
  const found = new Map<string, Case[]>()
  for (const each of cases) {
    const name = each.className.replace(/.*\./, '').replace(/\$.*/, '')
    found.set(name, [...(found.get(name) ?? []), each])
  }
  return [...found]
}

/** Apache Kafka's. */
async function outcomesOf(directory: string, cases: readonly Case[]): Promise<Outcome[]> {
  const program = new JavaProgram({
    source: fileURLToPath(
      new URL('../../../../test/interop/records/Records.java', import.meta.url),
    ),
    jars: connectJars,
    classes: join(directory, 'classes'),
    logFile: join(directory, 'log'),
  })
  const file = join(directory, 'cases.jsonl')
  writeFileSync(file, cases.map((each) => `${caseNotation(each)}\n`).join(''))
  const { code, output } = await program.run(file)
  const lines = output.split('\n').filter((line) => line !== '')
  if (code !== 0 || lines.length !== cases.length)
    throw new Error(`exit ${code}: ${lines.length} outcomes of ${cases.length} cases`)
  return lines.map((line) => JSON.parse(line) as Outcome)
}

function compareGroup(
  name: string,
  cases: readonly Case[],
  theirs: readonly Outcome[],
  report: Report,
): void {
  const known = new Map<string, number>()
  const differing: string[] = []
  let refused = 0
  let inTheSameWords = 0
  for (const [at, given] of cases.entries()) {
    const their = theirs[at]!
    const our = outcomeOf(given)
    if (isSame(their, our)) {
      if (!('message' in their) || !('message' in our)) continue
      refused++
      if (their.message === our.message) inTheSameWords++
      continue
    }
    const reason = knownDifference(given, their, our)
    if (reason !== null) known.set(reason, (known.get(reason) ?? 0) + 1)
    else
      differing.push(
        `${caseNotation(given)}\n      Kafka ${JSON.stringify(their)}\n      ours  ${JSON.stringify(our)}`,
      )
  }
  const same = cases.length - differing.length - [...known.values()].reduce((a, b) => a + b, 0)
  const told = [
    `${same} of ${cases.length} the same (${refused} refused, ${inTheSameWords} in the same words)`,
    ...[...known].map(([reason, count]) => `${count} known: ${reason}`),
    ...differing.slice(0, toldMax).map((text) => `\n    ${text}`),
    ...(differing.length > toldMax ? [`\n    and ${differing.length - toldMax} more`] : []),
  ]
  report(`records: ${name}`, differing.length === 0, told.join('; '))
}

const exceptions = ['DataException', 'ConnectException']

/** Errors are the same where they come at the same moment, and are of the same kind where Kafka's has one. */
export function isSame(their: Outcome, our: Outcome): boolean {
  if ('made' in their && 'made' in our) return textOf(their.made) === textOf(our.made)
  if (!('error' in their && 'error' in our) || their.at !== our.at) return false
  // Who makes a converter or a transformation has to do with ConnectException, whatever the settings are.
  if (their.at === 'configure') return true
  const kind = their.error.slice(their.error.lastIndexOf('.') + 1)
  return !exceptions.includes(kind) || their.error === our.error
}

const textOf = (made: Notation) => JSON.stringify(withTexts(made, inOrder))

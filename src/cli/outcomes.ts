/** Prints what became of each thing that a command named: a line each, failures on stderr. */
import type { Outcome } from '../client/admin/outcome.ts'
import { adviceFor, answer, exitCodes } from './failure.ts'
import { json } from './json.ts'

export interface OutcomeReport<T extends Outcome> {
  readonly asJson: boolean
  /** What completes "NAME …" where it was done. */
  readonly done: string | ((row: T) => string)
  /** Names of errors that are no failures here. */
  readonly fine?: readonly string[]
  /** More for the JSON. */
  readonly extra?: (row: T) => object
}

/** Returns the exit code: 1 where anything failed. */
export function reportOutcomes<T extends Outcome>(
  outcomes: readonly T[],
  { asJson, done, fine = [], extra = () => ({}) }: OutcomeReport<T>,
): number {
  const isFine = ({ error }: T) => error === null || fine.includes(error.error.name)
  if (asJson) {
    const rows = outcomes.map((row) => ({
      name: row.name,
      ok: isFine(row),
      ...(row.error === null
        ? extra(row)
        : { error: row.error.error.name, message: row.error.message }),
    }))
    process.stdout.write(json(rows))
  } else {
    const advice = new Set<string>()
    for (const row of outcomes) {
      if (row.error === null)
        process.stdout.write(`${row.name} ${typeof done === 'string' ? done : done(row)}\n`)
      else if (isFine(row)) process.stdout.write(`${row.name}: ${row.error.message}\n`)
      else {
        process.stderr.write(`millrace: ${row.name}: ${answer(row.error)}\n`)
        const next = adviceFor(row.error)
        if (next !== undefined) advice.add(next)
      }
    }
    for (const line of advice) process.stderr.write(`${line}\n`)
  }
  return outcomes.every(isFine) ? exitCodes.ok : exitCodes.failed
}

/**
 * Runs the simulated scenario with one seed after another, as the child of `mutate.ts` and in its copy of
 * the product, and reports what each came to. A violated promise ends it, unless
 * it is to be thorough; a seed that breaks down for another reason (a TypeError, a failed assertion) is
 * reported and passed over.
 *
 *     mutant.js FIRST LAST IS_THOROUGH [SKIPPED,...]
 */
import { runScenario } from '../test/simulator/broker-scenario.ts'
import { Violation } from '../test/simulator/violation.ts'

export interface SeedReport {
  readonly seed: number
  /** Null where the scenario does not tell. */
  readonly virtualMs: number | null
  /** Processor time that this process has taken so far. */
  readonly processorMs: number
  /** What the seed failed with; null where all promises were kept. */
  readonly failure: { readonly isViolation: boolean; readonly message: string } | null
}

const [first = '1', last = '1', isThorough = 'false', skipped = ''] = process.argv.slice(2)
const isSkipped = new Set(skipped.split(',').map(Number))

for (let seed = Number(first); seed <= Number(last); seed++) {
  if (isSkipped.has(seed)) continue
  const report = await run(seed)
  process.send?.(report)
  if (report.failure?.isViolation && isThorough !== 'true') break
}
process.disconnect?.()

async function run(seed: number): Promise<SeedReport> {
  try {
    const { durationMs } = await runScenario(seed)
    return { seed, virtualMs: durationMs, processorMs: processorMs(), failure: null }
  } catch (error) {
    const { message, cause, atMs } = error as Error & { atMs?: number }
    // Whoever never comes to an end was promised one.
    const isEndless = cause instanceof Error && cause.message.startsWith('no end after')
    const isViolation = cause instanceof Violation || isEndless
    const failure = { isViolation, message: message.replace(/^seed \d+: */, '') }
    const virtualMs = atMs ?? (cause as { atMs?: number } | undefined)?.atMs ?? null
    return { seed, virtualMs, processorMs: processorMs(), failure }
  }
}

function processorMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

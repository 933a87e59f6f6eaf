/**
 * Runs the simulated scenario with many seeds: `npm run simulate -- --seeds 1000 --jobs 2`, or with one
 * again and its trace: `npm run simulate -- --seed 17`. Prints what happened in all of them together, and
 * for every seed that fails what was violated, the end of its trace and the command that repeats it.
 */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { runScenario, type ScenarioResult } from '../test/simulator/broker-scenario.ts'

const usage = `Usage: npm run simulate -- [--seeds N] [--seed S] [--jobs N] [--keep-going]
       npm run simulate -- --seed S

  --seeds N      how many seeds to run, 100 unless given
  --jobs N       how many processes share the work, 1 unless given
  --keep-going   go on after a seed that failed
  --seed S       the first of them, 1 unless given; without --seeds this one alone: it is run
                 twice, its trace is printed, and the two runs are compared
`

/** A seed that takes longer, by the clock on the wall, goes round in circles. */
const seedMsMax = 300_000
/** Lines of its trace that are printed for a seed that failed. */
const traceLinesMax = 60

interface Outcome {
  readonly seed: number
  readonly result?: ScenarioResult
  readonly error?: string
  readonly trace?: readonly string[]
}

/** What a child process sends: maps do not travel. */
type Sent = Omit<Outcome, 'result'> & {
  result?: Omit<ScenarioResult, 'faults'>
  faults: [string, number][]
}

class Totals {
  seeds = 0
  failed: number[] = []
  events = 0
  virtualMs = 0
  sent = 0
  acknowledged = 0
  read = 0
  starts = 0
  readonly faults = new Map<string, number>()

  add({ seed, result }: Outcome): void {
    this.seeds++
    if (result === undefined) {
      this.failed.push(seed)
      return
    }
    this.events += result.events
    this.virtualMs += result.durationMs
    this.sent += result.sent
    this.acknowledged += result.acknowledged
    this.read += result.read
    this.starts += result.starts
    for (const [kind, count] of result.faults) {
      this.faults.set(kind, (this.faults.get(kind) ?? 0) + count)
    }
  }
}

if (process.send !== undefined && process.argv[2] === '--child') await work()
else await start()

async function start(): Promise<void> {
  try {
    process.exitCode = await main()
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${usage}`)
    process.exitCode = 2
  }
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string' },
      jobs: { type: 'string', default: '1' },
      'keep-going': { type: 'boolean', default: false },
      seed: { type: 'string' },
      help: { type: 'boolean' },
    },
  })
  if (values.help) {
    process.stdout.write(usage)
    return 0
  }
  const first = wholeNumber('seed', values.seed ?? '1')
  if (values.seed !== undefined && values.seeds === undefined) return repeat(first)
  const count = wholeNumber('seeds', values.seeds ?? '100')
  const jobs = Math.max(1, wholeNumber('jobs', values.jobs))
  return runSeeds({ first, count, jobs, keepsGoing: values['keep-going'] })
}

async function runSeeds(plan: {
  first: number
  count: number
  jobs: number
  keepsGoing: boolean
}): Promise<number> {
  const { first, count, jobs, keepsGoing } = plan
  const totals = new Totals()
  const startedMs = performance.now()
  let next = first
  let mustEnd = false
  const take = (): number | null => (mustEnd || next >= first + count ? null : next++)
  const done = (outcome: Outcome): void => {
    totals.add(outcome)
    if (outcome.error !== undefined) {
      fail(outcome)
      mustEnd ||= !keepsGoing
    }
    if (totals.seeds % 50 === 0) process.stdout.write(`${progress(totals, startedMs)}\n`)
  }
  const workers = Array.from({ length: jobs }, async () => {
    while (await runChild(take, done));
  })
  await Promise.all(workers)
  report(totals, startedMs)
  return totals.failed.length === 0 ? 0 : 1
}

/** Runs seeds in a process of its own. True: it has ended in the middle of one, and others are left. */
function runChild(take: () => number | null, done: (outcome: Outcome) => void): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(import.meta.url), ['--child'])
    let seed: number | null = null
    let isEndless = false
    const timer = setTimeout(() => {
      isEndless = true
      child.kill('SIGKILL')
    }, seedMsMax)
    const feed = (): void => {
      seed = take()
      timer.refresh()
      if (seed === null) child.disconnect()
      else child.send(seed)
    }
    child.on('message', (message) => {
      const { result, faults, ...rest } = message as Sent
      done(
        result === undefined ? rest : { ...rest, result: { ...result, faults: new Map(faults) } },
      )
      feed()
    })
    child.on('exit', (code, signal) => {
      clearTimeout(timer)
      if (seed !== null) {
        const how = isEndless
          ? `no end after ${seedMsMax / 1000} s`
          : `ended with ${code ?? signal}`
        done({ seed, error: `seed ${seed}: ${how}` })
        resolve(true)
      } else if (code === 0) resolve(false)
      else reject(new Error(`a child ended with ${code ?? signal}`))
    })
    feed()
  })
}

/** A child process: runs the seeds that it is sent. */
async function work(): Promise<void> {
  process.on('message', (seed) => {
    void runOne(seed as number).then(({ result, ...rest }) => {
      const sent: Sent = { ...rest, faults: [...(result?.faults ?? [])] }
      process.send?.(
        result === undefined ? sent : { ...sent, result: { ...result, faults: undefined } },
      )
    })
  })
}

/** Runs a seed; one that fails runs again, for its trace. */
async function runOne(seed: number): Promise<Outcome> {
  try {
    return { seed, result: await runScenario(seed) }
  } catch (error) {
    const trace: string[] = []
    const onLine = (line: string): void => {
      trace.push(line)
      if (trace.length > traceLinesMax) trace.shift()
    }
    await runScenario(seed, { onLine }).catch(() => undefined)
    return { seed, error: words(error), trace }
  }
}

async function repeat(seed: number): Promise<number> {
  try {
    const result = await runScenario(seed, {
      onLine: (line) => void process.stdout.write(`${line}\n`),
    })
    const again = await runScenario(seed)
    process.stdout.write(
      `\n${JSON.stringify({ ...result, faults: Object.fromEntries(result.faults) })}\n`,
    )
    if (again.hash === result.hash) return 0
    process.stderr.write('\nThe same seed gave two runs: something reaches around the world.\n')
  } catch (error) {
    process.stderr.write(`\nFailed: ${words(error)}\n`)
  }
  return 1
}

function words(error: unknown): string {
  const { message, cause } = error as Error
  return cause instanceof Error && cause.name !== 'Violation'
    ? `${message}\n${cause.stack}`
    : message
}

function progress(totals: Totals, startedMs: number): string {
  const seconds = (performance.now() - startedMs) / 1000
  const hours = (totals.virtualMs / 3_600_000).toFixed(1)
  return [
    `${String(totals.seeds).padStart(6)} seeds`,
    `${seconds.toFixed(0)} s`,
    `${hours} virtual hours`,
    `${totals.starts} starts`,
    `${totals.acknowledged} acknowledged`,
    `${totals.failed.length} failed`,
  ].join(', ')
}

function report(totals: Totals, startedMs: number): void {
  const seconds = (performance.now() - startedMs) / 1000
  process.stdout.write(`\n${progress(totals, startedMs)}\n`)
  process.stdout.write(
    `${totals.events} events, ${totals.sent} records sent, ${totals.read} read, ` +
      `${((1000 * seconds) / Math.max(1, totals.seeds)).toFixed(0)} ms per seed\n\nFaults:\n`,
  )
  for (const [kind, count] of [...totals.faults].sort(([a], [b]) => (a < b ? -1 : 1))) {
    process.stdout.write(`  ${kind.padEnd(36)} ${String(count).padStart(9)}\n`)
  }
  if (totals.failed.length > 0) process.stdout.write(`\nFailed seeds: ${totals.failed.join(' ')}\n`)
  else process.stdout.write('\nAll well.\n')
}

function fail({ seed, error, trace = [] }: Outcome): void {
  process.stdout.write(`\n${trace.join('\n')}\n\nFailed: ${error}\n`)
  process.stdout.write(`To repeat it: npm run simulate -- --seed ${seed}\n\n`)
}

function wholeNumber(name: string, text: string): number {
  if (!/^\d+$/.test(text)) throw new Error(`--${name} takes a whole number, not ${text}`)
  return Number(text)
}

/**
 * Runs the simulated scenario with many seeds: `npm run simulate -- --seeds 100`, or with one again and
 * its log: `npm run simulate -- --seed 17`. Ends with 1, the seed and the command that repeats it, at
 * the first seed that fails.
 */
import { parseArgs } from 'node:util'
import { runScenario, type ScenarioResult } from '../test/simulator/broker-scenario.ts'

const usage = `Usage: npm run simulate -- [--seeds N] [--first S] [--records N]
       npm run simulate -- --seed S [--records N]

  --seeds N     how many seeds to run, 20 unless given
  --first S     the first of them, 1 unless given
  --seed S      run this seed twice, print its log, compare the two runs
  --records N   records that the producer sends, 200 unless given
`

const heading = '  seed  fault       events   virtual s  acknowledged    read  hash'

try {
  process.exitCode = await main()
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n\n${usage}`)
  process.exitCode = 2
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '20' },
      first: { type: 'string', default: '1' },
      seed: { type: 'string' },
      records: { type: 'string', default: '200' },
      help: { type: 'boolean' },
    },
  })
  if (values.help) {
    process.stdout.write(usage)
    return 0
  }
  const records = wholeNumber('records', values.records)
  if (values.seed !== undefined) return repeat(wholeNumber('seed', values.seed), records)
  return runSeeds(wholeNumber('first', values.first), wholeNumber('seeds', values.seeds), records)
}

async function runSeeds(first: number, count: number, records: number): Promise<number> {
  process.stdout.write(`${heading}\n`)
  const startedMs = performance.now()
  for (let seed = first; seed < first + count; seed++) {
    try {
      process.stdout.write(`${row(seed, await runScenario(seed, { records }))}\n`)
    } catch (error) {
      fail(seed, records, error)
      return 1
    }
  }
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
  process.stdout.write(`\n${count} seeds in ${seconds} s, all well.\n`)
  return 0
}

async function repeat(seed: number, records: number): Promise<number> {
  try {
    const onLog = (line: string) => void process.stdout.write(`${line}\n`)
    const result = await runScenario(seed, { records, onLog })
    const again = await runScenario(seed, { records })
    process.stdout.write(`\n${heading}\n${row(seed, result)}\n${row(seed, again)}\n`)
    if (again.hash === result.hash) return 0
    process.stderr.write(
      '\nThe same seed gave two runs: something reaches around the environment.\n',
    )
  } catch (error) {
    fail(seed, records, error)
  }
  return 1
}

function row(seed: number, result: ScenarioResult): string {
  const { fault, events, durationMs, acknowledged, read, hash } = result
  return [
    String(seed).padStart(6),
    fault.padEnd(10),
    String(events).padStart(7),
    (durationMs / 1000).toFixed(1).padStart(10),
    String(acknowledged).padStart(12),
    String(read).padStart(6),
    hash,
  ].join('  ')
}

function fail(seed: number, records: number, error: unknown): void {
  const { message, cause } = error as Error
  const stack = cause instanceof Error ? `\n${cause.stack}` : ''
  const command = `npm run simulate -- --seed ${seed} --records ${records}`
  process.stderr.write(`\nFailed: ${message}${stack}\n\nTo repeat it: ${command}\n`)
}

function wholeNumber(name: string, text: string): number {
  if (!/^\d+$/.test(text)) throw new Error(`--${name} takes a whole number, not ${text}`)
  return Number(text)
}

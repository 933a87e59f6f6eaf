/**
 * Does the simulator see what it is there to see? `npm run mutate` breaks the product on purpose, in each
 * way that `mutations.ts` lists, and runs the simulated scenario with seed after seed until one tells that
 * a promise was violated. The seed that is kept for a mutation goes first (`kept-seeds.ts`), then all from
 * the first on. A mutation that no seed finds within a minute shows where the simulator is weak;
 * the minute is one of processor time, so that the result does not depend on what else the machine does.
 *
 * Each mutation is compiled in a copy of the sources in a temporary directory and run in a process of its
 * own (`mutant.ts`), whose processor time is what counts. The product as it is goes first, and has to pass
 * every seed that finds a mutation. A mutated product that does not compile, or breaks down without
 * violating a promise, is not found.
 */
import { type ChildProcess, fork, spawn } from 'node:child_process'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { SeedReport } from './mutant.ts'
import { keptSeeds } from './mutations/kept-seeds.ts'
import { type Mutation, mutated } from './mutations/mutation.ts'
import { mutations } from './mutations.ts'

const usage = `Usage: npm run mutate -- [--only NAME[,NAME...]] [--seconds N] [--jobs N] [--list]
                             [--search] [--first S] [--baseline N]

  --only NAME   these mutations only; a beginning of the name will do
  --seconds N   how long to look for each, 60 unless given: seconds of processor time of the process that
                simulates, so that a busy machine finds what an idle one finds
  --search      go by no kept seeds: what the simulator finds by itself
  --first S     the first seed of a search, 1 unless given
  --baseline N  how long the product as it is runs at first, in seconds, 20 unless given; later it runs
                with each seed that has found something
  --jobs N      how many mutations to run at once, 1 unless given
  --list        print the mutations and what they break
`

/** More seeds than a minute has room for. */
const seedsMax = 1_000_000
/** A seed that takes longer goes round in circles. */
const seedMsMax = 300_000

// The compiled script lies in <build>/scripts.
const root = fileURLToPath(new URL('../..', import.meta.url))

interface Run {
  /** The seed that saw a promise violated. */
  readonly found: SeedReport | null
  readonly seconds: number
  readonly seeds: number
  /** What else went wrong, if anything did. */
  readonly trouble: string | null
}

interface LookOptions {
  readonly seconds: number
  readonly first: number
  /** Kept seeds are not tried. */
  readonly isSearch: boolean
}

interface Row {
  readonly mutation: Mutation
  readonly run: Run
}

let children: ChildProcess[] = []
const stage = mkdtempSync(join(tmpdir(), 'millrace-mutate-'))
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
  rmSync(stage, { recursive: true, force: true })
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      seconds: { type: 'string', default: '60' },
      search: { type: 'boolean', default: false },
      first: { type: 'string', default: '1' },
      baseline: { type: 'string', default: '20' },
      jobs: { type: 'string', default: '1' },
      list: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  })
  if (values.help) return print(usage)
  const chosen = choose(values.only)
  if (values.list)
    return print(chosen.map((one) => `${one.name.padEnd(34)}${one.breaks}\n`).join(''))
  return lookFor(chosen, {
    seconds: wholeNumber('seconds', values.seconds),
    baselineSeconds: wholeNumber('baseline', values.baseline),
    first: wholeNumber('first', values.first),
    isSearch: values.search,
    jobs: wholeNumber('jobs', values.jobs),
  })
}

async function lookFor(
  chosen: readonly Mutation[],
  options: LookOptions & { readonly baselineSeconds: number; readonly jobs: number },
): Promise<number> {
  const startedMs = performance.now()
  const original = join(stage, 'original')
  copySources(root, original)
  checkAll(chosen, original)
  const known = await compile(original)
  const baseline = new Baseline(original)
  await baseline.run(options.first, options.baselineSeconds)
  print(`${heading}\n`)
  const rows: Row[] = []
  const waiting = [...chosen]
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const run = await runMutation(next, original, { ...options, known, baseline })
      rows.push({ mutation: next, run })
      print(line({ mutation: next, run }))
    }
  }
  await Promise.all(Array.from({ length: Math.max(1, options.jobs) }, work))
  return conclude(rows, baseline, (performance.now() - startedMs) / 1000)
}

/** Before the first minute is spent. Throws Error that names all that no longer apply. */
function checkAll(chosen: readonly Mutation[], directory: string): void {
  const failures = chosen.flatMap((mutation) => {
    try {
      mutated(readFileSync(join(directory, mutation.file), 'utf8'), mutation)
      return []
    } catch (error) {
      return [(error as Error).message]
    }
  })
  if (failures.length > 0) throw new Error(failures.join('\n'))
}

async function runMutation(
  mutation: Mutation,
  original: string,
  options: LookOptions & { readonly known: ReadonlySet<string>; readonly baseline: Baseline },
): Promise<Run> {
  const { known } = options
  const copy = join(stage, mutation.name)
  copySources(original, copy)
  // What has not changed need not be compiled again.
  cpSync(join(original, 'build'), join(copy, 'build'), { recursive: true })
  const path = join(copy, mutation.file)
  writeFileSync(path, mutated(readFileSync(path, 'utf8'), mutation))
  try {
    progress(`${mutation.name}: compiling`)
    for (const error of await compile(copy)) {
      if (known.has(error)) continue
      return { found: null, seconds: 0, seeds: 0, trouble: `does not compile: ${error}` }
    }
    return await findSeed(copy, mutation.name, options)
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
}

/** First by the seed that is kept for it. */
async function findSeed(
  directory: string,
  name: string,
  options: LookOptions & { readonly baseline: Baseline },
): Promise<Run> {
  const kept = options.isSearch ? undefined : keptSeeds.get(name)
  if (kept === undefined) return search(directory, name, options)
  const tried = await search(directory, name, { ...options, first: kept, last: kept })
  if (tried.found !== null) return tried
  const run = await search(directory, name, options)
  return { ...run, seconds: tried.seconds + run.seconds, seeds: tried.seeds + run.seeds }
}

/** Runs seed after seed; those that fail without the mutation say nothing about it. */
async function search(
  directory: string,
  name: string,
  options: { seconds: number; first: number; last?: number; baseline: Baseline },
): Promise<Run> {
  const { baseline, last: end = seedsMax } = options
  let { first, seconds } = options
  let before = { seconds: 0, seeds: 0 }
  for (;;) {
    const run = await runSeeds(directory, {
      first,
      last: end,
      seconds,
      name,
      skip: baseline.failed,
    })
    const sum = { seconds: before.seconds + run.seconds, seeds: before.seeds + run.seeds }
    const last = run.found?.seed ?? run.stuckSeed
    if (last === null) return { ...run, ...sum }
    if (run.found !== null && (await baseline.passes(last))) return { ...run, ...sum }
    before = sum
    first = last + 1
    seconds -= run.seconds
    if (seconds <= 0 || first > end) return { ...run, ...sum, found: null }
  }
}

/** The product as it is, seed by seed. */
class Baseline {
  /** Seeds that fail without a mutation, with what they say. */
  readonly failures = new Map<number, string>()
  readonly #directory: string
  #passed: ReadonlySet<number> = new Set()

  constructor(directory: string) {
    this.#directory = directory
  }

  get failed(): number[] {
    return [...this.failures.keys()]
  }

  async run(first: number, seconds: number): Promise<void> {
    const options = { first, seconds, name: 'no mutation', skip: [], isThorough: true }
    const run = await runSeeds(this.#directory, options)
    this.#passed = run.passed
    for (const report of run.violations) {
      this.failures.set(report.seed, report.failure?.message ?? '')
    }
    const count = this.failures.size
    const said = run.trouble ?? (count === 0 ? 'all promises kept' : `${count} of them fail`)
    print(`No mutation: ${run.seeds} seeds in ${run.seconds.toFixed(1)} s, ${shortened(said)}\n\n`)
  }

  async passes(seed: number): Promise<boolean> {
    if (this.#passed.has(seed)) return true
    if (this.failures.has(seed)) return false
    const options = { first: seed, last: seed, seconds: 120, name: 'no mutation', skip: [] }
    const { found, trouble } = await runSeeds(this.#directory, options)
    if (found === null && trouble === null) return true
    this.failures.set(seed, found?.failure?.message ?? trouble ?? '')
    return false
  }
}

interface SeedsRun extends Run {
  readonly passed: ReadonlySet<number>
  readonly violations: readonly SeedReport[]
  readonly stuckSeed: number | null
}

interface SeedsOptions {
  readonly first: number
  readonly last?: number
  readonly seconds: number
  /** For the progress. */
  readonly name: string
  readonly skip: readonly number[]
  /** Goes on after a violation. */
  readonly isThorough?: boolean
}

/** Runs seeds in a process of its own until one fails or the time is over. */
function runSeeds(directory: string, options: SeedsOptions): Promise<SeedsRun> {
  const { first, last = seedsMax, seconds, name, skip, isThorough = false } = options
  const script = join(directory, 'build/scripts/mutant.js')
  const violations: SeedReport[] = []
  const passed = new Set<number>()
  let trouble: string | null = null
  let seeds = 0
  let processorMs = 0
  let lastSeed = first - 1
  let stuckSeed: number | null = null
  let errors = ''
  let isOver = false
  return new Promise((resolve) => {
    const child = fork(script, [`${first}`, `${last}`, `${isThorough}`, skip.join(',')], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    children.push(child)
    const end = (): void => {
      isOver = true
      child.kill('SIGKILL')
    }
    const timer = setTimeout(() => {
      stuckSeed = lastSeed + 1
      processorMs += seedMsMax / 2
      trouble ??= `seed ${stuckSeed} does not end`
      end()
    }, seedMsMax)
    child.stderr?.on('data', (chunk: Buffer) => {
      errors = (errors + chunk.toString('utf8')).slice(-4000)
    })
    child.on('message', (message) => {
      const report = message as SeedReport
      seeds++
      timer.refresh()
      lastSeed = report.seed
      processorMs = report.processorMs
      progress(`${name}: seed ${report.seed}`)
      if (processorMs >= seconds * 1000) end()
      if (report.failure === null) passed.add(report.seed)
      else if (report.failure.isViolation) violations.push(report)
      else trouble ??= `seed ${report.seed} broke down: ${report.failure.message}`
    })
    child.on('close', (code) => {
      clearTimeout(timer)
      children = children.filter((one) => one !== child)
      if (!isOver && code !== 0) trouble ??= `ended with ${code}: ${lastError(errors)}`
      const found = violations[0] ?? null
      resolve({ found, seconds: processorMs / 1000, seeds, trouble, passed, violations, stuckSeed })
    })
  })
}

function copySources(from: string, to: string): void {
  mkdirSync(to)
  const filter = (path: string) => !/\.test\.ts$|[/\\]test[/\\](golden|interop)$/.test(path)
  for (const part of ['protocol', 'src', 'test', 'scripts', 'package.json', 'tsconfig.json']) {
    cpSync(join(from, part), join(to, part), { recursive: true, filter })
  }
  symlinkSync(join(root, 'node_modules'), join(to, 'node_modules'), 'junction')
}

/** Compiles what has changed into `build`; the errors, which do not keep it from running. */
function compile(directory: string): Promise<Set<string>> {
  const compiler = join(root, 'node_modules/typescript/bin/tsc')
  // What a mutation leaves out may leave an import unused.
  const options = ['--noUnusedLocals', 'false', '--noUnusedParameters', 'false']
  const args = [
    compiler,
    '-p',
    directory,
    '--outDir',
    join(directory, 'build'),
    '--incremental',
    '--tsBuildInfoFile',
    join(directory, 'build/tsconfig.tsbuildinfo'),
    '--pretty',
    'false',
  ]
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...args, ...options], { cwd: directory })
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString('utf8')
    })
    child.on('error', reject)
    child.on('close', () => {
      resolve(new Set(output.split('\n').filter((text) => text.includes(': error TS'))))
    })
  })
}

function choose(only: string | undefined): readonly Mutation[] {
  if (only === undefined) return mutations
  return only.split(',').flatMap((name) => {
    const exact = mutations.filter((one) => one.name === name)
    const found = exact.length > 0 ? exact : mutations.filter((one) => one.name.startsWith(name))
    if (found.length === 0) throw new Error(`there is no mutation ${name}; --list has them all`)
    return found
  })
}

const heading = `${'mutation'.padEnd(34)}  seed  virtual s       s  what was seen`

function line({ mutation, run }: Row): string {
  const { found, seconds, seeds, trouble } = run
  const name = mutation.name.padEnd(34)
  if (found === null) {
    const why = trouble === null ? '' : `; ${shortened(trouble)}`
    return `${name}${'-'.padStart(6)}${''.padStart(11)}${seconds.toFixed(1).padStart(8)}  NOT FOUND by ${seeds} seeds${why}\n`
  }
  const virtual = found.virtualMs === null ? '?' : (found.virtualMs / 1000).toFixed(1)
  const message = shortened(found.failure?.message ?? '')
  return `${name}${String(found.seed).padStart(6)}${virtual.padStart(11)}${seconds.toFixed(1).padStart(8)}  ${message}\n`
}

function conclude(rows: readonly Row[], baseline: Baseline, seconds: number): number {
  const missed = rows.filter(({ run }) => run.found === null).map(({ mutation }) => mutation)
  const minutes = (seconds / 60).toFixed(1)
  print(`\n${rows.length - missed.length} of ${rows.length} found, in ${minutes} minutes.\n`)
  for (const { name, breaks } of missed) print(`Not found: ${name} (${breaks})\n`)
  for (const { mutation, run } of rows) {
    const { name } = mutation
    if (run.found === null || keptSeeds.get(name) === run.found.seed) continue
    print(`To be kept: ['${name}', ${run.found.seed}],\n`)
  }
  for (const [seed, message] of baseline.failures) {
    print(`Without a mutation seed ${seed} fails: ${shortened(message)}\n`)
  }
  return missed.length === 0 && baseline.failures.size === 0 ? 0 : 1
}

/** One line, without the padding of long values. */
function shortened(message: string): string {
  const text = message
    .replaceAll(/\s+/g, ' ')
    .replaceAll(/(.)\1{9,}/g, '$1…')
    .replaceAll(stage, '')
  return text.length > 110 ? `${text.slice(0, 109)}…` : text
}

function lastError(text: string): string {
  const lines = text.split('\n').filter((each) => each.trim() !== '')
  return lines.find((each) => /^\w*Error/.test(each)) ?? lines.at(-1) ?? 'without a word'
}

/** What is going on, where somebody is looking. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`)
}

function print(text: string): 0 {
  progress('')
  process.stdout.write(text)
  return 0
}

function wholeNumber(name: string, text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new Error(`--${name} takes a number, not ${text}\n\n${usage}`)
  return Number(text)
}

try {
  process.exitCode = await main()
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`)
  process.exitCode = 2
}

#!/usr/bin/env node
/**
 * The command line's front door: finds the command, loads its file and nothing else, runs it, and ends
 * with an exit code: 0 it was done, 1 it failed, 2 the command line was wrong, 130 it was interrupted
 * before it was done.
 */
import { meantName, parseArguments } from './arguments.ts'
import type { Command, Verb } from './command.ts'
import { commands } from './commands.ts'
import { exitCodes, report, UsageError } from './failure.ts'
import { commandHelp, verbHelp } from './help.ts'

function overview(): string {
  const width = Math.max(...Object.keys(commands).map((name) => name.length))
  const lines = Object.entries(commands).map(
    ([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`,
  )
  return [
    'Millrace: a Kafka-compatible event streaming platform, and a command line for any Kafka.',
    '',
    'Usage:',
    '  millrace COMMAND [VERB] [ARGUMENTS] [OPTIONS]',
    '',
    'Commands:',
    ...lines,
    '',
    'Examples:',
    '  millrace start',
    '  millrace topics create orders --partitions 3',
    '  millrace produce orders < orders.txt',
    '  millrace consume orders --from-beginning --until-end',
    '',
    'Commands find the cluster by --bootstrap-server, else $MILLRACE_BOOTSTRAP, else localhost:9092.',
    'Exit codes: 0 done, 1 failed, 2 wrong command line, 130 interrupted.',
    '`millrace COMMAND --help` says more.',
    '',
  ].join('\n')
}

async function run(words: readonly string[]): Promise<number> {
  const [name, ...rest] = words
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    process.stdout.write(overview())
    return exitCodes.ok
  }
  if (name === '--version' || name === '-V') {
    process.stdout.write(`millrace ${await version()}\n`)
    return exitCodes.ok
  }
  const found = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (found === undefined) throw unknown('command', name, Object.keys(commands), 'millrace --help')
  const { command } = await found.load()
  return 'verbs' in command ? runOneOf(name, command, rest) : runVerb(name, command, rest)
}

async function runOneOf(
  name: string,
  command: Exclude<Command, Verb>,
  words: readonly string[],
): Promise<number> {
  const [verbName, ...rest] = words
  if (verbName === undefined || verbName === '--help' || verbName === '-h' || verbName === 'help') {
    process.stdout.write(commandHelp(name, command))
    return verbName === undefined ? exitCodes.usage : exitCodes.ok
  }
  const verb = Object.hasOwn(command.verbs, verbName) ? command.verbs[verbName] : undefined
  if (verb === undefined)
    throw unknown('verb', verbName, Object.keys(command.verbs), `millrace ${name} --help`)
  return runVerb(`${name} ${verbName}`, verb, rest)
}

async function runVerb(name: string, verb: Verb, words: readonly string[]): Promise<number> {
  const isHelp = words.includes('--help') && verb.helpsItself !== true
  const { values, positionals } = verb.takesAll
    ? { values: { help: isHelp }, positionals: words }
    : parseArguments(words, verb, name)
  if (values['help'] === true) {
    process.stdout.write(verbHelp(name, verb))
    return exitCodes.ok
  }
  const invocation = { values, positionals, json: values['json'] === true }
  if (verb.isLocal) return verb.run(invocation)
  const { Session } = await import('./session.ts')
  const session = new Session({
    bootstrap: values['bootstrap-server'] as string | undefined,
    commandConfig: values['command-config'] as string | undefined,
    verbose: process.env['MILLRACE_DEBUG'] !== undefined,
  })
  try {
    return await verb.run({ ...invocation, session })
  } finally {
    session.close()
  }
}

function unknown(what: string, word: string, known: readonly string[], help: string): UsageError {
  const meant = meantName(word, known)
  const advice = meant === undefined ? `There are ${known.join(', ')}.` : `Did you mean "${meant}"?`
  return new UsageError(`unknown ${what} "${word}"`, `${advice} \`${help}\` says more.`)
}

async function version(): Promise<string> {
  const { readFileSync } = await import('node:fs')
  // Compiled files lie one folder deeper than their sources.
  for (const path of ['../../../package.json', '../../package.json']) {
    try {
      return JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')).version
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }
  return 'unknown'
}

/** A reader that has seen enough, as `head` has, is no failure. */
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  if (process.listenerCount('SIGINT') > 0) process.emit('SIGINT')
  else process.exit(exitCodes.ok)
})

run(process.argv.slice(2)).then(
  (code) => end(code),
  (error: unknown) => end(report(error, (line) => process.stderr.write(line))),
)

function end(code: number): void {
  process.exitCode = code
  // A peer that does not close its side must not keep the command from ending.
  setTimeout(() => process.exit(), 1000).unref()
}

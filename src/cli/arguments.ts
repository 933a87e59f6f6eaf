/**
 * From the words of a command line to checked values, by the table of a verb. `node:util` splits the
 * words; what is unknown, missing or of the wrong kind ends in a `UsageError` that names the nearest
 * known option.
 */
import { parseArgs } from 'node:util'
import { nearestName } from '../config/definition.ts'
import { allOptions, type Option, type Options, type Verb } from './command.ts'
import { UsageError } from './failure.ts'

export interface ParsedArguments {
  readonly values: Readonly<
    Record<string, boolean | string | number | readonly string[] | undefined>
  >
  readonly positionals: readonly string[]
}

export function parseArguments(words: readonly string[], of: Verb, name: string): ParsedArguments {
  const options = allOptions(of)
  const { tokens } = parseArgs({
    args: [...words],
    strict: false,
    tokens: true,
    allowPositionals: true,
    options: Object.fromEntries(
      Object.entries(options).map(([key, option]) => [
        key,
        {
          type: option.kind === 'flag' ? ('boolean' as const) : ('string' as const),
          ...(option.short === undefined ? {} : { short: option.short }),
        },
      ]),
    ),
  })
  const values: Record<string, boolean | string | number | string[] | undefined> = {}
  for (const [key, option] of Object.entries(options)) values[key] = absent(option)
  const positionals: string[] = []
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value)
    if (token.kind !== 'option') continue
    const option = Object.hasOwn(options, token.name) ? options[token.name]! : undefined
    if (option === undefined) throw unknownOption(token.rawName, options, name)
    const value = checkedValue(token.rawName, token.value, option)
    const before = values[token.name]
    if (option.kind === 'list') (before as string[]).push(value as string)
    else values[token.name] = value
  }
  if (values['help'] !== true) checkPositionals(positionals, of, name)
  return { values, positionals }
}

function absent(option: Option): boolean | string[] | undefined {
  if (option.kind === 'flag') return false
  return option.kind === 'list' ? [] : undefined
}

function checkedValue(
  name: string,
  text: string | undefined,
  option: Option,
): boolean | string | number {
  if (option.kind === 'flag') {
    if (text === undefined) return true
    throw new UsageError(`${name} takes no value, but was given "${text}"`)
  }
  if (text === undefined)
    throw new UsageError(`${name} needs a value`, `Write ${name} ${option.value ?? 'VALUE'}.`)
  if (option.choices !== undefined && !option.choices.includes(text)) {
    const meant = nearestName(text, option.choices)
    throw new UsageError(
      `${name} cannot be "${text}"`,
      `It is one of ${option.choices.join(', ')}.${meant === undefined ? '' : ` Did you mean ${meant}?`}`,
    )
  }
  if (option.kind !== 'number') return text
  const number = Number(text)
  if (text.trim() === '' || !Number.isSafeInteger(number))
    throw new UsageError(`${name} needs a whole number, but was given "${text}"`)
  return number
}

function unknownOption(rawName: string, options: Options, name: string): UsageError {
  const word = rawName.replace(/^-+/, '')
  const names = Object.keys(options)
  const meant = meantName(word, names)
  return new UsageError(
    `unknown option ${rawName}`,
    meant === undefined
      ? `\`millrace ${name} --help\` shows the options there are.`
      : `Did you mean --${meant}? \`millrace ${name} --help\` shows all options.`,
  )
}

/** The known name that was begun, or nearly written; undefined if none is near. */
export function meantName(word: string, known: readonly string[]): string | undefined {
  const begun = known.find((name) => word.length > 1 && name.startsWith(word))
  return begun ?? nearestName(word, known)
}

function checkPositionals(given: readonly string[], of: Verb, name: string): void {
  const required = of.positionals.filter((positional) => !positional.optional)
  const missing = required[given.length]
  if (missing !== undefined)
    throw new UsageError(
      `${missing.name} is missing: ${missing.summary}`,
      `\`millrace ${name} --help\` shows examples.`,
    )
  const takesMany = of.positionals.some((positional) => positional.many)
  const extra = given[of.positionals.length]
  if (extra !== undefined && !takesMany)
    throw new UsageError(
      `unexpected argument "${extra}"`,
      `\`millrace ${name} --help\` shows what it takes.`,
    )
}

/** `name=value`, as in --config; the value may contain `=`. */
export function splitPair(text: string, option: string): [name: string, value: string] {
  const at = text.indexOf('=')
  if (at <= 0) throw new UsageError(`${option} needs NAME=VALUE, but was given "${text}"`)
  return [text.slice(0, at), text.slice(at + 1)]
}

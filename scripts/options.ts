/**
 * What the scripts have in common at their command lines: `--help` prints how they are used, an option
 * that there is not is refused by name, and so is an `--only` that matches nothing.
 */
import { type ParseArgsConfig, parseArgs } from 'node:util'

type Options = NonNullable<ParseArgsConfig['options']>

/** The options as given; ends the process where help was asked for, or one is wrong. */
export function readOptions<const Given extends Options>(
  usage: string,
  options: Given,
  args: readonly string[] = process.argv.slice(2),
) {
  if (args.some((text) => text === '--help' || text === '-h')) {
    process.stdout.write(usage)
    process.exit(0)
  }
  try {
    return parseArgs({ options, args: [...args] }).values
  } catch (error) {
    return refuse(`${(error as Error).message}\n\n${usage}`)
  }
}

/** Those of `all` whose text holds one of the parts, which commas divide; all where none are asked for. */
export function choose<T>(
  all: readonly T[],
  only: string | undefined,
  textOf: (one: T) => string,
): readonly T[] {
  if (only === undefined) return all
  const parts = only.split(',').filter((part) => part !== '')
  const unused = parts.filter((part) => !all.some((one) => textOf(one).includes(part)))
  if (parts.length === 0 || unused.length > 0) {
    const texts = all.map((one) => `  ${textOf(one)}\n`).join('')
    refuse(`--only ${unused.join(',')} matches none of\n${texts}`)
  }
  return all.filter((one) => parts.some((part) => textOf(one).includes(part)))
}

/** Says what is wrong with the command line, and ends the process. */
export function refuse(message: string): never {
  process.stderr.write(message.endsWith('\n') ? message : `${message}\n`)
  process.exit(1)
}

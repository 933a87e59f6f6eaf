/**
 * What a command is: a table of options, positionals, examples, and a function. Parsing, checking,
 * `--help` and shell completion all come from the table, so they cannot disagree.
 *
 * What lives in this folder: one file per command, and one small file each for arguments
 * (`arguments.ts`), help (`help.ts`), tables (`table.ts`), JSON (`json.ts`), failures (`failure.ts`)
 * and the way to a cluster (`session.ts`). Every file of a command is loaded only when the command
 * runs. Commands know the client, the protocol and the environment, never the broker's insides: they
 * work against any Kafka. Only here are files, clocks and streams used directly: those of whoever types.
 */
import type { Session } from './session.ts'

export interface Option {
  /** A flag takes no value, a list may be given several times. */
  readonly kind: 'flag' | 'text' | 'number' | 'list'
  /** What stands for the value in the help, in capitals. */
  readonly value?: string
  readonly short?: string
  readonly summary: string
  readonly choices?: readonly string[]
}

export type Options = Readonly<Record<string, Option>>

type ValueOf<O extends Option> = O['kind'] extends 'flag'
  ? boolean
  : O['kind'] extends 'number'
    ? number | undefined
    : O['kind'] extends 'list'
      ? readonly string[]
      : string | undefined

export type Values<O extends Options> = { readonly [K in keyof O]: ValueOf<O[K]> }

/** `optional`: may be missing; `many`: takes all that follow. */
export interface Positional {
  readonly name: string
  readonly summary: string
  readonly optional?: boolean
  readonly many?: boolean
}

export interface Example {
  readonly says: string
  readonly line: string
}

export interface LocalInvocation<O extends Options> {
  readonly values: Values<O>
  readonly positionals: readonly string[]
  /** True where the output is for a program. */
  readonly json: boolean
}

export interface Invocation<O extends Options> extends LocalInvocation<O> {
  /** The cluster of `--bootstrap-server`; nothing is connected before the first request. */
  readonly session: Session
}

/** One thing a command does, e.g. `topics create`. */
export interface Verb {
  readonly summary: string
  readonly positionals: readonly Positional[]
  readonly options: Options
  readonly examples: readonly Example[]
  /** More for `--help`, as whole paragraphs. */
  readonly notes?: readonly string[]
  /** True where the verb talks to no cluster: it takes no `--bootstrap-server`. */
  readonly isLocal?: boolean
  /** True where all words are the verb's own to understand; --help too where it helps itself. */
  readonly takesAll?: boolean
  readonly helpsItself?: boolean
  /** Returns the exit code: 0 or, where the operation failed and said why, 1. */
  // Values are checked against the table before; a verb made with `verb()` sees their types.
  // biome-ignore lint/suspicious/noExplicitAny: a table of verbs cannot name each one's options.
  readonly run: (invocation: any) => Promise<number>
}

/** A command is one verb, or several by name. */
export type Command =
  | Verb
  | { readonly summary: string; readonly verbs: Readonly<Record<string, Verb>> }

type Description<O extends Options, I> = Omit<Verb, 'options' | 'run' | 'isLocal'> & {
  readonly options: O
  readonly run: (invocation: I) => Promise<number>
}

/** A verb that talks to a cluster; ties its options to what its `run` sees. */
export function verb<const O extends Options>(description: Description<O, Invocation<O>>): Verb {
  return description
}

/** A verb that talks to no cluster. */
export function localVerb<const O extends Options>(
  description: Description<O, LocalInvocation<O>>,
): Verb {
  return { ...description, isLocal: true }
}

/** The options that every verb takes. */
const helpOptions: Options = {
  json: { kind: 'flag', summary: 'Print JSON for programs instead of tables' },
  help: { kind: 'flag', short: 'h', summary: 'Print this' },
}

/** The options of every verb that talks to a cluster. */
const connectOptions: Options = {
  'bootstrap-server': {
    kind: 'text',
    short: 'b',
    value: 'HOST:PORT,…',
    summary: 'Where the cluster is (else $MILLRACE_BOOTSTRAP, else localhost:9092)',
  },
  'command-config': {
    kind: 'text',
    value: 'FILE',
    summary:
      'Properties file with client settings, as bootstrap.servers, security.protocol, sasl.jaas.config',
  },
}

export function allOptions(of: Verb): Options {
  return { ...of.options, ...(of.isLocal ? {} : connectOptions), ...helpOptions }
}

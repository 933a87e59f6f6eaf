/** What `--help` prints, from the tables of the commands. */
import { allOptions, type Command, type Option, type Options, type Verb } from './command.ts'

/** The help of a command that has several verbs. */
export function commandHelp(name: string, command: Exclude<Command, Verb>): string {
  const verbs = Object.entries(command.verbs)
  const width = Math.max(...verbs.map(([verb]) => verb.length))
  return [
    command.summary,
    '',
    'Usage:',
    `  millrace ${name} VERB [OPTIONS]`,
    '',
    'Verbs:',
    ...verbs.map(([verb, { summary }]) => `  ${verb.padEnd(width)}  ${summary}`),
    '',
    'Examples:',
    ...verbs.flatMap(([, { examples }]) => examples.slice(0, 1)).map(({ line }) => `  ${line}`),
    '',
    `\`millrace ${name} VERB --help\` says more about a verb.`,
    '',
  ].join('\n')
}

/** The help of one verb; `name` as it is typed, e.g. `topics create`. */
export function verbHelp(name: string, verb: Verb): string {
  const positionals = verb.positionals.map(({ name: word, optional, many }) => {
    const shown = many ? `${word}…` : word
    return optional ? ` [${shown}]` : ` ${shown}`
  })
  const own = optionLines(verb.options)
  const shared = optionLines(allOptions(verb)).slice(own.length)
  return [
    verb.summary,
    '',
    'Usage:',
    `  millrace ${name}${positionals.join('')} [OPTIONS]`,
    '',
    ...section(
      'Arguments:',
      verb.positionals.map((row): Row => [row.name, row.summary]),
    ),
    ...section('Options:', own),
    ...section('Options of every command:', shared),
    ...(verb.notes ?? []).flatMap((note) => [note, '']),
    'Examples:',
    ...verb.examples.flatMap(({ says, line }) => [`  # ${says}`, `  ${line}`]),
    '',
  ].join('\n')
}

type Row = [left: string, right: string]

function section(title: string, rows: readonly Row[]): string[] {
  if (rows.length === 0) return []
  const width = Math.min(30, Math.max(...rows.map(([left]) => left.length)))
  return [title, ...rows.flatMap(([left, right]) => wrapped(left, right, width)), '']
}

/** The right column folded at 100 columns. */
function wrapped(left: string, right: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of right.split(' ')) {
    if (line !== '' && line.length + word.length + 1 > 96 - width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  lines.push(line)
  const first = left.length > width ? [`  ${left}`] : []
  const label = left.length > width ? '' : left
  return [
    ...first,
    ...lines.map((text, index) => `  ${(index === 0 ? label : '').padEnd(width)}  ${text}`),
  ]
}

function optionLines(options: Options): Row[] {
  return Object.entries(options).map(
    ([name, option]): Row => [
      `${option.short === undefined ? '    ' : `-${option.short}, `}--${name}${placeholder(option)}`,
      option.summary +
        (option.choices === undefined ? '' : ` (${option.choices.join(', ')})`) +
        (option.kind === 'list' ? '; may be repeated' : ''),
    ],
  )
}

function placeholder(option: Option): string {
  if (option.kind === 'flag') return ''
  return ` ${option.value ?? (option.kind === 'number' ? 'N' : 'VALUE')}`
}

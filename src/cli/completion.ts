/** `millrace completion`: what a shell needs to complete commands, verbs and options, from their tables. */
import { allOptions, type Command, localVerb, type Option, type Verb } from './command.ts'
import { loadCommands } from './commands.ts'

interface Word {
  readonly path: string
  readonly verb: Verb
}

export const command: Command = localVerb({
  summary: 'Print completions for a shell',
  positionals: [{ name: 'SHELL', summary: 'bash, zsh or fish' }],
  options: {},
  examples: [
    { says: 'Bash, now', line: 'source <(millrace completion bash)' },
    { says: 'Zsh, now', line: 'source <(millrace completion zsh)' },
    {
      says: 'Fish, for good',
      line: 'millrace completion fish > ~/.config/fish/completions/millrace.fish',
    },
  ],
  async run({ positionals }) {
    const shell = positionals[0]!
    const write = shells[shell]
    if (write === undefined) {
      const { UsageError } = await import('./failure.ts')
      throw new UsageError(`no completions for "${shell}"`, 'There are bash, zsh and fish.')
    }
    process.stdout.write(write(await loadCommands()))
    return 0
  },
})

const shells: Readonly<Record<string, (all: ReadonlyMap<string, Command>) => string>> = {
  bash,
  zsh: (all) => `autoload -U +X bashcompinit && bashcompinit\n${bash(all)}`,
  fish,
}

/** Every verb with the words that lead to it. */
function verbsOf(all: ReadonlyMap<string, Command>): Word[] {
  return [...all].flatMap(([name, found]) =>
    'verbs' in found
      ? Object.entries(found.verbs).map(([word, each]) => ({ path: `${name} ${word}`, verb: each }))
      : [{ path: name, verb: found }],
  )
}

const flags = (of: Verb) =>
  Object.keys(allOptions(of))
    .map((name) => `--${name}`)
    .join(' ')

function bash(all: ReadonlyMap<string, Command>): string {
  const cases = [...all].flatMap(([name, found]) =>
    'verbs' in found ? [`    '${name}') words='${Object.keys(found.verbs).join(' ')}' ;;`] : [],
  )
  const options = verbsOf(all).map(({ path, verb: of }) => `    '${path}') words='${flags(of)}' ;;`)
  const choices = choicesOf(all).map(
    ([name, { choices = [] }]) => `    '--${name}') words='${choices.join(' ')}' ;;`,
  )
  return `_millrace() {
  local current=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} words=''
  local command=\${COMP_WORDS[1]} path="\${COMP_WORDS[1]} \${COMP_WORDS[2]}"
  if [ "$COMP_CWORD" -eq 1 ]; then words='${[...all.keys()].join(' ')} --help --version'
  elif [ "$COMP_CWORD" -eq 2 ] && [ "\${current:0:1}" != - ]; then case "$command" in
${cases.join('\n')}
  esac
  elif [ "\${current:0:1}" = - ]; then case "$command" in
${options.filter((line) => !line.includes(' ', 4) || /^ {4}'\S+'\)/.test(line)).join('\n')}
    *) case "$path" in
${options.filter((line) => /^ {4}'\S+ \S+'\)/.test(line)).join('\n')}
    esac ;;
  esac
  else case "$before" in
${choices.join('\n')}
  esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [ \${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- "$current"))
}
complete -F _millrace millrace
`
}

/** Options whose values are a list of words, by name. */
function choicesOf(all: ReadonlyMap<string, Command>): [string, Option][] {
  const found = new Map<string, Option>()
  for (const { verb: of } of verbsOf(all))
    for (const [name, option] of Object.entries(allOptions(of)))
      if (option.choices !== undefined) found.set(name, option)
  return [...found]
}

const quoted = (text: string) => `'${text.replaceAll("'", '’')}'`

function fish(all: ReadonlyMap<string, Command>): string {
  const lines = ['complete -c millrace -f']
  for (const [name, found] of all) {
    lines.push(
      `complete -c millrace -n __fish_use_subcommand -a ${name} -d ${quoted(found.summary)}`,
    )
    if (!('verbs' in found)) continue
    const names = Object.keys(found.verbs).join(' ')
    for (const [word, { summary }] of Object.entries(found.verbs)) {
      const when = `__fish_seen_subcommand_from ${name}; and not __fish_seen_subcommand_from ${names}`
      lines.push(`complete -c millrace -n '${when}' -a ${word} -d ${quoted(summary)}`)
    }
  }
  for (const { path, verb: of } of verbsOf(all)) {
    const when = path
      .split(' ')
      .map((word) => `__fish_seen_subcommand_from ${word}`)
      .join('; and ')
    for (const [name, option] of Object.entries(allOptions(of))) {
      const short = option.short === undefined ? '' : ` -s ${option.short}`
      const value = option.kind === 'flag' ? '' : ' -r'
      const words = option.choices === undefined ? '' : ` -a '${option.choices.join(' ')}'`
      lines.push(
        `complete -c millrace -n '${when}' -l ${name}${short}${value}${words} -d ${quoted(option.summary)}`,
      )
    }
  }
  return `${lines.join('\n')}\n`
}

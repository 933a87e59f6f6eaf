/** `millrace users`: who has a password, and what it is from now on. */
import { type ScramMechanism, scramIterations, scramMechanisms } from '../../protocol/scram.ts'
import { deletePassword, describeUsers, setPassword } from '../client/admin/users.ts'
import { type Command, type Option, verb } from './command.ts'
import { answer, exitCodes, UsageError } from './failure.ts'
import { json } from './json.ts'
import { readLines } from './line-reader.ts'
import { reportOutcomes } from './outcomes.ts'
import { table } from './table.ts'

const user = { name: 'USER', summary: 'Name of the user, as alice of User:alice' } as const

const saltBytes = 24

const mechanism = {
  kind: 'text',
  short: 'm',
  value: 'NAME',
  choices: Object.keys(scramMechanisms),
  summary: 'How the broker checks the password; SCRAM-SHA-512 where nothing is said',
} as const satisfies Option

const mechanismOf = (text: string | undefined): ScramMechanism =>
  (text ?? 'SCRAM-SHA-512') as ScramMechanism

const list = verb({
  summary: 'List users that have a password',
  positionals: [{ ...user, optional: true, many: true }],
  options: {},
  examples: [
    { says: 'All of them', line: 'millrace users list' },
    { says: 'Whether alice has one', line: 'millrace users list alice' },
  ],
  async run({ positionals, json: asJson, session }) {
    const names = positionals.length === 0 ? null : positionals
    const users = await describeUsers(session.cluster, names)
    const known = users.filter(({ error }) => error === null)
    if (asJson) {
      process.stdout.write(
        json(users.map(({ error, ...rest }) => ({ ...rest, error: error?.error.name ?? null }))),
      )
    } else if (users.length === 0) process.stdout.write('No user has a password.\n')
    else {
      const rows = known
        .flatMap(({ name, credentials }) =>
          credentials.map((one) => [name, one.mechanism, one.iterations] as const),
        )
        .sort((left, right) => (left.join() < right.join() ? -1 : 1))
      process.stdout.write(table(['USER', 'MECHANISM', 'ITERATIONS'], rows))
    }
    for (const { name, error } of users) {
      if (error !== null) process.stderr.write(`millrace: ${name}: ${answer(error)}\n`)
    }
    return known.length === users.length ? exitCodes.ok : exitCodes.failed
  },
})

const set = verb({
  summary: 'Give a user a password, or another one',
  positionals: [user],
  options: {
    mechanism,
    password: {
      kind: 'text',
      value: 'TEXT',
      summary: 'The password; without it, one line is read from standard input',
    },
    iterations: {
      kind: 'number',
      value: 'N',
      summary: `Makes guessing so much harder (${scramIterations.min} to ${scramIterations.max})`,
    },
  },
  notes: [
    'A password on the command line can be seen by others on the same machine; one from standard\n' +
      'input cannot. The broker never sees it: only what proves that one knows it.',
  ],
  examples: [
    { says: 'From a file', line: 'millrace users set alice < password.txt' },
    { says: 'In a trial', line: 'millrace users set alice --password secret' },
  ],
  async run({ values, positionals, json: asJson, session }) {
    const password = values.password ?? (await readPassword())
    if (password === '') throw new UsageError('the password is empty')
    const outcomes = await setPassword(session.cluster, {
      user: positionals[0]!,
      password,
      mechanism: mechanismOf(values.mechanism),
      iterations: values.iterations ?? scramIterations.min,
      salt: session.environment.random.bytes(saltBytes),
    })
    return reportOutcomes(outcomes, { asJson, done: 'has a new password' })
  },
})

const remove = verb({
  summary: 'Take the password of a user away',
  positionals: [user],
  options: { mechanism },
  examples: [{ says: 'alice cannot log in any more', line: 'millrace users delete alice' }],
  async run({ values, positionals, json: asJson, session }) {
    const kind = mechanismOf(values.mechanism)
    const outcomes = await deletePassword(session.cluster, positionals[0]!, kind)
    return reportOutcomes(outcomes, { asJson, done: `has no password for ${kind} any more` })
  },
})

async function readPassword(): Promise<string> {
  for await (const lines of readLines(process.stdin)) return lines[0]?.toString('utf8') ?? ''
  return ''
}

export const command: Command = {
  summary: 'Show, set and delete passwords of users',
  verbs: { list, set, delete: remove },
}

/** `millrace schemas`: subjects and versions of a schema registry, ours or any that speaks the usual API. */
import { readFileSync } from 'node:fs'
import { type Command, localVerb } from './command.ts'
import { CommandError, exitCodes, UsageError } from './failure.ts'
import { json as jsonText } from './json.ts'
import { pairs, table } from './table.ts'

const answerMsMax = 30_000
const contentType = 'application/vnd.schemaregistry.v1+json'

const connect = {
  registry: {
    kind: 'text',
    short: 'r',
    value: 'URL',
    summary: 'Where the registry is (else $MILLRACE_REGISTRY, else http://localhost:8083)',
  },
} as const
const subject = { name: 'SUBJECT', summary: 'e.g. orders-value' } as const
const file = { name: 'FILE', summary: 'The schema; - reads it from a pipe' } as const
const schemaOptions = {
  ...connect,
  type: {
    kind: 'text',
    summary: 'Of the schema; AVRO unless given',
    choices: ['AVRO', 'JSON', 'PROTOBUF'],
  },
  reference: {
    kind: 'list',
    value: 'NAME=SUBJECT:VERSION',
    summary: 'A schema that this one uses under a name',
  },
} as const

interface Connection {
  readonly registry: string | undefined
}

type Fields = Readonly<Record<string, unknown>>

const list = localVerb({
  summary: 'List subjects',
  positionals: [{ name: 'PREFIX', summary: 'Only subjects that begin so', optional: true }],
  options: { ...connect, deleted: { kind: 'flag', summary: 'Also those that are deleted softly' } },
  examples: [{ says: 'All subjects', line: 'millrace schemas list' }],
  run: async ({ values, positionals, json }) => {
    const query = new URLSearchParams({ deleted: String(values.deleted) })
    if (positionals[0] !== undefined) query.set('subjectPrefix', positionals[0])
    const names = (await ask(values, 'GET', `/subjects?${query}`)) as string[]
    process.stdout.write(json ? jsonText(names) : names.map((name) => `${name}\n`).join(''))
    return exitCodes.ok
  },
})

const describe = localVerb({
  summary: 'Show a version of a subject, and its schema',
  positionals: [subject],
  options: {
    ...connect,
    version: { kind: 'number', summary: 'Which version; the last one unless given' },
  },
  examples: [
    { says: 'The last version', line: 'millrace schemas describe orders-value' },
    { says: 'The first', line: 'millrace schemas describe orders-value --version 1' },
  ],
  run: async ({ values, positionals, json }) => {
    const path = pathOf(positionals[0]!)
    const found = (await ask(
      values,
      'GET',
      `${path}/versions/${values.version ?? 'latest'}`,
    )) as Fields
    const versions = (await ask(values, 'GET', `${path}/versions`)) as number[]
    const config = (await ask(
      values,
      'GET',
      `/config/${encodeURIComponent(positionals[0]!)}?defaultToGlobal=true`,
    )) as Fields
    const { compatibilityLevel } = config
    if (json) process.stdout.write(jsonText({ ...found, versions, compatibilityLevel }))
    else {
      process.stdout.write(
        pairs([
          ['Subject', positionals[0]!],
          ['Version', `${found['version']} of ${versions.join(', ')}`],
          ['Id', Number(found['id'])],
          ['Type', String(found['schemaType'] ?? 'AVRO')],
          ['Compatibility', String(compatibilityLevel)],
        ]),
      )
      const references = (found['references'] ?? []) as Fields[]
      const rows = references.map((each) => [each['name'], each['subject'], each['version']])
      process.stdout.write(table(['REFERENCE', 'SUBJECT', 'VERSION'], rows as string[][]))
      process.stdout.write(`\n${readable(String(found['schema']))}\n`)
    }
    return exitCodes.ok
  },
})

const register = localVerb({
  summary: 'Register a schema as the next version of a subject',
  positionals: [subject, file],
  options: {
    ...schemaOptions,
    normalize: { kind: 'flag', summary: 'What means the same is the same' },
  },
  examples: [
    { says: 'An Avro schema', line: 'millrace schemas register orders-value order.avsc' },
    {
      says: 'A JSON schema',
      line: 'millrace schemas register users-value user.json --type JSON',
    },
  ],
  run: async ({ values, positionals, json }) => {
    const path = `${pathOf(positionals[0]!)}/versions?normalize=${values.normalize}`
    const body = submitted(positionals[1]!, values)
    const answer = (await ask(values, 'POST', path, body)) as Fields
    const version = answer['version'] === undefined ? '' : `, version ${answer['version']}`
    process.stdout.write(
      json ? jsonText(answer) : `${positionals[0]} has it under id ${answer['id']}${version}\n`,
    )
    return exitCodes.ok
  },
})

const check = localVerb({
  summary: 'Say whether a schema may follow, and register nothing',
  positionals: [subject, file],
  options: {
    ...schemaOptions,
    version: {
      kind: 'number',
      summary:
        'The version to compare with; what the subject’s compatibility asks for unless given',
    },
  },
  notes: ['Ends with 1 where the schema may not follow.'],
  examples: [{ says: 'Before a release', line: 'millrace schemas check orders-value order.avsc' }],
  run: async ({ values, positionals, json }) => {
    const version = values.version === undefined ? '' : `/${values.version}`
    const path = `/compatibility${pathOf(positionals[0]!)}/versions${version}?verbose=true`
    const answer = (await ask(values, 'POST', path, submitted(positionals[1]!, values))) as Fields
    const isCompatible = answer['is_compatible'] === true
    const messages = (answer['messages'] ?? []) as string[]
    if (json) process.stdout.write(jsonText(answer))
    else if (isCompatible) process.stdout.write(`${positionals[0]} may have it\n`)
    else {
      process.stderr.write(`millrace: ${positionals[0]} may not have it:\n`)
      for (const message of messages) process.stderr.write(`  ${message}\n`)
    }
    return isCompatible ? exitCodes.ok : exitCodes.failed
  },
})

const remove = localVerb({
  summary: 'Delete a subject, or one of its versions',
  positionals: [subject],
  options: {
    ...connect,
    version: { kind: 'number', summary: 'Only this version' },
    permanent: { kind: 'flag', summary: 'For good; what is not yet deleted softly is refused' },
  },
  examples: [
    {
      says: 'Softly: what was written can still be read',
      line: 'millrace schemas delete old-value',
    },
    { says: 'For good', line: 'millrace schemas delete old-value --permanent' },
  ],
  run: async ({ values, positionals, json }) => {
    const version = values.version === undefined ? '' : `/versions/${values.version}`
    const path = `${pathOf(positionals[0]!)}${version}?permanent=${values.permanent}`
    const answer = await ask(values, 'DELETE', path)
    const versions = (Array.isArray(answer) ? answer : [answer]) as number[]
    process.stdout.write(
      json ? jsonText(versions) : `${positionals[0]}: deleted ${versions.join(', ')}\n`,
    )
    return exitCodes.ok
  },
})

const compatibility = localVerb({
  summary: 'Show or set what versions of a subject, or of all, have to have in common',
  positionals: [
    { ...subject, optional: true },
    {
      name: 'LEVEL',
      summary: 'BACKWARD, FORWARD, FULL, each also _TRANSITIVE, or NONE',
      optional: true,
    },
  ],
  options: { ...connect, unset: { kind: 'flag', summary: 'As for all subjects again' } },
  notes: ['The subject `*` stands for all that have no level of their own.'],
  examples: [
    { says: 'Of a subject', line: 'millrace schemas compatibility orders-value' },
    { says: 'Set it', line: 'millrace schemas compatibility orders-value FULL' },
    { says: 'For all', line: 'millrace schemas compatibility "*" BACKWARD_TRANSITIVE' },
  ],
  run: async ({ values, positionals, json }) => {
    const [name = '*', level] = positionals
    const path = name === '*' ? '/config' : `/config/${encodeURIComponent(name)}`
    if (values.unset && level !== undefined)
      throw new UsageError('--unset and a level exclude each other')
    if (values.unset) await ask(values, 'DELETE', path)
    if (level !== undefined) await ask(values, 'PUT', path, { compatibility: level })
    const config = (await ask(values, 'GET', `${path}?defaultToGlobal=true`)) as Fields
    process.stdout.write(json ? jsonText(config) : `${config['compatibilityLevel']}\n`)
    return exitCodes.ok
  },
})

export const command: Command = {
  summary: 'Show, register, check and delete schemas',
  verbs: { list, describe, register, check, delete: remove, compatibility },
}

function pathOf(name: string): string {
  return `/subjects/${encodeURIComponent(name)}`
}

function submitted(
  path: string,
  values: { readonly type: string | undefined; readonly reference: readonly string[] },
): object {
  // 0 is standard input.
  const schema = readFileSync(path === '-' ? 0 : path, 'utf8')
  const references = values.reference.map((text) => {
    const match = /^(.+)=(.+):(\d+)$/.exec(text)
    if (match === null)
      throw new UsageError(`--reference ${text} is not of the form NAME=SUBJECT:VERSION`)
    return { name: match[1], subject: match[2], version: Number(match[3]) }
  })
  return { schema, schemaType: values.type ?? 'AVRO', references }
}

/** Indented where it is JSON. */
function readable(schema: string): string {
  return /^\s*[[{]/.test(schema) ? JSON.stringify(JSON.parse(schema), null, 2) : schema
}

/** The answer's JSON. Throws CommandError with what the registry says. */
async function ask(
  { registry }: Connection,
  method: string,
  path: string,
  body?: object,
): Promise<unknown> {
  const base = registry ?? process.env['MILLRACE_REGISTRY'] ?? 'http://localhost:8083'
  if (!URL.canParse(base)) throw new UsageError(`--registry ${base} is no URL`)
  const { origin, pathname, username, password } = new URL(base)
  const headers: Record<string, string> = { Accept: contentType, 'Content-Type': contentType }
  if (username !== '') {
    const user = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
    headers['Authorization'] = `Basic ${Buffer.from(user).toString('base64')}`
  }
  const answer = await fetch(origin + pathname.replace(/\/$/, '') + path, {
    method,
    headers,
    signal: AbortSignal.timeout(answerMsMax),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  }).catch((error: Error) => {
    const why = error.cause instanceof Error ? error.cause.message : error.message
    throw new CommandError(
      `no schema registry answers at ${origin}: ${why}`,
      'A broker has one at its http.listeners; --registry or MILLRACE_REGISTRY names another.',
    )
  })
  const text = await answer.text()
  const said = parsed(text)
  if (answer.ok && said !== undefined) return said
  const { message, error_code: code } = (said ?? {}) as Fields
  throw new CommandError(
    message === undefined
      ? `the registry at ${origin} answers ${answer.status}: ${text.slice(0, 300)}`
      : `${message} (${code})`,
  )
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

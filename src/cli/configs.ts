/** `millrace configs`: settings of topics, brokers, groups and client metrics. */
import {
  alterConfigs,
  type ConfigChange,
  describeConfigs,
  listConfigResources,
  type Resource,
  type ResourceType,
} from '../client/admin/configs.ts'
import type { Cluster } from '../client/cluster.ts'
import { splitPair } from './arguments.ts'
import { type Command, verb } from './command.ts'
import { answer, CommandError, exitCodes, UsageError } from './failure.ts'
import { json } from './json.ts'
import { reportOutcomes } from './outcomes.ts'
import { table } from './table.ts'

const types = ['topic', 'broker', 'broker-logger', 'group', 'client-metrics'] as const

const typeOf = { name: 'TYPE', summary: types.join(', ') } as const
const names = {
  name: 'NAME',
  summary: 'Names of topics, groups or metrics, or ids of brokers; "default" for all brokers',
  many: true,
} as const

const describe = verb({
  summary: 'Show settings',
  positionals: [typeOf, names],
  options: {
    all: { kind: 'flag', short: 'a', summary: 'Those that have their default, too' },
    docs: { kind: 'flag', summary: 'With what they mean, as the broker explains it' },
  },
  examples: [
    { says: 'What was set for a topic', line: 'millrace configs describe topic orders' },
    { says: 'All there is to set', line: 'millrace configs describe topic orders --all' },
    { says: 'A broker', line: 'millrace configs describe broker 1 --all' },
  ],
  async run({ values, positionals, json: asJson, session }) {
    const resources = resourcesOf(positionals)
    await requireBrokers(session.cluster, resources)
    const described = await describeConfigs(session.cluster, resources, {
      documentation: values.docs,
    })
    const shown = described.map((resource) => ({
      ...resource,
      entries: resource.entries
        .filter(({ source }) => values.all || (source !== 'default' && source !== 'unknown'))
        .sort((left, right) => (left.name < right.name ? -1 : 1)),
    }))
    if (asJson)
      process.stdout.write(
        json(shown.map(({ error, ...row }) => ({ ...row, error: error?.error.name ?? null }))),
      )
    else
      for (const { type, name, error, entries } of shown) {
        const title = `${type} ${name || 'default'}`
        if (error !== null) process.stderr.write(`millrace: ${title}: ${answer(error)}\n`)
        else if (entries.length === 0)
          process.stdout.write(`${title}: nothing is set; --all shows the defaults\n`)
        else {
          const rows = entries.map((entry) => [
            entry.name,
            entry.isSensitive ? '(secret)' : entry.value,
            entry.source,
            ...(values.docs ? [entry.documentation?.replace(/\s+/g, ' ').slice(0, 120)] : []),
          ])
          const header = ['NAME', 'VALUE', 'FROM', ...(values.docs ? ['MEANING'] : [])]
          process.stdout.write(`${title}\n${table(header, rows)}`)
        }
      }
    return shown.every(({ error }) => error === null) ? exitCodes.ok : exitCodes.failed
  },
})

const alter = verb({
  summary: 'Change settings; the others stay',
  positionals: [typeOf, names],
  options: {
    set: { kind: 'list', short: 's', value: 'NAME=VALUE', summary: 'Set this' },
    unset: { kind: 'list', short: 'u', value: 'NAME', summary: 'Back to the default' },
    append: { kind: 'list', value: 'NAME=VALUE', summary: 'Add to a list' },
    subtract: { kind: 'list', value: 'NAME=VALUE', summary: 'Take from a list' },
    'validate-only': { kind: 'flag', summary: 'Check, and change nothing' },
  },
  examples: [
    {
      says: 'Keep records for an hour',
      line: 'millrace configs alter topic orders --set retention.ms=3600000',
    },
    { says: 'The default again', line: 'millrace configs alter topic orders --unset retention.ms' },
    {
      says: 'A setting of all brokers',
      line: 'millrace configs alter broker default --set log.retention.ms=3600000',
    },
  ],
  async run({ values, positionals, json: asJson, session }) {
    const pairsOf = (operation: 'set' | 'append' | 'subtract'): ConfigChange[] =>
      values[operation].map((text) => {
        const [name, value] = splitPair(text, `--${operation}`)
        return { name, operation, value }
      })
    const changes: ConfigChange[] = [
      ...pairsOf('set'),
      ...pairsOf('append'),
      ...pairsOf('subtract'),
      ...values.unset.map((name) => ({ name, operation: 'delete' as const, value: null })),
    ]
    if (changes.length === 0)
      throw new UsageError('nothing to change: say --set, --unset, --append or --subtract')
    const resources = resourcesOf(positionals)
    await requireBrokers(session.cluster, resources)
    const outcomes = await alterConfigs(session.cluster, resources, changes, {
      validateOnly: values['validate-only'],
    })
    return reportOutcomes(
      outcomes.map((row) => ({ ...row, name: row.name || 'default' })),
      { asJson, done: values['validate-only'] ? 'could be changed' : 'changed' },
    )
  },
})

/** Otherwise that broker would be waited for, as for one that is starting. */
async function requireBrokers(cluster: Cluster, resources: readonly Resource[]): Promise<void> {
  const wanted = resources.filter(({ type, name }) => type.startsWith('broker') && name !== '')
  if (wanted.length === 0) return
  const ids = (await cluster.nodes()).map(({ id }) => String(id))
  const missing = wanted.find(({ name }) => !ids.includes(String(Number(name))))
  if (missing !== undefined)
    throw new CommandError(
      `broker ${missing.name} is not in the cluster now`,
      '`millrace cluster describe` shows those that are.',
    )
}

const list = verb({
  summary: 'List what settings can be shown of: all topics and brokers, groups that have some',
  positionals: [typeOf],
  options: {},
  examples: [{ says: 'Groups with settings', line: 'millrace configs list group' }],
  async run({ positionals, json: asJson, session }) {
    const found = await listConfigResources(session.cluster, resourceType(positionals[0]!))
    if (asJson) process.stdout.write(json(found))
    else process.stdout.write(found.length === 0 ? 'None.\n' : `${found.join('\n')}\n`)
    return 0
  },
})

function resourceType(text: string): ResourceType {
  const singular = text === 'client-metrics' ? text : text.replace(/s$/, '')
  const type = types.find((known) => known === singular)
  if (type === undefined)
    throw new UsageError(`"${text}" has no settings`, `TYPE is one of ${types.join(', ')}.`)
  return type
}

function resourcesOf([typeText = '', ...texts]: readonly string[]): Resource[] {
  const type = resourceType(typeText)
  return texts.map((text) => {
    const name = type === 'broker' && text === 'default' ? '' : text
    if (type.startsWith('broker') && name !== '' && !/^\d+$/.test(name))
      throw new UsageError(
        `"${text}" is no id of a broker`,
        '`millrace cluster describe` shows them.',
      )
    return { type, name }
  })
}

export const command: Command = {
  summary: 'Show and change settings',
  verbs: { describe, alter, list },
}

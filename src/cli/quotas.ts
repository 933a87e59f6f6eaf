/** `millrace quotas`: how much users, clients and addresses may take. */
import {
  alterQuotas,
  describeEntity,
  describeQuotas,
  type QuotaEntity,
} from '../client/admin/quotas.ts'
import { splitPair } from './arguments.ts'
import { type Command, type Options, type Values, verb } from './command.ts'
import { UsageError } from './failure.ts'
import { json } from './json.ts'
import { reportOutcomes } from './outcomes.ts'
import { table } from './table.ts'

const entityOptions = {
  user: { kind: 'text', value: 'NAME', summary: 'Of this user' },
  'user-default': { kind: 'flag', summary: 'Of users that have none of their own' },
  client: { kind: 'text', value: 'ID', summary: 'Of this client id' },
  'client-default': { kind: 'flag', summary: 'Of client ids that have none of their own' },
  ip: { kind: 'text', value: 'ADDRESS', summary: 'Of connections from this address' },
  'ip-default': { kind: 'flag', summary: 'Of addresses that have none of their own' },
} as const satisfies Options

const notes = [
  'Quotas of users and clients: producer_byte_rate and consumer_byte_rate in bytes a second, ' +
    'request_percentage of a thread, controller_mutation_rate in partitions a second. Of ' +
    'addresses: connection_creation_rate in connections a second.',
]

const list = verb({
  summary: 'List quotas',
  positionals: [],
  options: entityOptions,
  examples: [
    { says: 'All there are', line: 'millrace quotas list' },
    { says: 'Of one user', line: 'millrace quotas list --user alice' },
  ],
  async run({ values, json: asJson, session }) {
    const described = await describeQuotas(session.cluster, entityOf(values))
    if (asJson) {
      const rows = described.map(({ entity, quotas }) => ({
        entity: Object.fromEntries(entity),
        quotas: Object.fromEntries(quotas),
      }))
      process.stdout.write(json(rows))
      return 0
    }
    const rows = described
      .flatMap(({ entity, quotas }) =>
        [...quotas].map(([key, value]) => [describeEntity(entity), key, value] as const),
      )
      .sort((left, right) => (left.join() < right.join() ? -1 : 1))
    const text = table(['ENTITY', 'QUOTA', 'LIMIT'], rows)
    process.stdout.write(rows.length === 0 ? 'No quotas.\n' : text)
    return 0
  },
})

const set = verb({
  summary: 'Set quotas; the others stay',
  positionals: [{ name: 'QUOTA=LIMIT', summary: 'As producer_byte_rate=1048576', many: true }],
  options: entityOptions,
  notes,
  examples: [
    {
      says: 'A user writes a megabyte a second',
      line: 'millrace quotas set --user alice producer_byte_rate=1048576',
    },
    {
      says: 'Each client of every user',
      line: 'millrace quotas set --user-default --client-default consumer_byte_rate=1048576',
    },
    {
      says: 'Ten connections a second from one address',
      line: 'millrace quotas set --ip 10.0.0.7 connection_creation_rate=10',
    },
  ],
  async run({ values, positionals, json: asJson, session }) {
    const quotas = new Map(
      positionals.map((text) => {
        const [key, limit] = splitPair(text, 'a quota')
        const number = Number(limit)
        if (limit.trim() === '' || !Number.isFinite(number)) {
          throw new UsageError(`the limit of ${key} is no number: "${limit}"`)
        }
        return [key, number] as const
      }),
    )
    const outcomes = await alterQuotas(session.cluster, namedEntity(values), quotas)
    return reportOutcomes(outcomes, { asJson, done: 'changed' })
  },
})

const remove = verb({
  summary: 'Delete quotas',
  positionals: [{ name: 'QUOTA', summary: 'Only these (else all)', optional: true, many: true }],
  options: entityOptions,
  notes,
  examples: [
    { says: 'All of a user', line: 'millrace quotas delete --user alice' },
    { says: 'Only one', line: 'millrace quotas delete --user alice producer_byte_rate' },
  ],
  async run({ values, positionals, json: asJson, session }) {
    const entity = namedEntity(values)
    const names = positionals.length > 0 ? positionals : await quotasOf(session.cluster, entity)
    if (names.length === 0) {
      process.stdout.write(asJson ? json([]) : `${describeEntity(entity)} has no quotas.\n`)
      return 0
    }
    const gone = new Map(names.map((name) => [name, null]))
    const outcomes = await alterQuotas(session.cluster, entity, gone)
    return reportOutcomes(outcomes, { asJson, done: 'changed' })
  },
})

async function quotasOf(
  cluster: Parameters<typeof describeQuotas>[0],
  entity: QuotaEntity,
): Promise<string[]> {
  const described = await describeQuotas(cluster, entity)
  const exactly = described.find((one) => one.entity.size === entity.size)
  return [...(exactly?.quotas.keys() ?? [])]
}

function entityOf(values: Values<typeof entityOptions>): QuotaEntity {
  const entity = new Map<string, string | null>()
  const add = (type: string, name: string | undefined, isDefault: boolean): void => {
    if (name !== undefined && isDefault) {
      throw new UsageError(`one ${type} is named, and the default as well`, 'Name one of them.')
    }
    if (name !== undefined || isDefault) entity.set(type, name ?? null)
  }
  add('user', values.user, values['user-default'])
  add('client-id', values.client, values['client-default'])
  add('ip', values.ip, values['ip-default'])
  return entity
}

function namedEntity(values: Values<typeof entityOptions>): QuotaEntity {
  const entity = entityOf(values)
  if (entity.size > 0) return entity
  throw new UsageError('whose quotas is not said', 'Say --user, --client or --ip, or a default.')
}

export const command: Command = {
  summary: 'Show and change how much users, clients and addresses may take',
  verbs: { list, set, delete: remove },
}

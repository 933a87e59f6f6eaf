/** `millrace acls`: who may do what. */
import {
  aclOperations,
  clusterName,
  permissionTypes,
  type ResourceType,
} from '../../protocol/acls.ts'
import {
  type Acl,
  type AclFilter,
  createAcls,
  deleteAcls,
  describeAcls,
} from '../client/admin/acls.ts'
import { type Command, type Options, type Values, verb } from './command.ts'
import { UsageError } from './failure.ts'
import { json } from './json.ts'
import { reportOutcomes } from './outcomes.ts'
import { plural, table } from './table.ts'

const types = ['topic', 'group', 'cluster', 'transactional-id', 'delegation-token', 'user'] as const
const patterns = ['literal', 'prefixed', 'match', 'any'] as const

/** As somebody types it, `describe-configs`, of a word as the protocol has it. */
const typed = (word: string): string => word.toLowerCase().replaceAll('_', '-')
const spoken = (text: string): string => text.toUpperCase().replaceAll('-', '_')

const operations = Object.keys(aclOperations)
  .filter((word) => word !== 'ANY')
  .map(typed)
const permissions = Object.keys(permissionTypes)
  .filter((word) => word !== 'ANY')
  .map(typed)

const type = { name: 'TYPE', summary: types.join(', ') } as const
const name = {
  name: 'NAME',
  summary: 'Name of the resource, "*" for all of them; none for the cluster',
  optional: true,
} as const

const filterOptions = {
  principal: { kind: 'text', value: 'USER', summary: 'Only those of this principal, User:alice' },
  host: { kind: 'text', value: 'HOST', summary: 'Only those for this host' },
  operation: {
    kind: 'text',
    value: 'NAME',
    choices: operations,
    summary: 'Only those for this operation',
  },
  permission: {
    kind: 'text',
    value: 'NAME',
    choices: permissions,
    summary: 'Only what is allowed, or denied',
  },
} as const satisfies Options

const list = verb({
  summary: 'List access control entries',
  positionals: [{ ...type, optional: true }, name],
  options: {
    ...filterOptions,
    pattern: {
      kind: 'text',
      value: 'KIND',
      choices: patterns,
      summary: 'How entries name NAME; "match": all that are about it (the default)',
    },
  },
  examples: [
    { says: 'All there are', line: 'millrace acls list' },
    { says: 'What decides about a topic', line: 'millrace acls list topic orders' },
    { says: 'What somebody may do', line: 'millrace acls list --principal User:alice' },
  ],
  async run({ values, positionals, json: asJson, session }) {
    const pattern = values.pattern ?? (positionals.length > 1 ? 'match' : 'any')
    const acls = await describeAcls(session.cluster, filterOf(positionals, values, pattern))
    print(acls, asJson, 'No access control entries.\n')
    return 0
  },
})

const add = verb({
  summary: 'Allow or deny operations',
  positionals: [type, name],
  options: {
    allow: {
      kind: 'list',
      value: 'USER',
      summary: 'Allow them to, User:alice; User:* is everybody',
    },
    deny: { kind: 'list', value: 'USER', summary: 'Deny it to them; outweighs what is allowed' },
    operation: {
      kind: 'list',
      short: 'o',
      value: 'NAME',
      choices: operations,
      summary: 'What to do with the resource (else all)',
    },
    host: { kind: 'list', value: 'HOST', summary: 'Only from this address (else from anywhere)' },
    prefixed: { kind: 'flag', summary: 'For all resources whose names begin with NAME' },
  },
  examples: [
    {
      says: 'Let alice read a topic with a group',
      line: 'millrace acls add topic orders --allow User:alice --operation read',
    },
    {
      says: 'Every topic of a team',
      line: 'millrace acls add topic team- --prefixed --allow User:team --operation all',
    },
    {
      says: 'Who may administer',
      line: 'millrace acls add cluster --allow User:admin',
    },
  ],
  async run({ values, positionals, json: asJson, session }) {
    if (values.allow.length + values.deny.length === 0) {
      throw new UsageError('nobody is named', 'Say whom with --allow or --deny USER.')
    }
    const { resourceType, resourceName } = resourceOf(positionals)
    if (resourceName === undefined) {
      throw new UsageError('NAME is missing: the resource, or "*" for all of the type')
    }
    const granted = (permission: string) => (principal: string) => ({ permission, principal })
    const whom = [...values.allow.map(granted('ALLOW')), ...values.deny.map(granted('DENY'))]
    for (const { principal } of whom) checkPrincipal(principal)
    const patternType = values.prefixed ? 'PREFIXED' : 'LITERAL'
    const acls = whom.flatMap((one) =>
      orElse(values.host, '*').flatMap((host) =>
        orElse(values.operation, 'all').map(
          (operation): Acl => ({
            ...one,
            resourceType,
            resourceName,
            patternType,
            host,
            operation: spoken(operation),
          }),
        ),
      ),
    )
    const outcomes = await createAcls(session.cluster, acls)
    return reportOutcomes(outcomes, { asJson, done: 'added' })
  },
})

const remove = verb({
  summary: 'Remove access control entries',
  positionals: [type, name],
  options: {
    ...filterOptions,
    pattern: {
      kind: 'text',
      value: 'KIND',
      choices: patterns,
      summary: 'How entries name NAME; "literal" (the default): exactly so',
    },
  },
  examples: [
    { says: 'All of a topic', line: 'millrace acls remove topic orders' },
    {
      says: 'Only what alice may do',
      line: 'millrace acls remove topic orders --principal User:alice',
    },
    { says: 'Those of a prefix', line: 'millrace acls remove topic team- --pattern prefixed' },
  ],
  async run({ values, positionals, json: asJson, session }) {
    const filter = filterOf(positionals, values, values.pattern ?? 'literal')
    if (filter.resourceName === undefined) {
      throw new UsageError('NAME is missing: the resource, as `millrace acls list` shows it')
    }
    const removed = await deleteAcls(session.cluster, filter)
    print(removed, asJson, 'No entry was like that; nothing was removed.\n')
    if (!asJson && removed.length > 0) {
      process.stdout.write(`Removed: ${plural(removed.length, 'rule')}\n`)
    }
    return 0
  },
})

function filterOf(
  positionals: readonly string[],
  values: Values<typeof filterOptions>,
  pattern: string,
): AclFilter {
  const { principal, host, operation, permission } = values
  if (principal !== undefined) checkPrincipal(principal)
  const { resourceType, resourceName } =
    positionals.length === 0
      ? { resourceType: undefined, resourceName: undefined }
      : resourceOf(positionals)
  return {
    patternType: spoken(pattern),
    ...(resourceType !== undefined && { resourceType }),
    ...(resourceName !== undefined && { resourceName }),
    ...(principal !== undefined && { principal }),
    ...(host !== undefined && { host }),
    ...(operation !== undefined && { operation: spoken(operation) }),
    ...(permission !== undefined && { permission: spoken(permission) }),
  }
}

function resourceOf([text = '', resourceName]: readonly string[]) {
  const known = types.find((one) => one === text.replace(/s$/, ''))
  if (known === undefined) {
    const advice = `TYPE is one of ${types.join(', ')}.`
    throw new UsageError(`nobody is allowed or denied anything with "${text}"`, advice)
  }
  const resourceType = spoken(known) as ResourceType
  return { resourceType, resourceName: known === 'cluster' ? clusterName : resourceName }
}

function checkPrincipal(principal: string): void {
  if (/^[^:]+:./.test(principal)) return
  throw new UsageError(
    `"${principal}" is no principal`,
    'Write User:NAME, or User:* for everybody.',
  )
}

const orElse = (given: readonly string[], otherwise: string): readonly string[] =>
  given.length === 0 ? [otherwise] : given

function print(acls: readonly Acl[], asJson: boolean, none: string): void {
  if (asJson) {
    process.stdout.write(json(acls))
    return
  }
  const order = (acl: Acl): string => JSON.stringify(acl)
  const rows = [...acls]
    .sort((left, right) => (order(left) < order(right) ? -1 : 1))
    .map((acl) => [
      typed(acl.resourceType),
      acl.resourceName,
      typed(acl.patternType),
      acl.principal,
      typed(acl.permission),
      typed(acl.operation),
      acl.host,
    ])
  const header = ['TYPE', 'NAME', 'PATTERN', 'PRINCIPAL', 'PERMISSION', 'OPERATION', 'HOST']
  process.stdout.write(rows.length === 0 ? none : table(header, rows))
}

export const command: Command = {
  summary: 'Show and change who may do what',
  verbs: { list, add, remove },
}

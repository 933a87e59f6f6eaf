/** The authorizer: what the index finds against a dumb twin that reads every entry, and what decides. */
import t from 'tap'
import {
  type AclOperation,
  aclOperations,
  patternTypes,
  permissionTypes,
  resourceTypes,
} from '../../protocol/acls.ts'
import { hostAddress } from '../../src/environment/host-address.ts'
import { AclIndex, type Who } from '../../src/metadata/authorizer/acl-index.ts'
import {
  type Action,
  StandardAuthorizer,
  type Verdict,
} from '../../src/metadata/authorizer/standard-authorizer.ts'
import { matchingAcls } from '../../src/metadata/controller/acls.ts'
import { MetadataDelta } from '../../src/metadata/delta.ts'
import { type AclImage, emptyImage } from '../../src/metadata/image.ts'
import { MetadataCache } from '../../src/metadata/metadata-cache.ts'
import { record } from '../../src/metadata/record.ts'
import { SeededRandom } from '../simulator/random.ts'

let ids = 0

function acl(more: Partial<AclImage> = {}): AclImage {
  return {
    id: `acl-${++ids}`,
    resourceType: resourceTypes.TOPIC,
    resourceName: 'orders',
    patternType: patternTypes.LITERAL,
    principal: 'User:alice',
    host: '*',
    operation: aclOperations.READ,
    permissionType: permissionTypes.ALLOW,
    ...more,
  }
}

const names = ['*', 'a', 'aa', 'ab', 'aab', 'b', 'ba', 'abc', 'abcd']
const operations = Object.keys(aclOperations) as (keyof typeof aclOperations)[]
const asked = operations.filter((name): name is AclOperation => name !== 'ANY' && name !== 'ALL')
const principals = ['User:alice', 'User:bob', 'User:*', 'Group:alice']
const hosts = ['*', '10.0.0.1', '10.0.0.2']

function randomAcl(random: SeededRandom): AclImage {
  return acl({
    resourceType: random.pick([resourceTypes.TOPIC, resourceTypes.GROUP]),
    resourceName: random.pick(names),
    patternType: random.pick([patternTypes.LITERAL, patternTypes.PREFIXED]),
    principal: random.pick(principals),
    host: random.pick(hosts),
    operation: aclOperations[random.pick(operations.filter((name) => name !== 'ANY'))],
    permissionType: random.chance(0.3) ? permissionTypes.DENY : permissionTypes.ALLOW,
  })
}

const implied: Readonly<Record<string, readonly string[]>> = {
  DESCRIBE: ['READ', 'WRITE', 'DELETE', 'ALTER'],
  DESCRIBE_CONFIGS: ['ALTER_CONFIGS'],
}

/** Reads all entries, one after the other. */
function twin(acls: readonly AclImage[], who: Who, operation: AclOperation, name: string) {
  const aboutIt = acls.filter(({ resourceType, resourceName, patternType }) => {
    if (resourceType !== resourceTypes.TOPIC) return false
    return patternType === patternTypes.PREFIXED
      ? name.startsWith(resourceName)
      : resourceName === name || resourceName === '*'
  })
  const matching = aboutIt.filter((one) => {
    const isHis = one.principal === who.principal || one.principal === 'User:*'
    const isHere = one.host === '*' || one.host === who.host
    const isAllowed = one.permissionType === permissionTypes.ALLOW
    const also = isAllowed ? (implied[operation] ?? []) : []
    const covers = ['ALL', operation, ...also].some(
      (word) => one.operation === aclOperations[word as AclOperation],
    )
    return isHis && isHere && covers
  })
  const has = (type: number) => matching.some(({ permissionType }) => permissionType === type)
  return {
    deny: has(permissionTypes.DENY),
    allow: has(permissionTypes.ALLOW),
    hasEntries: aboutIt.length > 0,
  }
}

/** Names that stand for all that there could be, with what is about none of the entries. */
const possible = [...names.filter((name) => name !== '*'), 'zzz', 'aaa', 'abcde', 'baa', 'ax']

t.test('the index finds what reading every entry finds', async (t) => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = new SeededRandom(seed)
    const index = new AclIndex()
    let acls: AclImage[] = []
    const wrong: string[] = []
    for (let step = 0; step < 30; step++) {
      if (acls.length > 0 && random.chance(0.35)) {
        const gone = random.pick(acls)
        index.remove(gone)
        acls = acls.filter((one) => one !== gone)
      } else {
        const one = randomAcl(random)
        index.add(one)
        acls.push(one)
      }
      const who = { principal: random.pick(principals), host: random.pick(hosts.slice(1)) }
      const operation = random.pick(asked)
      for (const name of possible) {
        const found = index.find(who, operation, resourceTypes.TOPIC, name)
        const expected = twin(acls, who, operation, name)
        const same =
          (found.deny !== undefined) === expected.deny &&
          // A denial ends the search: what else allows does not matter any more.
          (expected.deny || (found.allow !== undefined) === expected.allow) &&
          (expected.deny || found.hasEntries === expected.hasEntries)
        if (!same) wrong.push(`${step} ${who.principal} ${operation} ${name}`)
      }
      // Implications aside, which do not count here: a name that is allowed is a name.
      if (implied[operation] !== undefined) continue
      const somewhere = possible.some((name) => {
        const { deny, allow } = twin(acls, who, operation, name)
        return allow && !deny
      })
      const anywhere = index.allowsAny(who, operation, resourceTypes.TOPIC)
      if (somewhere && !anywhere) wrong.push(`${step} ${who.principal} ${operation} anywhere`)
    }
    t.same(wrong, [], `seed ${seed}`)
    t.equal(index.count, acls.length)
  }
})

t.test('any topic: an allowed pattern that no denied one covers whole', async (t) => {
  const who = { principal: 'User:alice', host: '10.0.0.1' }
  const allowed = (acls: Partial<AclImage>[]) => {
    const index = new AclIndex()
    for (const one of acls) index.add(acl({ operation: aclOperations.WRITE, ...one }))
    return index.allowsAny(who, 'WRITE', resourceTypes.TOPIC)
  }
  const deny = { permissionType: permissionTypes.DENY }
  const prefixed = { patternType: patternTypes.PREFIXED }
  t.equal(allowed([]), false)
  t.equal(allowed([{}]), true)
  t.equal(allowed([{ principal: 'User:bob' }]), false)
  t.equal(allowed([{}, deny]), false)
  t.equal(allowed([{}, { ...deny, resourceName: 'ord', ...prefixed }]), false)
  t.equal(allowed([{ ...prefixed }, deny]), true, 'others that begin so are left')
  t.equal(allowed([{ resourceName: '*' }, { ...deny, resourceName: '*' }]), false)
  t.equal(allowed([{ resourceName: '*' }, deny]), true)
})

t.test('super users, defaults, implications, and changes that are in force at once', async (t) => {
  const cache = new MetadataCache(emptyImage('cluster'))
  const verdicts: [Action, Verdict][] = []
  const build = (allowEveryoneIfNoAclFound: boolean) =>
    new StandardAuthorizer(cache, {
      superUsers: new Set(['User:admin']),
      allowEveryoneIfNoAclFound,
      onVerdict: (_asking, _who, action, verdict) => void verdicts.push([action, verdict]),
    })
  const strict = build(false)
  const lenient = build(true)
  const as = (principal: string, host = '10.0.0.1') => ({
    apiKey: 0,
    connection: { principal, remote: { host } },
  })
  const alice = as('User:alice')
  const change = (set: AclImage[], deleted: AclImage[] = []) => {
    const delta = new MetadataDelta(cache.image)
    for (const one of set) delta.replay(record('AccessControlEntryRecord', one))
    for (const { id } of deleted) delta.replay(record('RemoveAccessControlEntryRecord', { id }))
    cache.publish(delta.apply(cache.image.offset + 1, 1, 0), delta)
  }
  const may = (authorizer: StandardAuthorizer, who: typeof alice, operation: AclOperation) =>
    authorizer.allows(who, operation, 'TOPIC', 'orders', true)

  t.equal(may(strict, alice, 'READ'), false)
  t.same(verdicts.pop()?.[1], { isAllowed: false, because: 'DefaultDeny' })
  t.equal(may(lenient, alice, 'READ'), true)
  t.equal(may(strict, as('User:admin'), 'DELETE'), true)
  t.equal(strict.allowsAny(alice, 'WRITE', 'TOPIC'), false)
  t.equal(lenient.allowsAny(alice, 'WRITE', 'TOPIC'), true)

  const read = acl()
  change([read])
  t.equal(may(strict, alice, 'READ'), true, 'what the connection was told before is forgotten')
  t.same(verdicts.at(-1)?.[1].because, read)
  t.equal(may(strict, alice, 'DESCRIBE'), true, 'implied')
  t.equal(may(strict, alice, 'WRITE'), false)
  t.equal(may(lenient, as('User:bob'), 'READ'), false, 'with entries about it, nobody else may')

  const before = verdicts.length
  may(strict, alice, 'READ')
  t.equal(verdicts.length, before, 'what is allowed is told once')
  may(strict, alice, 'WRITE')
  t.equal(verdicts.length, before + 1, 'what is denied each time')
  strict.allows(alice, 'ALTER', 'TOPIC', 'orders', false)
  t.equal(verdicts.length, before + 1, 'unless nobody asked for it by name')

  const denyFromThere = acl({
    permissionType: permissionTypes.DENY,
    host: '10.0.0.2',
    principal: 'User:*',
  })
  change([denyFromThere])
  t.equal(may(strict, alice, 'READ'), true)
  t.equal(may(strict, as('User:alice', '::ffff:10.0.0.2'), 'READ'), false)
  t.equal(may(strict, as('User:alice', '10.0.0.2'), 'DESCRIBE'), true, 'denial implies nothing')
  t.equal(may(strict, as('User:admin', '10.0.0.2'), 'READ'), true)

  change([], [read, denyFromThere])
  t.equal(may(strict, alice, 'READ'), false)
  t.equal(may(lenient, alice, 'READ'), true)
})

t.test('addresses are written as Kafka writes them', async (t) => {
  t.equal(hostAddress('::ffff:10.1.2.3'), '10.1.2.3')
  t.equal(hostAddress('10.1.2.3'), '10.1.2.3')
  t.equal(hostAddress('::1'), '0:0:0:0:0:0:0:1')
  t.equal(hostAddress('2001:DB8::0042'), '2001:db8:0:0:0:0:0:42')
  t.equal(hostAddress('fe80::1%eth0'), 'fe80:0:0:0:0:0:0:1%eth0')
  t.equal(hostAddress('1:2:3:4:5:6:7:8'), '1:2:3:4:5:6:7:8')
})

t.test('filters', async (t) => {
  const literal = acl()
  const anyTopic = acl({ resourceName: '*', principal: 'User:bob' })
  const prefix = acl({ resourceName: 'ord', patternType: patternTypes.PREFIXED, host: 'here' })
  const ofGroup = acl({ resourceType: resourceTypes.GROUP })
  const all = [literal, anyTopic, prefix, ofGroup]
  const image = { ...emptyImage('c'), acls: new Map(all.map((one) => [one.id, one])) }
  const any = {
    resourceTypeFilter: resourceTypes.ANY,
    resourceNameFilter: null,
    patternTypeFilter: patternTypes.ANY,
    principalFilter: null,
    hostFilter: null,
    operation: aclOperations.ANY,
    permissionType: permissionTypes.ANY,
  }
  const found = (filter: Partial<typeof any> | { readonly [name: string]: unknown }) =>
    matchingAcls(image, { ...any, ...filter }).map(({ id }) => id)
  const idsOf = (...acls: AclImage[]) => acls.map(({ id }) => id)
  t.same(found({}), idsOf(...all))
  t.same(found({ resourceTypeFilter: resourceTypes.GROUP }), idsOf(ofGroup))
  t.same(found({ resourceNameFilter: 'orders' }), idsOf(literal, ofGroup))
  t.same(
    found({
      resourceTypeFilter: resourceTypes.TOPIC,
      resourceNameFilter: 'orders',
      patternTypeFilter: patternTypes.MATCH,
    }),
    idsOf(literal, anyTopic, prefix),
  )
  t.same(found({ patternTypeFilter: patternTypes.PREFIXED }), idsOf(prefix))
  t.same(
    found({ resourceNameFilter: 'orders', patternTypeFilter: patternTypes.PREFIXED }),
    [],
    'only a match asks for what begins so',
  )
  t.same(found({ principalFilter: 'User:bob' }), idsOf(anyTopic))
  t.same(found({ hostFilter: 'here' }), idsOf(prefix))
  t.same(found({ operation: aclOperations.WRITE }), [])
  t.same(found({ permissionType: permissionTypes.ALLOW }).length, 4)
})

t.test('a check costs next to nothing among many entries', async (t) => {
  const cache = new MetadataCache(emptyImage('cluster'))
  const delta = new MetadataDelta(cache.image)
  for (let index = 0; index < 10_000; index++) {
    const value = acl({
      resourceName: `topic-${index % 2500}`,
      patternType: index % 4 === 0 ? patternTypes.PREFIXED : patternTypes.LITERAL,
      principal: `User:${index % 40}`,
    })
    delta.replay(record('AccessControlEntryRecord', value))
  }
  cache.publish(delta.apply(1, 1, 0), delta)
  const authorizer = new StandardAuthorizer(cache, {
    superUsers: new Set(),
    allowEveryoneIfNoAclFound: false,
    onVerdict: () => {},
  })
  let allowed = 0
  const connection = { principal: 'User:1', remote: { host: '10.0.0.1' } }
  const started = process.cpuUsage().user
  for (let round = 0; round < 20; round++) {
    for (let index = 0; index < 2500; index++) {
      const asking = { apiKey: 0, connection }
      if (authorizer.allows(asking, 'READ', 'TOPIC', `topic-${index}`, false)) allowed++
    }
  }
  const nanoseconds = ((process.cpuUsage().user - started) * 1000) / 50_000
  t.ok(allowed > 0)
  t.ok(nanoseconds < 20_000, `${Math.round(nanoseconds)} ns for a check`)
})

/**
 * Quotas of users, client ids and addresses, as they are stored: who has which, by entity. AlterClientQuotas
 * changes them; DescribeClientQuotas finds those that a filter is about.
 */
import { errors, KafkaError } from '../../../protocol/errors.ts'
import type {
  AlterClientQuotasRequest,
  AlterClientQuotasResponse,
} from '../../../protocol/messages/alter-client-quotas.ts'
import type { DescribeClientQuotasRequest } from '../../../protocol/messages/describe-client-quotas.ts'
import type { Steps } from '../../environment/in-turns.ts'
import { type ClientQuotaImage, type MetadataImage, type QuotaEntity, quotaKey } from '../image.ts'
import { type MetadataRecord, record } from '../record.ts'
import {
  type Decision,
  failed,
  type Outcome,
  recordsPerRequestMax,
  succeeded,
  tooLarge,
} from './decision.ts'

type Alteration = AlterClientQuotasRequest['entries'][number]
type Result = AlterClientQuotasResponse['entries'][number]
type Component = DescribeClientQuotasRequest['components'][number]

/** Most that a quota may be, and whether it is a whole number. */
interface Quota {
  readonly max: number
  readonly type: 'DOUBLE' | 'INT' | 'LONG'
}

const double: Quota = { max: Number.POSITIVE_INFINITY, type: 'DOUBLE' }
const long: Quota = { max: 2 ** 63, type: 'LONG' }

const userAndClientQuotas: Readonly<Record<string, Quota>> = {
  producer_byte_rate: long,
  consumer_byte_rate: long,
  request_percentage: double,
  controller_mutation_rate: double,
}
const addressQuotas: Readonly<Record<string, Quota>> = {
  connection_creation_rate: { max: 2 ** 31 - 1, type: 'INT' },
}

const entityTypes = new Set(['user', 'client-id', 'ip'])
const matchType = { EXACT: 0, DEFAULT: 1, SPECIFIED: 2 } as const

/** One result for each entity. Throws KafkaError POLICY_VIOLATION for too large a request. */
export function* alterClientQuotas(
  image: MetadataImage,
  request: AlterClientQuotasRequest,
): Steps<Decision<Result[]>> {
  const records: MetadataRecord[] = []
  const results = new Map<string, { entity: readonly QuotaEntity[]; outcome: Outcome }>()
  for (const alteration of request.entries) {
    yield
    const entity = distinctTypes(alteration.entity)
    const key = quotaKey(entity)
    if (results.has(key)) {
      const message = `Ignoring duplicate entity ${describeEntity(entity)}`
      results.set(key, { entity, outcome: failed(errors.INVALID_REQUEST, message) })
      continue
    }
    const altered = alter(image, entity, alteration)
    results.set(key, { entity, outcome: 'error' in altered ? altered : succeeded })
    if ('error' in altered) continue
    for (const one of altered) records.push(one)
    if (records.length > recordsPerRequestMax) throw tooLarge()
  }
  const reply = [...results.values()].map(({ entity, outcome: { error, message } }) => ({
    errorCode: error.code,
    errorMessage: message,
    entity,
  }))
  return { records: request.validateOnly ? [] : records, reply }
}

/** Of a type that is named twice, the last name counts. */
function distinctTypes(entity: readonly QuotaEntity[]): QuotaEntity[] {
  return [...new Map(entity.map((one) => [one.entityType, one])).values()]
}

function alter(
  image: MetadataImage,
  entity: readonly QuotaEntity[],
  { ops }: Alteration,
): MetadataRecord[] | Outcome {
  const invalid = (message: string) => failed(errors.INVALID_REQUEST, message)
  const keys = new Set<string>()
  const twice = ops.find(({ key }) => keys.size === keys.add(key).size)?.key
  if (twice !== undefined) {
    const whose = describeEntity(entity)
    return invalid(`Duplicate quota key ${twice} not updating quota for this entity ${whose}`)
  }
  const quotas = quotasOf(entity)
  if (typeof quotas === 'string') return invalid(quotas)
  const current = image.clientQuotas.get(quotaKey(entity))?.quotas
  const records: MetadataRecord[] = []
  for (const { key, value, remove } of ops) {
    if (remove) {
      if (!current?.has(key)) continue
      records.push(record('ClientQuotaRecord', { entity, key, value: 0, remove }))
      continue
    }
    const reason = refuseValue(quotas[key], key, value)
    if (reason !== undefined) return invalid(reason)
    if (current?.get(key) === value) continue
    records.push(record('ClientQuotaRecord', { entity, key, value, remove }))
  }
  return records
}

/** The quotas that such an entity can have, or why there is no such entity, as Kafka words it. */
function quotasOf(entity: readonly QuotaEntity[]): Readonly<Record<string, Quota>> | string {
  if (entity.length === 0) return 'Invalid empty client quota entity'
  for (const { entityType, entityName } of entity) {
    if (!entityTypes.has(entityType)) return `Unhandled client quota entity type: ${entityType}`
    if (entityName === '') return `Empty ${entityType} not supported`
  }
  const address = entity.find(({ entityType }) => entityType === 'ip')
  if (address === undefined) return userAndClientQuotas
  if (entity.length > 1) {
    return 'Invalid quota entity combination, IP entity shouldnot be combined with User or ClientId'
  }
  const { entityName: host } = address
  if (host === null || isHost(host)) return addressQuotas
  return `${host} is not a valid IP or resolvable host.`
}

/** An address, or what could be the name of a host. */
function isHost(text: string): boolean {
  if (/^[\d.]+$/.test(text)) {
    const parts = text.split('.')
    return parts.length === 4 && parts.every((part) => part !== '' && Number(part) <= 255)
  }
  return text.includes(':')
    ? /^[\da-f:.]+(%\w+)?$/i.test(text)
    : /^[a-z\d]([a-z\d-]*[a-z\d])?(\.[a-z\d]([a-z\d-]*[a-z\d])?)*$/i.test(text)
}

function refuseValue(quota: Quota | undefined, key: string, value: number): string | undefined {
  if (quota === undefined) return `Invalid configuration key ${key}`
  if (!(value > 0)) return `Quota ${key} must be greater than 0`
  if (value > quota.max) return `Proposed value for ${key} is too large for a ${quota.type}.`
  const isWhole = Math.abs(value % 1) <= 1e-6
  return quota.type === 'DOUBLE' || isWhole ? undefined : `${key} cannot be a fractional value.`
}

function describeEntity(entity: readonly QuotaEntity[]): string {
  const entries = entity.map(({ entityType, entityName }) => `${entityType}=${entityName}`)
  return `ClientQuotaEntity(entries={${entries.join(', ')}})`
}

/** The entities that a filter is about. Throws KafkaError INVALID_REQUEST and UNSUPPORTED_VERSION. */
export function matchingQuotas(
  image: MetadataImage,
  { components, strict }: Pick<DescribeClientQuotasRequest, 'components' | 'strict'>,
): ClientQuotaImage[] {
  checkComponents(components)
  return [...image.clientQuotas.values()].filter(
    ({ entity }) =>
      (!strict || entity.length === components.length) &&
      components.every((component) => matches(entity, component)),
  )
}

function matches(entity: readonly QuotaEntity[], component: Component): boolean {
  const own = entity.find(({ entityType }) => entityType === component.entityType)
  if (own === undefined) return false
  return component.matchType === matchType.SPECIFIED || own.entityName === component.match
}

function checkComponents(components: readonly Component[]): void {
  const invalid = (message: string) => new KafkaError(errors.INVALID_REQUEST, message)
  const types = new Set<string>()
  for (const { entityType, matchType: how, match } of components) {
    if (entityType === '') throw invalid('Invalid empty entity type.')
    if (types.has(entityType)) {
      throw invalid(`Entity type ${entityType} cannot appear more than once in the filter.`)
    }
    types.add(entityType)
    if (!entityTypes.has(entityType)) {
      const message = `Unsupported entity type ${entityType}`
      throw new KafkaError(errors.UNSUPPORTED_VERSION, message)
    }
    const name = Object.entries(matchType).find(([, number]) => number === how)?.[0]
    if (name === undefined) throw invalid(`Unknown match type ${how}`)
    if (how === matchType.EXACT && match === null) {
      throw invalid('Request specified MATCH_TYPE_EXACT, but set match string to null.')
    }
    if (how !== matchType.EXACT && match !== null) {
      throw invalid(`Request specified MATCH_TYPE_${name}, but also specified a match string.`)
    }
  }
  if (types.has('ip') && types.size > 1) {
    throw invalid(
      'Invalid entity filter component combination. IP filter component should not be used with ' +
        'user or clientId filter component.',
    )
  }
}

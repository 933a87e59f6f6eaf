/** Quotas of users, client ids and addresses (KIP-546). */
import { apis } from '../../../protocol/apis.ts'
import type { Cluster } from '../cluster.ts'
import { check, type Outcome, outcome, throwMoved } from './outcome.ts'

/** By type of entity (user, client-id, ip) its name; null: whoever has no quota of their own. */
export type QuotaEntity = ReadonlyMap<string, string | null>

export interface DescribedQuota {
  readonly entity: QuotaEntity
  readonly quotas: ReadonlyMap<string, number>
}

const matchType = { exact: 0, default: 1 } as const

/** Of the entities that have all that is named, and maybe more; all where nothing is named. */
export function describeQuotas(cluster: Cluster, named: QuotaEntity): Promise<DescribedQuota[]> {
  const components = [...named].map(([entityType, match]) => ({
    entityType,
    matchType: match === null ? matchType.default : matchType.exact,
    match,
  }))
  return cluster.retrying('read quotas', async () => {
    const request = { components, strict: false }
    const answer = await cluster.callAny(apis.describeClientQuotas, request)
    check(answer.errorCode, answer.errorMessage)
    return (answer.entries ?? []).map(({ entity, values }) => ({
      entity: new Map(entity.map(({ entityType, entityName }) => [entityType, entityName])),
      quotas: new Map(values.map(({ key, value }) => [key, value])),
    }))
  })
}

/** null takes a quota away. */
export function alterQuotas(
  cluster: Cluster,
  entity: QuotaEntity,
  quotas: ReadonlyMap<string, number | null>,
): Promise<Outcome[]> {
  const entry = {
    entity: [...entity].map(([entityType, entityName]) => ({ entityType, entityName })),
    ops: [...quotas].map(([key, value]) => ({ key, value: value ?? 0, remove: value === null })),
  }
  return cluster.retrying('change quotas', async () => {
    const request = { entries: [entry], validateOnly: false }
    const { entries } = await cluster.callAny(apis.alterClientQuotas, request)
    const outcomes = entries.map(({ errorCode, errorMessage }) =>
      outcome(describeEntity(entity), errorCode, errorMessage),
    )
    throwMoved(outcomes)
    return outcomes
  })
}

export function describeEntity(entity: QuotaEntity): string {
  return [...entity].map(([type, name]) => `${type} ${name ?? '(default)'}`).join(', ')
}

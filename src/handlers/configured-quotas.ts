/** The quotas that are stored in the metadata, in force where requests and connections are taken. */
import type { ClientQuotaImage } from '../metadata/image.ts'
import type { MetadataCache } from '../metadata/metadata-cache.ts'
import type { Limits } from '../server/limits.ts'

/** What is set is in force when this returns, what is set later before it is answered. */
export function enforceQuotas(cache: MetadataCache, limits: Limits): void {
  for (const { entity, quotas } of cache.image.clientQuotas.values()) {
    enforce(limits, entity, quotas)
  }
  cache.subscribe((image, { base, clientQuotas }) => {
    for (const key of clientQuotas.changed) {
      const entity = (image.clientQuotas.get(key) ?? base.clientQuotas.get(key))?.entity
      if (entity === undefined) continue
      enforce(limits, entity, image.clientQuotas.get(key)?.quotas ?? new Map())
    }
  })
}

function enforce(
  { quotas, rates }: Limits,
  entity: ClientQuotaImage['entity'],
  values: ClientQuotaImage['quotas'],
): void {
  const address = entity.find(({ entityType }) => entityType === 'ip')
  if (address === undefined) quotas.set(entity, values)
  else rates.setAddressLimit(address.entityName, values.get('connection_creation_rate'))
}

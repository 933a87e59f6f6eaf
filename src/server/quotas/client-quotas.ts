/**
 * What clients may use of the broker: bytes produced and fetched, time of the event loop, changes of the
 * cluster (KIP-13, KIP-55, KIP-124, KIP-599). Where nothing is set, nobody is asked: `isActive` says so.
 *
 * What lives in this folder: rates and their limits, who has which, and what a request costs. What must not:
 * connections. Who sets quotas, and where they are stored, is not known here.
 */
import type { Clock } from '../../environment/environment.ts'
import { QuotaTable } from './quota-table.ts'
import { defaultWindows, LimitedRate, type Windows } from './rate.ts'
import { TokenBucket } from './token-bucket.ts'

/** As in the records and requests that set them. */
export interface QuotaEntity {
  /** `user`, `client-id`, `ip`. */
  readonly entityType: string
  /** null: any that has none of its own. */
  readonly entityName: string | null
}

export interface QuotaWindows {
  /** `quota.window.num`, `quota.window.size.seconds`. */
  readonly requests: Windows
  /** `controller.quota.window.num`, `controller.quota.window.size.seconds`. */
  readonly mutations: Windows
}

export const defaultQuotaWindows: QuotaWindows = {
  requests: defaultWindows,
  mutations: defaultWindows,
}

export class ClientQuotas {
  readonly clock: Clock
  readonly windows: QuotaWindows
  /** `producer_byte_rate`: bytes of requests per second. */
  readonly produced: QuotaTable<LimitedRate>
  /** `consumer_byte_rate`: bytes of records per second. */
  readonly fetched: QuotaTable<LimitedRate>
  /** `request_percentage`: 100 is all the time that there is. */
  readonly time: QuotaTable<LimitedRate>
  /** `controller_mutation_rate`: partitions made and deleted per second. */
  readonly mutations: QuotaTable<TokenBucket>
  /** Any of them is set. */
  isActive = false
  /** Requests whose client had to wait, and for how long all of them together. */
  throttledRequests = 0
  throttledMs = 0

  constructor(clock: Clock, windows: QuotaWindows = defaultQuotaWindows) {
    this.clock = clock
    this.windows = windows
    const rates = () => new QuotaTable((limit) => new LimitedRate(windows.requests, limit))
    this.produced = rates()
    this.fetched = rates()
    this.time = rates()
    this.mutations = new QuotaTable((limit) => new TokenBucket(windows.mutations, limit))
  }

  /** The quotas that an entity has from now on, by their names; those that are missing it has no longer. */
  set(entity: readonly QuotaEntity[], quotas: ReadonlyMap<string, number>): void {
    const named = (type: string) => entity.find(({ entityType }) => entityType === type)?.entityName
    const user = named('user')
    const clientId = named('client-id')
    if (user === undefined && clientId === undefined) return
    const { produced, fetched, time, mutations } = this
    produced.setLimit(user, clientId, quotas.get('producer_byte_rate'))
    fetched.setLimit(user, clientId, quotas.get('consumer_byte_rate'))
    time.setLimit(user, clientId, quotas.get('request_percentage'))
    mutations.setLimit(user, clientId, quotas.get('controller_mutation_rate'))
    this.isActive = [produced, fetched, time, mutations].some(({ isEmpty }) => !isEmpty)
  }
}

/**
 * Who has which quota of one kind, and how much of it is used. Of the quotas that are set for a user, a
 * client id or both, the most specific one counts (KIP-55):
 *
 *     user and client id       each its own account for the two together
 *     user, any client id
 *     user                     one account for all clients of the user
 *     any user, client id      each its own account for the two together
 *     any user, any client id
 *     any user                 one account for each user
 *     client id                one account for all users of the client id
 *     any client id            one account for each client id
 *
 * A client without an id is nobody's client: only what is set for users counts.
 *
 * Accounts of which nothing counts any more go when new ones come. What is left is bounded: where the most
 * accounts are in use, newcomers share one, so that inventing client ids gains nothing.
 */

/** What is used of a quota. */
export interface Account {
  limit: number
  /** It is as good as new. */
  isIdle(nowMs: number): boolean
}

/** A name; null: any name, for which nothing else is set; undefined: does not matter. */
export type QuotaName = string | null | undefined

/** Accounts, and pairs of user and client id of which is known which account they use. */
const accountsMax = 10_000
/** Of a client id; a longer one counts as what it begins with, and is looked for each time. */
const clientIdCharactersMax = 255
/** Idle ones are looked for when there are so many, and again when as many have come as were left. */
const firstSweepAt = 64
/** Not more often, however many come. */
const sweepMsMin = 1000

export class QuotaTable<A extends Account> {
  readonly #open: (limit: number) => A
  readonly #limits = new Map<string, number>()
  readonly #accounts = new Map<string, A>()
  /** By limit: of those who come when the most accounts are in use. */
  readonly #shared = new Map<number, A>()
  /** By principal, then by client id; null: no quota. */
  readonly #known = new Map<string, Map<string, A | null>>()
  #knownCount = 0
  #sweepAt = firstSweepAt
  #sweptMs = Number.NEGATIVE_INFINITY

  constructor(open: (limit: number) => A) {
    this.#open = open
  }

  get isEmpty(): boolean {
    return this.#limits.size === 0
  }

  /** How many accounts there are. */
  get size(): number {
    return this.#accounts.size
  }

  /** Sets what an entity may use, or with undefined takes it away. What was used before counts on. */
  setLimit(user: QuotaName, clientId: QuotaName, limit: number | undefined): void {
    const key = keyOf(user, clientId)
    if (limit === undefined) this.#limits.delete(key)
    else this.#limits.set(key, limit)
    this.#forgetKnown()
  }

  /** The account of a client; null where it has no quota. `principal` as in `User:alice`. */
  accountOf(principal: string, clientId: string, nowMs: number): A | null {
    const user = principal.slice(principal.indexOf(':') + 1)
    if (clientId.length > clientIdCharactersMax)
      return this.#find(user, clientId.slice(0, clientIdCharactersMax), nowMs)
    const known = this.#known.get(principal)?.get(clientId)
    if (known !== undefined) return known
    const account = this.#find(user, clientId, nowMs)
    if (account !== null && this.#shared.get(account.limit) === account) return account
    if (this.#knownCount >= accountsMax) this.#forgetKnown()
    let ofPrincipal = this.#known.get(principal)
    if (ofPrincipal === undefined) {
      ofPrincipal = new Map()
      this.#known.set(principal, ofPrincipal)
    }
    ofPrincipal.set(clientId, account)
    this.#knownCount++
    return account
  }

  #find(user: string, clientId: string, nowMs: number): A | null {
    const hasId = clientId !== ''
    return (
      (hasId ? this.#of([user, clientId], nowMs, [user, clientId], [user, null]) : null) ??
      this.#of([user, undefined], nowMs, [user, undefined]) ??
      (hasId ? this.#of([user, clientId], nowMs, [null, clientId], [null, null]) : null) ??
      this.#of([user, undefined], nowMs, [null, undefined]) ??
      (hasId
        ? this.#of([undefined, clientId], nowMs, [undefined, clientId], [undefined, null])
        : null)
    )
  }

  /** The account of that name, with the first limit that is set. */
  #of(name: Entity, nowMs: number, ...entities: readonly Entity[]): A | null {
    for (const [user, clientId] of entities) {
      const limit = this.#limits.get(keyOf(user, clientId))
      if (limit !== undefined) return this.#account(keyOf(...name), limit, nowMs)
    }
    return null
  }

  #account(key: string, limit: number, nowMs: number): A {
    let account = this.#accounts.get(key)
    if (account === undefined) {
      if (this.#accounts.size >= this.#sweepAt) this.#sweep(nowMs)
      if (this.#accounts.size >= accountsMax) return this.#sharedAccount(limit)
      account = this.#open(limit)
      this.#accounts.set(key, account)
    }
    account.limit = limit
    return account
  }

  #sharedAccount(limit: number): A {
    const account = this.#shared.get(limit) ?? this.#open(limit)
    this.#shared.set(limit, account)
    return account
  }

  #sweep(nowMs: number): void {
    if (nowMs - this.#sweptMs < sweepMsMin) return
    this.#sweptMs = nowMs
    for (const [key, account] of this.#accounts) {
      if (account.isIdle(nowMs)) this.#accounts.delete(key)
    }
    for (const [limit, account] of this.#shared) {
      if (account.isIdle(nowMs)) this.#shared.delete(limit)
    }
    this.#sweepAt = Math.min(accountsMax, Math.max(firstSweepAt, this.#accounts.size * 2))
    // Who used one that has gone opens another one.
    this.#forgetKnown()
  }

  #forgetKnown(): void {
    this.#known.clear()
    this.#knownCount = 0
  }
}

type Entity = readonly [user: QuotaName, clientId: QuotaName]

/** Names may contain anything. */
function keyOf(user: QuotaName, clientId: QuotaName): string {
  return JSON.stringify([user === undefined ? 0 : user, clientId === undefined ? 0 : clientId])
}

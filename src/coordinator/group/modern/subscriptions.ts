/**
 * How many members are subscribed to each topic by its name, and how many of the group's regular
 * expressions stand for it. From these it follows which topics the group uses, and whether all
 * members want the same.
 */
export interface SubscriptionCount {
  readonly byName: number
  readonly byRegex: number
}

const none: SubscriptionCount = { byName: 0, byRegex: 0 }

export class SubscriptionCounts {
  readonly #counts: Map<string, SubscriptionCount>

  constructor(counts: Iterable<readonly [string, SubscriptionCount]> = []) {
    this.#counts = new Map(counts)
  }

  /** For trying out a change. */
  copy(): SubscriptionCounts {
    return new SubscriptionCounts(this.#counts)
  }

  has(topic: string): boolean {
    return this.#counts.has(topic)
  }

  topics(): Iterable<string> {
    return this.#counts.keys()
  }

  /** A member comes with these names (`change` 1), or goes (-1). */
  countNames(topics: Iterable<string>, change: 1 | -1): void {
    for (const topic of topics) this.#add(topic, change, 0)
  }

  /** A regular expression stands for these topics, or does not any more. */
  countRegex(topics: Iterable<string>, change: 1 | -1): void {
    for (const topic of topics) this.#add(topic, 0, change)
  }

  every(isSo: (count: SubscriptionCount) => boolean): boolean {
    for (const count of this.#counts.values()) if (!isSo(count)) return false
    return true
  }

  #add(topic: string, names: number, regexes: number): void {
    const before = this.#counts.get(topic) ?? none
    const byName = before.byName + names
    const byRegex = before.byRegex + regexes
    if (byName <= 0 && byRegex <= 0) this.#counts.delete(topic)
    else this.#counts.set(topic, { byName, byRegex })
  }
}

/** Whether two members name the same topics, in one order. */
export function isSameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, index) => name === b[index])
}

/**
 * Shares connectors and tasks out among workers, as the leader does it (KIP-415): what runs stays where it
 * is, as far as loads allow. Work that is to move is revoked in one round and assigned in the next, once
 * its worker has stopped it. Work of a worker that has left waits for its return until
 * `scheduled.rebalance.max.delay.ms` is over, and goes to workers that came meanwhile first. Rounds that
 * revoke one after another wait longer and longer.
 *
 *     deleted    = was assigned, is not configured      -> revoked
 *     duplicated = two workers have it                  -> revoked from all
 *     lost       = was assigned, nobody has it now      -> waits, then assigned
 *     created    = configured, never assigned           -> assigned
 *     surplus    = more than a worker's share           -> revoked, when nothing waits
 */
import type { Clock } from '../../../environment/environment.ts'
import { common, inOrder, isEmpty, noWork, union, type Work, without } from './work.ts'

/** What changes for a worker. */
export interface Share {
  readonly assigned: Work
  readonly revoked: Work
}

export interface Shared {
  readonly shares: ReadonlyMap<string, Share>
  /** All that each has, once it has done what its share says. */
  readonly all: ReadonlyMap<string, Work>
  readonly delayMs: number
}

export interface Round {
  readonly configured: Work
  /** Of the round before that this leader has led to its end; -1: of none. */
  readonly lastGeneration: number
  readonly generation: number
  /** By member id. */
  readonly current: ReadonlyMap<string, Work>
}

interface Load {
  readonly member: string
  readonly connectors: Set<string>
  readonly tasks: Set<string>
}

type Kind = 'connectors' | 'tasks'
const kinds: readonly Kind[] = ['connectors', 'tasks']
const backoffFactor = 40

export class IncrementalAssignor {
  readonly #clock: Pick<Clock, 'monotonic'>
  readonly #delayMsMax: number
  #previous: Work = noWork
  #revokedBefore: Work = noWork
  #previousGeneration = -1
  #previousMembers: ReadonlySet<string> = new Set()
  #hasRevokedBefore = false
  #revokingRounds = 0
  /** Monotonic time at which work that waits is assigned; 0: none waits. */
  #dueMs = 0
  #delayMs = 0
  /** Who came, with nothing to do, while work waited. */
  readonly #candidates = new Set<string>()

  constructor(clock: Pick<Clock, 'monotonic'>, delayMsMax: number) {
    this.#clock = clock
    this.#delayMsMax = delayMsMax
  }

  assign({ configured, lastGeneration, generation, current }: Round): Shared {
    // What this leader believes is from before somebody else led, or never reached the others.
    if (this.#previousGeneration !== lastGeneration) this.#previous = noWork
    const active = union(...current.values())
    // What was to be given up runs on: its worker has not heard of it.
    if (!isEmpty(common(this.#revokedBefore, active))) this.#previous = active
    const deleted = without(this.#previous, configured)
    const lost = without(this.#previous, active, deleted)
    const created = without(configured, this.#previous, active)
    const gone = union(deleted, duplicated(current))

    const revoked = new Map(Array.from(current, ([member, work]) => [member, common(work, gone)]))
    const kept = new Map(Array.from(current, ([member, work]) => [member, without(work, gone)]))
    const loads = Array.from(kept, ([member, work]) => loadOf(member, work))
    const toAssign = [created, this.#lost(lost, loads)]
    for (const [member, surplus] of this.#surplus(configured, loads)) {
      revoked.set(member, union(revoked.get(member)!, surplus))
      const load = loads.find((each) => each.member === member)!
      for (const kind of kinds) for (const name of surplus[kind]) load[kind].delete(name)
    }
    for (const kind of kinds) shareOut(kind, loads, union(...toAssign)[kind])

    const all = new Map(loads.map((load) => [load.member, union(load)]))
    const allRevoked = union(...revoked.values())
    this.#previous = union(without(union(...all.values()), allRevoked), lost)
    this.#revokedBefore = allRevoked
    this.#previousGeneration = generation
    this.#previousMembers = new Set(current.keys())
    const shares = Array.from(all, ([member, work]): [string, Share] => [
      member,
      { assigned: without(work, kept.get(member)!), revoked: revoked.get(member)! },
    ])
    return { shares: new Map(shares), all, delayMs: this.#delayMs }
  }

  /** What of the lost work is to be assigned now, to whomever; the rest waits or is with a candidate. */
  #lost(lost: Work, loads: readonly Load[]): Work {
    if (isEmpty(lost) && !this.#hasRevokedBefore) {
      this.#rest()
      return noWork
    }
    const members = new Set(loads.map(({ member }) => member))
    const isAnybodyGone = [...this.#previousMembers].some((member) => !members.has(member))
    // Somebody did not hear of its share: it is as good as new.
    if (this.#dueMs <= 0 && !isAnybodyGone) return lost
    if (this.#delayMsMax === 0) return lost
    const nowMs = this.#clock.monotonic()
    if (this.#dueMs > 0 && nowMs >= this.#dueMs) {
      const candidates = loads.filter(({ member }) => this.#candidates.has(member))
      this.#rest()
      this.#hasRevokedBefore = false
      if (candidates.length === 0) return lost
      for (const kind of kinds)
        for (const [at, name] of [...lost[kind]].entries())
          candidates[at % candidates.length]![kind].add(name)
      return noWork
    }
    for (const load of loads) if (isEmpty(load)) this.#candidates.add(load.member)
    const leftMs = this.#dueMs > nowMs ? this.#dueMs - nowMs : this.#delayMsMax
    this.#wait(Math.min(leftMs, this.#delayMsMax))
    return noWork
  }

  #rest(): void {
    this.#candidates.clear()
    this.#dueMs = 0
    this.#delayMs = 0
  }

  #wait(delayMs: number): void {
    this.#delayMs = Math.ceil(delayMs)
    this.#dueMs = this.#clock.monotonic() + this.#delayMs
  }

  /** What workers have above their share, while nothing waits. */
  #surplus(configured: Work, loads: readonly Load[]): ReadonlyMap<string, Work> {
    if (this.#delayMs !== 0) {
      this.#hasRevokedBefore = false
      return new Map()
    }
    const surplus = surplusOf(configured, loads)
    if (surplus.size === 0) {
      this.#hasRevokedBefore = false
      this.#revokingRounds = 0
      return surplus
    }
    if (this.#hasRevokedBefore) {
      this.#revokingRounds++
      const backoffMs = backoffFactor ** this.#revokingRounds
      const delayMs = Math.min(backoffMs, this.#delayMsMax)
      if (delayMs > 0) {
        this.#wait(delayMs)
        return new Map()
      }
    }
    this.#hasRevokedBefore = true
    return surplus
  }
}

function loadOf(member: string, work: Work): Load {
  return { member, connectors: new Set(work.connectors), tasks: new Set(work.tasks) }
}

function duplicated(current: ReadonlyMap<string, Work>): Work {
  const twice = (kind: Kind) => {
    const once = new Set<string>()
    const again = new Set<string>()
    for (const work of current.values())
      for (const name of work[kind]) (once.has(name) ? again : once).add(name)
    return again
  }
  return { connectors: twice('connectors'), tasks: twice('tasks') }
}

function surplusOf(configured: Work, loads: readonly Load[]): Map<string, Work> {
  const surplus = new Map<string, { connectors: Set<string>; tasks: Set<string> }>()
  if (loads.every(isEmpty)) return surplus
  for (const kind of kinds) {
    const share = Math.floor(configured[kind].size / loads.length)
    let extras = configured[kind].size % loads.length
    for (const load of loads) {
      const { size } = load[kind]
      if (size <= share) continue
      const most = extras > 0 ? share + 1 : share
      extras--
      if (size <= most) continue
      const own = surplus.get(load.member) ?? { connectors: new Set(), tasks: new Set() }
      surplus.set(load.member, own)
      for (const name of [...load[kind]].slice(0, size - most)) own[kind].add(name)
    }
  }
  return surplus
}

/** One after another to whoever has least. */
function shareOut(kind: Kind, loads: readonly Load[], names: ReadonlySet<string>): void {
  const ordered = kind === 'tasks' ? inOrder(names) : [...names].sort()
  const byMember = [...loads].sort((left, right) => (left.member < right.member ? -1 : 1))
  for (const name of ordered) {
    let least = byMember[0]!
    for (const load of byMember) if (load[kind].size < least[kind].size) least = load
    least[kind].add(name)
  }
}

/** All work anew, one after another, as workers before Kafka 2.3 do it. */
export function assignEagerly(configured: Work, members: readonly string[]): Map<string, Work> {
  const loads = [...members].sort().map((member) => loadOf(member, noWork))
  let at = 0
  for (const kind of kinds) {
    const names = kind === 'tasks' ? inOrder(configured[kind]) : [...configured[kind]].sort()
    for (const name of names) loads[at++ % loads.length]![kind].add(name)
  }
  return new Map(loads.map((load) => [load.member, union(load)]))
}

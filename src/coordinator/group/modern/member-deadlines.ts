/**
 * What a member must do in time: show up (session), give up what it lost (rebalance), and, if it came
 * with the classic protocol, join and sync. One deadline of each kind per member; what it decides when
 * it passes finds the member as it is then, or gone.
 */
import type { Milliseconds } from '../../../environment/environment.ts'
import type { Deadline } from '../../deadlines.ts'
import type { Decision } from '../../shard.ts'
import type { GroupRecord } from '../records.ts'

export type DeadlineKind = 'session' | 'rebalance' | 'join' | 'sync'
type Decide = () => Decision<GroupRecord, void>

interface Entry {
  readonly deadline: Deadline
  decide: Decide
}

export class MemberDeadlines {
  readonly #create: (decide: Decide) => Deadline
  readonly #members = new Map<string, Map<DeadlineKind, Entry>>()

  constructor(create: (decide: Decide) => Deadline) {
    this.#create = create
  }

  /** (Re)starts it: `decide` runs in `delayMs`. */
  set(kind: DeadlineKind, memberId: string, delayMs: Milliseconds, decide: Decide): void {
    let ofMember = this.#members.get(memberId)
    if (ofMember === undefined) {
      ofMember = new Map()
      this.#members.set(memberId, ofMember)
    }
    let entry = ofMember.get(kind)
    if (entry === undefined) {
      const created: Entry = { deadline: this.#create(() => this.#onPassed(created)), decide }
      entry = created
      ofMember.set(kind, entry)
    }
    entry.decide = decide
    entry.deadline.set(delayMs)
  }

  isSet(kind: DeadlineKind, memberId: string): boolean {
    return this.#members.get(memberId)?.has(kind) ?? false
  }

  clear(kind: DeadlineKind, memberId: string): void {
    const ofMember = this.#members.get(memberId)
    ofMember?.get(kind)?.deadline.clear()
    ofMember?.delete(kind)
    if (ofMember?.size === 0) this.#members.delete(memberId)
  }

  /** The member is gone. */
  clearAll(memberId: string): void {
    for (const { deadline } of this.#members.get(memberId)?.values() ?? []) deadline.clear()
    this.#members.delete(memberId)
  }

  end(): void {
    for (const memberId of [...this.#members.keys()]) this.clearAll(memberId)
  }

  #onPassed(entry: Entry): Decision<GroupRecord, void> {
    return entry.decide()
  }
}

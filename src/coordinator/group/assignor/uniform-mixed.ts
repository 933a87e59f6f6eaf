/**
 * The `uniform` assignor for members with different subscriptions. Everybody keeps what they are still
 * subscribed to; what is left goes, partition by partition, to whoever may have it and has the least;
 * then, topic by topic, partitions move from those who have the most to those who have the least, as
 * long as that brings two members closer. Topics with the most partitions per subscriber come first,
 * those with the fewest subscribers before others: they leave the least choice.
 *
 *   partitions of a member, over the subscribers of a topic, sorted:
 *
 *             least          most
 *               |              |  #      moves end when the two are
 *               v              v ##      one apart or less
 *             . . . . . . . . #####
 *             #####################
 */
import type { Uuid } from '../../../../protocol/types.ts'
import type { Assignment } from '../modern/assignment.ts'
import type { GroupSpec } from '../modern/target-assignment.ts'

/** Rounds over all topics; what is not even then is nearly so. */
const roundsMax = 16

interface Member {
  readonly memberId: string
  /** Partitions of all topics together. */
  load: number
}

interface Topic {
  readonly id: Uuid
  readonly subscribers: Member[]
  /** By partition. */
  readonly owners: (Member | undefined)[]
}

export function assignMixed(spec: GroupSpec): Map<string, Assignment> {
  const members = new Map(
    [...spec.members.keys()].map((memberId) => [memberId, { memberId, load: 0 }]),
  )
  const topics = topicsOf(spec, members)
  for (const topic of topics) fillUp(topic)
  balance(topics.filter(({ subscribers }) => subscribers.length > 1))
  return resultOf(members.keys(), topics)
}

/** The topics in their order, with the owners that keep what they have. */
function topicsOf(spec: GroupSpec, members: ReadonlyMap<string, Member>): Topic[] {
  const topics = new Map<Uuid, Topic>()
  for (const [memberId, { topicIds, assignment }] of spec.members) {
    const member = members.get(memberId) as Member
    for (const id of topicIds) {
      const count = spec.partitionCount(id) ?? 0
      const topic = topics.get(id) ?? {
        id,
        subscribers: [],
        owners: new Array<Member | undefined>(count).fill(undefined),
      }
      topics.set(id, topic)
      topic.subscribers.push(member)
      for (const partition of assignment.get(id) ?? []) {
        if (partition >= count || topic.owners[partition] !== undefined) continue
        topic.owners[partition] = member
        member.load++
      }
    }
  }
  const density = ({ owners, subscribers }: Topic) => owners.length / subscribers.length
  return [...topics.values()].sort(
    (a, b) =>
      density(b) - density(a) ||
      a.subscribers.length - b.subscribers.length ||
      (a.id < b.id ? -1 : 1),
  )
}

/** Members by load, to be asked for the one with the least again and again while loads grow. */
class ByLoad {
  readonly #levels = new Map<number, Member[]>()
  #least = Number.POSITIVE_INFINITY

  constructor(members: readonly Member[]) {
    for (const member of members) this.#put(member)
    // The first of the group comes first among equals.
    for (const level of this.#levels.values()) level.reverse()
  }

  /** The load of the one with the least. */
  get least(): number {
    while (this.#levels.get(this.#least)?.length === 0) {
      this.#levels.delete(this.#least)
      this.#least++
    }
    return this.#least
  }

  /** Takes out the one with the least, and puts it back with one partition more. */
  giveToLeast(): Member {
    const member = this.#levels.get(this.least)?.pop() as Member
    member.load++
    const above = this.#levels.get(member.load)
    if (above === undefined) this.#levels.set(member.load, [member])
    else above.unshift(member)
    return member
  }

  #put(member: Member): void {
    const level = this.#levels.get(member.load)
    if (level === undefined) this.#levels.set(member.load, [member])
    else level.push(member)
    this.#least = Math.min(this.#least, member.load)
  }
}

function fillUp({ subscribers, owners }: Topic): void {
  const byLoad = new ByLoad(subscribers)
  for (let partition = 0; partition < owners.length; partition++) {
    owners[partition] ??= byLoad.giveToLeast()
  }
}

function balance(topics: readonly Topic[]): void {
  /** Topics in a row that needed nothing: after all of them, nothing is left to do. */
  let settled = 0
  for (let round = 0; round < roundsMax; round++) {
    for (const topic of topics) {
      settled = balanceTopic(topic) ? 0 : settled + 1
      if (settled === topics.length) return
    }
  }
}

/** Whether a partition moved. */
function balanceTopic({ subscribers, owners }: Topic): boolean {
  const owned = new Map<Member, number[]>()
  owners.forEach((owner, partition) => {
    const partitions = owned.get(owner as Member)
    if (partitions === undefined) owned.set(owner as Member, [partition])
    else partitions.push(partition)
  })
  const byLoad = new ByLoad(subscribers)
  const givers = [...owned.keys()].sort((a, b) => a.load - b.load)
  let hasMoved = false
  for (let giver = givers.pop(); giver !== undefined; giver = givers.pop()) {
    if (giver.load - byLoad.least <= 1) break
    const partition = owned.get(giver)?.pop() as number
    giver.load--
    owners[partition] = byLoad.giveToLeast()
    hasMoved = true
    if (owned.get(giver)?.length !== 0) insert(givers, giver)
  }
  return hasMoved
}

/** Keeps the list in the order of loads; those with the same load take turns. */
function insert(givers: Member[], giver: Member): void {
  let at = givers.length
  while (at > 0 && (givers[at - 1] as Member).load >= giver.load) at--
  givers.splice(at, 0, giver)
}

function resultOf(
  memberIds: Iterable<string>,
  topics: readonly Topic[],
): Map<string, Map<Uuid, Set<number>>> {
  const result = new Map<string, Map<Uuid, Set<number>>>()
  for (const memberId of memberIds) result.set(memberId, new Map())
  for (const { id, owners } of topics) {
    owners.forEach((owner, partition) => {
      const mine = result.get((owner as Member).memberId) as Map<Uuid, Set<number>>
      const partitions = mine.get(id)
      if (partitions === undefined) mine.set(id, new Set([partition]))
      else partitions.add(partition)
    })
  }
  return result
}

/**
 * How the leader of a classic group shares partitions among members. The members' subscriptions
 * and the partition counts go in, an assignment per member comes out; nothing else is looked at, so
 * every leader, in whatever language, comes to the same result as Kafka's own assignor of the name.
 */

export interface TopicPartitions {
  readonly topic: string
  readonly partitions: readonly number[]
}

export interface Subscriber {
  readonly memberId: string
  /** Static members (KIP-345) sort by it, so that a restart under a new member id changes nothing. */
  readonly groupInstanceId: string | null
  readonly topics: readonly string[]
}

export type Assignment = Map<string, TopicPartitions[]>

export interface Assignor {
  /** The name that members agree on, e.g. `range`. */
  readonly name: string
  assign(members: readonly Subscriber[], partitionCounts: ReadonlyMap<string, number>): Assignment
}

/**
 * Topic by topic, consecutive partitions: the first members get one more where it does not divide.
 * Partition n of several topics ends at the same member, which joins need.
 */
export const rangeAssignor: Assignor = {
  name: 'range',
  assign(members, partitionCounts) {
    const sorted = sortMembers(members)
    const assignment: Assignment = new Map(sorted.map((member) => [member.memberId, []]))
    for (const topic of subscribedTopics(members)) {
      const count = partitionCounts.get(topic) ?? 0
      const subscribers = sorted.filter((member) => member.topics.includes(topic))
      const share = Math.floor(count / subscribers.length)
      const withOneMore = count % subscribers.length
      let next = 0
      for (const [index, member] of subscribers.entries()) {
        const size = share + (index < withOneMore ? 1 : 0)
        if (size === 0) continue
        const partitions = Array.from({ length: size }, (_, offset) => next + offset)
        assignment.get(member.memberId)!.push({ topic, partitions })
        next += size
      }
    }
    return assignment
  },
}

/** All partitions of all topics in one row, dealt out member by member. */
export const roundRobinAssignor: Assignor = {
  name: 'roundrobin',
  assign(members, partitionCounts) {
    const sorted = sortMembers(members)
    const dealt = new Map<string, Map<string, number[]>>(
      sorted.map((member) => [member.memberId, new Map()]),
    )
    let turn = 0
    for (const topic of subscribedTopics(members)) {
      for (let partition = 0; partition < (partitionCounts.get(topic) ?? 0); partition++) {
        while (!sorted[turn % sorted.length]!.topics.includes(topic)) turn++
        const hand = dealt.get(sorted[turn++ % sorted.length]!.memberId)!
        const partitions = hand.get(topic)
        if (partitions === undefined) hand.set(topic, [partition])
        else partitions.push(partition)
      }
    }
    const asList = (hand: Map<string, number[]>) =>
      Array.from(hand, ([topic, partitions]) => ({ topic, partitions }))
    return new Map(Array.from(dealt, ([memberId, hand]) => [memberId, asList(hand)]))
  },
}

function subscribedTopics(members: readonly Subscriber[]): string[] {
  return [...new Set(members.flatMap((member) => member.topics))].sort()
}

/** Static members first, by instance id; the others by member id. */
function sortMembers(members: readonly Subscriber[]): Subscriber[] {
  return [...members].sort((left, right) => {
    if (left.groupInstanceId !== null && right.groupInstanceId !== null)
      return compare(left.groupInstanceId, right.groupInstanceId)
    if (left.groupInstanceId !== null) return -1
    if (right.groupInstanceId !== null) return 1
    return compare(left.memberId, right.memberId)
  })
}

const compare = (left: string, right: string) => (left < right ? -1 : left > right ? 1 : 0)

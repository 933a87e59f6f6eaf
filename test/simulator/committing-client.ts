/**
 * A client that keeps offsets under a group's name and is no member of it: commits ever larger ones, and
 * looks whether the last that was acknowledged is still there. A commit without an answer may take effect
 * at any later time; a fault that took away what was not synced may bring back any earlier one. It looks in
 * the middle of a commit, too: what it has seen then must not be gone again.
 */
import { apis } from '../../protocol/apis.ts'
import { fetchCommitted } from '../../src/client/offsets.ts'
import type { BrokerHost } from './broker-host.ts'
import { type Client, restDuringFaults, type Stage, sleep, startClient } from './stage.ts'
import { Violation } from './violation.ts'

const nothing = -1

export class CommittedPlace {
  readonly partition: number
  /** The last that was acknowledged. */
  acknowledged = nothing
  /** Sent, never answered. */
  readonly unanswered = new Set<number>()
  /** When each was sent: it does not count as committed before. */
  readonly sentMs = new Map<number, number>([[nothing, 0]])
  next = 0
  lossesKnown = 0

  constructor(partition: number) {
    this.partition = partition
  }
}

/** Until the run is healed; then it looks a last time. */
export async function keepOffsets(stage: Stage, host: BrokerHost, name: string): Promise<void> {
  const client = startClient(stage, name)
  const topic = client.random.pick(stage.temper.topics)
  const places = Array.from({ length: topic.partitions }, (_, index) => new CommittedPlace(index))
  const roundMs = stage.temper.durationMs / 20
  while (!stage.isHealed) {
    for (const place of places) {
      if (!client.random.chance(0.6)) continue
      const committing = commit(stage, client, topic.name, place)
      if (client.random.chance(0.4)) await glance(stage, host, client, topic.name, place)
      await committing
    }
    if (client.random.chance(0.3)) await look(stage, host, client, topic.name, places)
    await restDuringFaults(stage, client, client.random.float() * roundMs)
  }
  await host.ready()
  while (!(await look(stage, host, client, topic.name, places)) && !host.areOffsetsDamaged) {
    await sleep(client.environment, 1_000)
  }
  client.cluster.close()
}

/** As whom offsets are committed. */
interface Committer {
  readonly groupId: string
  readonly memberId: string
  readonly memberEpoch: number
}

const noMember = { memberId: '', memberEpoch: -1 }

export async function commit(
  stage: Stage,
  { cluster, name }: Client,
  topic: string,
  place: CommittedPlace,
  { groupId, memberId, memberEpoch }: Committer = { groupId: name, ...noMember },
): Promise<void> {
  const offset = place.next++
  const { partition: partitionIndex } = place
  place.sentMs.set(offset, stage.world.nowMs)
  place.unanswered.add(offset)
  try {
    const answer = await cluster.callCoordinator(
      { type: 'group', id: groupId },
      apis.offsetCommit,
      {
        groupId,
        memberId,
        groupInstanceId: null,
        generationIdOrMemberEpoch: memberEpoch,
        topics: [
          {
            name: topic,
            partitions: [
              {
                partitionIndex,
                committedOffset: offset,
                committedLeaderEpoch: -1,
                committedMetadata: '',
              },
            ],
          },
        ],
      },
      { versionMin: 2, versionMax: 9 },
    )
    const errorCode = answer.topics[0]?.partitions[0]?.errorCode ?? -1
    cluster.checkCoordinator('group', groupId, errorCode)
    place.acknowledged = offset
    place.unanswered.delete(offset)
    stage.trace.say(name, `committed ${offset} for ${topic}-${partitionIndex}`)
  } catch (error) {
    stage.trace.say(name, `no answer to ${offset} for ${topic}-${partitionIndex}: ${words(error)}`)
  }
}

const words = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** Looks while a commit is under way, past its connection; what is not durable yet may go right then. */
async function glance(
  stage: Stage,
  host: BrokerHost,
  client: Client,
  topic: string,
  place: CommittedPlace,
): Promise<void> {
  const { cluster, name, random } = client
  const { temper, isHealed } = stage
  const { acknowledged } = place
  const topics = [{ name: topic, partitionIndexes: [place.partition] }]
  const losses = host.offsetsLost
  let offset: number
  try {
    const nodeId = await cluster.coordinator('group', name)
    const request = { groupId: name, topics, groups: [{ groupId: name, topics }] }
    const options = { versionMin: 1, versionMax: 9, lane: 'general' } as const
    const answer = await cluster.callNode(nodeId, apis.offsetFetch, request, options)
    const group = answer.groups[0] ?? answer
    const row = group.topics[0]?.partitions[0]
    if (row === undefined || row.errorCode !== 0 || group.errorCode !== 0) return
    offset = row.committedOffset
  } catch (error) {
    stage.trace.say(name, `cannot glance: ${words(error)}`)
    return
  }
  if (losses !== host.offsetsLost) return
  // The answer may have been given before that to the commit: it tells of the one before then.
  const isOfBefore = offset === nothing && mayHaveExpired(stage, place, acknowledged)
  // Nor is what may have been there the last then: another commit was acknowledged meanwhile.
  const isOvertaken =
    place.acknowledged !== acknowledged &&
    offset !== place.acknowledged &&
    mayBe(stage, place, offset, losses)
  if (offset !== acknowledged && !isOfBefore && !isOvertaken) {
    judge(stage, client, { topic, place, offset, losses })
  }
  const isRisky = temper.isOffsetsTopicDurable && temper.blows.powerLoss > 0 && !isHealed
  if (isRisky && random.chance(0.1)) host.end('power loss', 'in the middle of a commit')
}

/** Whether somebody could tell. */
export async function look(
  stage: Stage,
  host: BrokerHost,
  client: Client,
  topic: string,
  places: readonly CommittedPlace[],
  groupId = client.name,
): Promise<boolean> {
  const { cluster, name } = client
  const losses = host.offsetsLost
  let found: Map<number, number>
  try {
    const query = places.map(({ partition }) => ({ topic, partition }))
    const rows = await fetchCommitted(cluster, groupId, query)
    found = new Map(rows.map(({ partition, offset }) => [partition, offset]))
  } catch (error) {
    stage.trace.say(name, `cannot look: ${words(error)}`)
    return false
  }
  if (losses !== host.offsetsLost) return false
  for (const place of places) {
    const offset = found.get(place.partition) ?? nothing
    judge(stage, client, { topic, place, offset, losses })
  }
  return true
}

/** `losses`: as of when it was asked. */
export function judge(
  stage: Stage,
  { name }: Client,
  found: {
    readonly topic: string
    readonly place: CommittedPlace
    readonly offset: number
    readonly losses: number
  },
): void {
  const { topic, place, offset, losses } = found
  const where = `${topic}-${place.partition}`
  stage.trace.say(name, `finds ${offset} for ${where}`)
  if (!mayBe(stage, place, offset, losses)) {
    throw new Violation(
      `${name} finds offset ${offset} for ${where}, and had committed ` +
        `${place.acknowledged} (unanswered: ${[...place.unanswered].join(', ')})`,
    )
  }
  // Whoever has seen it may rely on it.
  if (place.lossesKnown !== losses || place.unanswered.has(offset)) place.acknowledged = offset
  place.lossesKnown = losses
}

export function mayBe(
  stage: Stage,
  place: CommittedPlace,
  offset: number,
  losses: number,
): boolean {
  if (offset === place.acknowledged || place.unanswered.has(offset)) return true
  if (place.lossesKnown !== losses) return place.sentMs.has(offset)
  return offset === nothing && mayHaveExpired(stage, place, place.acknowledged)
}

/** After a loss it may be an old one that was there last. */
function mayHaveExpired(
  { temper, world }: Stage,
  { sentMs }: CommittedPlace,
  offset: number,
): boolean {
  const ageMs = world.nowMs - (sentMs.get(offset) ?? 0)
  return temper.expiresOffsets && (ageMs >= 600_000 || temper.blows.clockJump > 0)
}

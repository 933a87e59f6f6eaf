/**
 * Many members join a group at once, each on its own connection: how long until each holds exactly one
 * partition of a topic that has as many. Members say that they live far more often than clients do,
 * so that it is the broker that is timed and no client's interval.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { apis } from '../../protocol/apis.ts'
import { decode, encode } from '../../protocol/codec.ts'
import { errors } from '../../protocol/errors.ts'
import {
  consumerProtocolAssignment,
  consumerProtocolSubscription,
} from '../../protocol/state/consumer-protocol.ts'
import { cpuSeconds } from './broker-cpu.ts'
import type { Options, Result } from './options.ts'
import { Peer } from './peer.ts'
import { createTopic, untilCoordinated } from './requests.ts'

const versions = { joinGroup: 9, syncGroup: 5, heartbeat: 4, consumerGroupHeartbeat: 1 }
const heartbeatMs = 50
const rebalanceTimeoutMs = 60_000

/** Errors after which a member only has to try again. */
const passing: ReadonlySet<number> = new Set([
  errors.COORDINATOR_LOAD_IN_PROGRESS.code,
  errors.COORDINATOR_NOT_AVAILABLE.code,
  errors.NOT_COORDINATOR.code,
  errors.REBALANCE_IN_PROGRESS.code,
  errors.ILLEGAL_GENERATION.code,
])

function expectPassing(code: number): void {
  if (!passing.has(code)) throw new Error(`a member was answered with error ${code}`)
}

/** Who holds which partitions, and whether that is one each. */
class Shares {
  readonly #partitionsOf = new Map<number, readonly number[]>()
  readonly #count: number

  constructor(count: number) {
    this.#count = count
  }

  give(member: number, partitions: readonly number[]): void {
    this.#partitionsOf.set(member, partitions)
  }

  get areEven(): boolean {
    const held = [...this.#partitionsOf.values()]
    const isOne = held.length === this.#count && held.every(({ length }) => length === 1)
    return isOne && new Set(held.flat()).size === this.#count
  }
}

type Member = (peer: Peer, number: number, options: Options, shares: Shares) => Promise<void>

const protocolVersion = Buffer.from([0, 1])

/** As the leader's share-out: partition n goes to member n. */
function assignments(topic: string, partitions: number, memberIds: readonly string[]) {
  return memberIds.map((memberId, number) => {
    const own = Array.from({ length: partitions }, (_, partition) => partition).filter(
      (partition) => partition % memberIds.length === number,
    )
    const assignedPartitions = [{ topic, partitions: own }]
    const value = { assignedPartitions, userData: null }
    const bytes = encode(consumerProtocolAssignment, 1, value)
    return { memberId, assignment: Buffer.concat([protocolVersion, bytes]) }
  })
}

const classicMember: Member = async (peer, number, { topic, partitions }, shares) => {
  const groupId = `${topic}-group`
  const subscription = { topics: [topic], userData: null, ownedPartitions: [] }
  const metadata = Buffer.concat([
    protocolVersion,
    encode(consumerProtocolSubscription, 1, subscription),
  ])
  const group = { groupId, groupInstanceId: null, protocolType: 'consumer' }
  let memberId = ''
  while (!shares.areEven) {
    const joined = await peer.call(apis.joinGroup, versions.joinGroup, {
      ...{ ...group, memberId, sessionTimeoutMs: 45_000, rebalanceTimeoutMs, reason: null },
      protocols: [{ name: 'range', metadata }],
    })
    const { generationId, protocolName } = joined
    if (joined.memberId !== '') memberId = joined.memberId
    if (joined.errorCode === errors.MEMBER_ID_REQUIRED.code) continue
    if (joined.errorCode !== 0) {
      expectPassing(joined.errorCode)
      await setTimeout(heartbeatMs)
      continue
    }
    const memberIds = joined.members.map(({ memberId }) => memberId)
    const synced = await peer.call(apis.syncGroup, versions.syncGroup, {
      ...{ ...group, memberId, generationId, protocolName },
      assignments: assignments(topic, partitions, memberIds),
    })
    if (synced.errorCode !== 0) {
      expectPassing(synced.errorCode)
      continue
    }
    const bytes = synced.assignment.subarray(protocolVersion.length)
    const { assignedPartitions } = decode(consumerProtocolAssignment, 1, bytes)
    shares.give(number, assignedPartitions[0]?.partitions ?? [])
    for (let code = 0; code === 0 && !shares.areEven; ) {
      await setTimeout(heartbeatMs)
      const request = { groupId, memberId, generationId, groupInstanceId: null }
      code = (await peer.call(apis.heartbeat, versions.heartbeat, request)).errorCode
      if (code !== 0) expectPassing(code)
    }
  }
}

/** KIP-848: takes what the broker gives, and says at once what it then holds. */
const consumerMember: Member = async (peer, number, { topic }, shares) => {
  const member = { groupId: `${topic}-group`, memberId: randomUUID(), instanceId: null }
  const unchanged = { ...member, rackId: null, subscribedTopicRegex: null, serverAssignor: null }
  const joining = { subscribedTopicNames: [topic], topicPartitions: [], rebalanceTimeoutMs }
  let memberEpoch = 0
  let news: object = joining
  while (!shares.areEven) {
    const answer = await peer.call(apis.consumerGroupHeartbeat, versions.consumerGroupHeartbeat, {
      ...unchanged,
      memberEpoch,
      subscribedTopicNames: null,
      topicPartitions: null,
      ...news,
    })
    if (answer.errorCode !== 0) expectPassing(answer.errorCode)
    else {
      memberEpoch = answer.memberEpoch
      news = {}
      if (answer.assignment !== null) {
        const { topicPartitions } = answer.assignment
        shares.give(number, topicPartitions[0]?.partitions ?? [])
        news = { topicPartitions }
        continue
      }
    }
    await setTimeout(heartbeatMs)
  }
}

async function join(options: Options, member: Member): Promise<Result> {
  const { topic, partitions } = options
  const open = () => Peer.open(options.port)
  const peers = await Promise.all(Array.from({ length: partitions }, open))
  await createTopic(peers[0] as Peer, options)
  await untilCoordinated(peers[0] as Peer, 'group', `${topic}-group`)
  const shares = new Shares(partitions)
  const cpuBefore = cpuSeconds(options.pid)
  const startedMs = performance.now()
  await Promise.all(peers.map((peer, number) => member(peer, number, options, shares)))
  const seconds = (performance.now() - startedMs) / 1000
  for (const peer of peers) peer.close()
  return { seconds, cpuSeconds: cpuSeconds(options.pid) - cpuBefore }
}

/** As many members as partitions, by JoinGroup and SyncGroup. */
export const joinClassic = (options: Options): Promise<Result> => join(options, classicMember)

/** The same by ConsumerGroupHeartbeat. */
export const joinConsumer = (options: Options): Promise<Result> => join(options, consumerMember)

/**
 * Many consumer groups that go about their business: each has a member that says it is alive and commits an
 * offset in turn. What a request costs should not depend on how many groups there are.
 */
import { setTimeout } from 'node:timers/promises'
import { apis } from '../../protocol/apis.ts'
import { errorByCode } from '../../protocol/errors.ts'
import { encodeRequest } from '../../protocol/frame.ts'
import { cpuSeconds } from './broker-cpu.ts'
import { type Options, type Result, summary } from './options.ts'
import { atRate } from './paced.ts'
import { decode, Peer } from './peer.ts'
import { createTopic, untilCoordinated } from './requests.ts'

const versions = { joinGroup: 9, syncGroup: 5, heartbeat: 4, offsetCommit: 8 }
const head = { correlationId: 1, clientId: 'bench' }

interface Member {
  readonly peer: Peer
  readonly heartbeat: readonly Buffer[]
  readonly commit: readonly Buffer[]
}

/** A group of one member, which has joined. */
async function join(options: Options, groupId: string): Promise<Member> {
  const peer = await Peer.open(options.port)
  const group = { groupId, groupInstanceId: null, protocolType: 'consumer' }
  let memberId = ''
  for (;;) {
    const joined = await peer.call(apis.joinGroup, versions.joinGroup, {
      ...{ ...group, memberId, sessionTimeoutMs: 45_000, rebalanceTimeoutMs: 60_000, reason: null },
      protocols: [{ name: 'range', metadata: Buffer.alloc(0) }],
    })
    memberId = joined.memberId
    if (joined.errorCode === 0) {
      const { generationId, protocolName } = joined
      const { errorCode } = await peer.call(apis.syncGroup, versions.syncGroup, {
        ...{ ...group, memberId, generationId, protocolName },
        assignments: [{ memberId, assignment: Buffer.alloc(0) }],
      })
      if (errorCode !== 0) throw new Error(`SyncGroup was answered with error ${errorCode}`)
      return { peer, ...framesOf(options.topic, { groupId, memberId, generationId }) }
    }
    if (joined.errorCode !== 79 && !errorByCode(joined.errorCode).retriable) {
      throw new Error(`JoinGroup was answered with error ${joined.errorCode}`)
    }
    if (joined.errorCode !== 79) await setTimeout(20)
  }
}

function framesOf(
  name: string,
  member: { groupId: string; memberId: string; generationId: number },
): Pick<Member, 'heartbeat' | 'commit'> {
  const { groupId, memberId, generationId } = member
  const partition = { partitionIndex: 0, committedOffset: 1000, committedMetadata: '' }
  return {
    heartbeat: encodeRequest(apis.heartbeat.request, versions.heartbeat, head, {
      ...{ groupId, memberId, generationId, groupInstanceId: null },
    }),
    commit: encodeRequest(apis.offsetCommit.request, versions.offsetCommit, head, {
      ...{ groupId, memberId, generationIdOrMemberEpoch: generationId, groupInstanceId: null },
      topics: [{ name, partitions: [partition] }],
    }),
  }
}

function checkHeartbeat(answer: Buffer): void {
  const { errorCode } = decode(apis.heartbeat, versions.heartbeat, answer)
  if (errorCode !== 0) throw new Error(`Heartbeat was answered with error ${errorCode}`)
}

function checkCommit(answer: Buffer): void {
  const { topics } = decode(apis.offsetCommit, versions.offsetCommit, answer)
  const code = topics[0]?.partitions[0]?.errorCode
  if (code !== 0) throw new Error(`OffsetCommit was answered with error ${code}`)
}

/** Requests at a steady rate, each of the next of so many `groups`: a heartbeat, then a commit. */
export async function steadyGroups(options: Options): Promise<Result> {
  const { topic, groups, ratePerSecond } = options
  const first = await Peer.open(options.port)
  await createTopic(first, { ...options, partitions: 1 })
  await untilCoordinated(first, 'group', `${topic}-0`)
  first.close()
  const ids = Array.from({ length: groups }, (_, number) => `${topic}-${number}`)
  const members = await Promise.all(ids.map((groupId) => join(options, groupId)))
  const latenciesMs: number[] = []
  const total = Math.floor(ratePerSecond * options.seconds)
  const cpuBefore = cpuSeconds(options.pid)
  const startedMs = performance.now()
  await new Promise<void>((resolve, reject) => {
    const send = (number: number): boolean => {
      if (number >= total) return false
      const { peer, heartbeat, commit } = members[number % groups] as Member
      const isCommit = Math.floor(number / groups) % 2 === 1
      const sentMs = performance.now()
      peer.exchange(isCommit ? commit : heartbeat, (answer) => {
        latenciesMs.push(performance.now() - sentMs)
        try {
          if (isCommit) checkCommit(answer)
          else checkHeartbeat(answer)
        } catch (error) {
          reject(error)
        }
        if (latenciesMs.length === total) resolve()
      })
      return true
    }
    atRate(ratePerSecond, send).catch(reject)
  })
  const seconds = (performance.now() - startedMs) / 1000
  const used = { cpuSeconds: cpuSeconds(options.pid) - cpuBefore }
  for (const { peer } of members) peer.close()
  return { ...summary(latenciesMs, seconds, 0, 0), ...used }
}

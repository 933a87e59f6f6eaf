/**
 * A member of a group that joins it a second time and then commits as of the generation before: it must be
 * refused, and what it tried to commit must never be there.
 */
import { apis } from '../../protocol/apis.ts'
import { errorByCode, errors, KafkaError } from '../../protocol/errors.ts'
import { fetchCommitted } from '../../src/client/offsets.ts'
import { type Client, restDuringFaults, type Stage, startClient } from './stage.ts'
import { Violation } from './violation.ts'

/** What it tries to commit; nobody else commits so much. */
const forbiddenOffset = 1_000_000

/** Until the run is healed. */
export async function commitTooLate(stage: Stage, name: string): Promise<void> {
  const client = startClient(stage, name)
  const topic = client.random.pick(stage.temper.topics).name
  const roundMs = stage.temper.durationMs / 5
  for (let round = 0; !stage.isHealed; round++) {
    try {
      await tryOnce(stage, client, { group: `${name}.${round}`, topic })
    } catch (error) {
      if (error instanceof Violation) throw error
      stage.trace.say(name, (error as Error).message)
    }
    await restDuringFaults(stage, client, client.random.float() * roundMs)
  }
  client.cluster.close()
}

async function tryOnce(
  { trace }: Stage,
  client: Client,
  { group, topic }: { group: string; topic: string },
): Promise<void> {
  const { cluster, name } = client
  const first = await join(client, group, '')
  const second = await joinAlone(client, group, first.memberId)
  if (second.generationId <= first.generationId) {
    throw new Violation(
      `${group} had generation ${first.generationId}, then ${second.generationId}`,
    )
  }
  const row = {
    partitionIndex: 0,
    committedOffset: forbiddenOffset,
    committedLeaderEpoch: -1,
    committedMetadata: '',
  }
  const answer = await cluster.callCoordinator(
    { type: 'group', id: group },
    apis.offsetCommit,
    {
      groupId: group,
      memberId: first.memberId,
      groupInstanceId: null,
      generationIdOrMemberEpoch: first.generationId,
      topics: [{ name: topic, partitions: [row] }],
    },
    { versionMin: 2, versionMax: 9 },
  )
  const error = errorByCode(answer.topics[0]?.partitions[0]?.errorCode ?? -1)
  trace.say(name, `commits too late to ${group}: ${error.name}`)
  const rows = await fetchCommitted(cluster, group, [{ topic, partition: 0 }])
  if (error === errors.NONE || rows.some(({ offset }) => offset === forbiddenOffset)) {
    throw new Violation(`${group} took a commit of generation ${first.generationId}`)
  }
}

/** Joins, and leads: the group is stable then. */
export async function joinAlone(client: Client, group: string, memberId = '') {
  const joined = await join(client, group, memberId)
  await sync(client, group, joined)
  return joined
}

async function sync(
  { cluster }: Client,
  group: string,
  { memberId, generationId }: { memberId: string; generationId: number },
): Promise<void> {
  const request = {
    groupId: group,
    generationId,
    memberId,
    groupInstanceId: null,
    protocolType: 'consumer',
    protocolName: 'range',
    assignments: [{ memberId, assignment: Buffer.alloc(0) }],
  }
  const key = { type: 'group', id: group } as const
  const answer = await cluster.callCoordinator(key, apis.syncGroup, request, { versionMax: 3 })
  if (answer.errorCode !== 0) throw new KafkaError(errorByCode(answer.errorCode))
}

async function join({ cluster }: Client, group: string, memberId: string) {
  const key = { type: 'group', id: group } as const
  const request = {
    groupId: group,
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 10_000,
    memberId,
    groupInstanceId: null,
    protocolType: 'consumer',
    // Another subscription makes another generation.
    protocols: [{ name: 'range', metadata: Buffer.from(memberId === '' ? 'first' : 'second') }],
    reason: null,
  }
  const answer = await cluster.callCoordinator(key, apis.joinGroup, request, { versionMax: 3 })
  if (answer.errorCode !== 0) throw new KafkaError(errorByCode(answer.errorCode))
  return answer
}

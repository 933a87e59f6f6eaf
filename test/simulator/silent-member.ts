/**
 * A member of a group that heartbeats for longer than its session lasts, and then says nothing more: as
 * long as it speaks it stays a member, and soon after its session has ended it is none any more.
 */
import { apis } from '../../protocol/apis.ts'
import { errorByCode, KafkaError } from '../../protocol/errors.ts'
import type { BrokerHost } from './broker-host.ts'
import { joinAlone } from './outdated-member.ts'
import { type Client, type Stage, sleep, startClient } from './stage.ts'
import { Violation } from './violation.ts'

const sessionMs = 10_000
const heartbeatMs = 2_500
/** How often it says that it lives. */
const heartbeats = 6
/** How late its end may be noticed. */
const lateMsMax = 2_000

/** Once the run is healed: before, a fault could excuse everything. */
export async function fallSilent(stage: Stage, host: BrokerHost, name: string): Promise<void> {
  await stage.healed
  const client = startClient(stage, name)
  for (let round = 0; !host.areOffsetsDamaged; round++) {
    await host.ready()
    const { starts } = host
    const isSame = (): boolean => host.starts === starts && host.isUp
    try {
      await tryOnce(client, `${name}.${round}`, isSame)
      if (isSame()) break
    } catch (error) {
      if (error instanceof Violation) throw error
      stage.trace.say(name, (error as Error).message)
    }
    await sleep(client.environment, 1_000)
  }
  client.cluster.close()
}

/** A verdict counts only while the broker is the same. */
async function tryOnce(client: Client, group: string, isSame: () => boolean): Promise<void> {
  const { environment, cluster } = client
  const { memberId, generationId } = await joinAlone(client, group)
  const key = { type: 'group', id: group } as const
  const request = { groupId: group, generationId, memberId, groupInstanceId: null }
  for (let i = 0; i < heartbeats; i++) {
    await sleep(environment, heartbeatMs)
    const { errorCode } = await cluster.callCoordinator(key, apis.heartbeat, request)
    const error = errorByCode(errorCode)
    if (error.retriable || !isSame()) throw new KafkaError(error)
    if (errorCode !== 0) {
      throw new Violation(`${group} answered a heartbeat in time with ${error.name}`)
    }
  }
  await sleep(environment, sessionMs + lateMsMax)
  const answer = await cluster.callCoordinator(key, apis.describeGroups, { groups: [group] })
  const described = answer.groups[0]
  const { groupState = '', members = [] } = described ?? {}
  if (described?.errorCode !== 0 || !isSame() || members.length === 0) return
  const late = `${sessionMs + lateMsMax} ms after the last heartbeat`
  throw new Violation(`${group} is ${groupState} with ${members.length} member, ${late}`)
}

/**
 * Two members of a share group (KIP-932): each acquires records of what it is given, accepts most of them,
 * rejects some and gives others back. What was accepted or rejected, and answered so, is delivered to
 * nobody again.
 */
import { apis } from '../../protocol/apis.ts'
import { errorByCode, errors, KafkaError } from '../../protocol/errors.ts'
import type { Connection } from '../../src/client/connection.ts'
import type { BrokerHost } from './broker-host.ts'
import { type Beat, type Beaten, GroupMember, told } from './modern-members.ts'
import { type Client, restDuringFaults, type Stage, sleep, startClient } from './stage.ts'
import type { SimulatedTopic } from './swarm.ts'
import { Violation } from './violation.ts'

const heartbeatMs = 2_000
const types = { accept: 1, release: 2, reject: 3 } as const

/** Settled by an acknowledgement that was answered. */
interface Settled {
  readonly atMs: number
  /** Of what groups record, and of the partition, by then: a loss takes it back. */
  readonly losses: number
  readonly truncations: number
}

interface Acquired {
  readonly partition: number
  readonly firstOffset: number
  readonly lastOffset: number
}

export async function share(stage: Stage, host: BrokerHost, name: string): Promise<void> {
  const clients = ['a', 'b'].map((which) => startClient(stage, `${name}.${which}`))
  const topic = (clients[0] as Client).random.pick(stage.temper.topics)
  /** By partition and offset. */
  const settled = new Map<string, Settled>()
  await Promise.all(
    clients.map(async (client) => {
      const options = { groupId: name, topic, heartbeat: shareHeartbeat, others: [] }
      const member = new GroupMember(stage, host, client, options)
      const sharer = new Sharer(stage, host, client, { topic, groupId: name, member, settled })
      let isServed = false
      while (!stage.isHealed || !isServed) {
        await member.beat()
        isServed = await sharer.round()
        const pauseMs = heartbeatMs * (0.5 + client.random.float())
        if (stage.isHealed) await sleep(client.environment, pauseMs)
        else await restDuringFaults(stage, client, pauseMs)
      }
      client.cluster.close()
    }),
  )
}

interface SharerOptions {
  readonly topic: SimulatedTopic
  readonly groupId: string
  readonly member: GroupMember
  readonly settled: Map<string, Settled>
}

class Sharer {
  readonly #stage: Stage
  readonly #host: BrokerHost
  readonly #client: Client
  readonly #options: SharerOptions

  constructor(stage: Stage, host: BrokerHost, client: Client, options: SharerOptions) {
    this.#stage = stage
    this.#host = host
    this.#client = client
    this.#options = options
  }

  /** Acquires, in a session of its own, and acknowledges. True: it was answered. */
  async round(): Promise<boolean> {
    const { topic, member } = this.#options
    const { cluster, name } = this.#client
    const partitions = [...member.owned]
    if (partitions.length === 0) return false
    try {
      const { topicId } = await cluster.topic(topic.name)
      const leader = await cluster.leader(topic.name, partitions[0] as number)
      const connection = await cluster.connectionTo(leader, 'fetch')
      const acquired = await this.#acquire(connection, topicId, partitions)
      if (acquired.length > 0) await this.#acknowledge(connection, topicId, acquired)
      return true
    } catch (error) {
      if (error instanceof Violation) throw error
      this.#stage.trace.say(name, `share: ${(error as Error).message}`)
      cluster.metadata.forget(topic.name)
      return false
    }
  }

  async #acquire(
    connection: Connection,
    topicId: string,
    partitions: readonly number[],
  ): Promise<Acquired[]> {
    const { groupId, member } = this.#options
    const askedMs = this.#stage.world.nowMs
    const answer = await connection.call(apis.shareFetch, {
      groupId,
      memberId: member.memberId,
      shareSessionEpoch: 0,
      maxWaitMs: 200,
      minBytes: 1,
      maxBytes: 1_000_000,
      maxRecords: 20,
      batchSize: 20,
      topics: [
        {
          topicId,
          partitions: partitions.map((partitionIndex) => {
            return { partitionIndex, acknowledgementBatches: [] }
          }),
        },
      ],
      forgottenTopicsData: [],
    })
    throwIfError(answer.errorCode)
    const acquired: Acquired[] = []
    for (const { partitionIndex: partition, acquiredRecords } of answer.responses[0]?.partitions ??
      []) {
      for (const { firstOffset, lastOffset } of acquiredRecords) {
        this.#mustBeOpen({ partition, firstOffset, lastOffset }, askedMs)
        acquired.push({ partition, firstOffset, lastOffset })
      }
    }
    return acquired
  }

  #mustBeOpen({ partition, firstOffset, lastOffset }: Acquired, askedMs: number): void {
    const { topic, settled, groupId } = this.#options
    this.#stage.trace.say(
      this.#client.name,
      `acquires ${firstOffset} to ${lastOffset} of ${partition}`,
    )
    for (let offset = firstOffset; offset <= lastOffset; offset++) {
      const known = settled.get(`${partition} ${offset}`)
      if (known === undefined || known.atMs >= askedMs) continue
      if (known.losses !== this.#host.offsetsLost) continue
      if (known.truncations !== this.#truncations(partition)) continue
      const where = `${offset} of ${topic.name}-${partition}`
      throw new Violation(`${groupId} delivers ${where} again, which was acknowledged for good`)
    }
  }

  async #acknowledge(
    connection: Connection,
    topicId: string,
    acquired: readonly Acquired[],
  ): Promise<void> {
    const { groupId, member, settled } = this.#options
    const { random } = this.#client
    const losses = this.#host.offsetsLost
    const said = acquired.map((range) => {
      const roll = random.float()
      const type = roll < 0.7 ? types.accept : roll < 0.9 ? types.release : types.reject
      return { ...range, type, truncations: this.#truncations(range.partition) }
    })
    const rows = [...new Set(said.map(({ partition }) => partition))].map((partitionIndex) => ({
      partitionIndex,
      acknowledgementBatches: said
        .filter(({ partition }) => partition === partitionIndex)
        .map(({ firstOffset, lastOffset, type }) => {
          return { firstOffset, lastOffset, acknowledgeTypes: [type] }
        }),
    }))
    const answer = await connection.call(apis.shareAcknowledge, {
      groupId,
      memberId: member.memberId,
      shareSessionEpoch: 1,
      topics: [{ topicId, partitions: rows }],
    })
    throwIfError(answer.errorCode)
    // A group that was lost is set up anew, from the beginning, with the first who joins it again.
    if (!member.isSure) return
    const atMs = this.#stage.world.nowMs
    for (const { partitionIndex, errorCode } of answer.responses[0]?.partitions ?? []) {
      const error = errorByCode(errorCode)
      this.#stage.trace.say(this.#client.name, `acknowledges ${partitionIndex}: ${error.name}`)
      if (error !== errors.NONE) continue
      for (const { partition, firstOffset, lastOffset, type, truncations } of said) {
        if (partition !== partitionIndex || type === types.release) continue
        for (let offset = firstOffset; offset <= lastOffset; offset++) {
          settled.set(`${partition} ${offset}`, { atMs, losses, truncations })
        }
      }
    }
  }

  #truncations(partition: number): number {
    return this.#stage.history.partition(this.#options.topic.name, partition).truncations
  }
}

function throwIfError(errorCode: number): void {
  const error = errorByCode(errorCode)
  if (error !== errors.NONE) throw new KafkaError(error)
}

async function shareHeartbeat(connection: Connection, beat: Beat): Promise<Beaten> {
  const { groupId, memberId, memberEpoch, topic } = beat
  const answer = await connection.call(apis.shareGroupHeartbeat, {
    groupId,
    memberId,
    memberEpoch,
    rackId: null,
    subscribedTopicNames: memberEpoch === 0 ? [topic.name] : null,
  })
  const { errorCode, memberEpoch: epoch, assignment } = answer
  return { errorCode, memberEpoch: epoch, partitions: told(assignment) }
}

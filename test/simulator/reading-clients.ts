/**
 * Clients that read: members of a group that begin where the group has committed, and readers without a
 * group that remember their place. Both see offsets without gaps; whatever they see enters the history.
 */
import { Consumer } from '../../src/client/consumer.ts'
import { isAnswer } from '../../src/client/failures.ts'
import type { PartitionRecords } from '../../src/client/fetcher.ts'
import type { PartitionHistory } from './history.ts'
import { type Client, type Stage, sleep, startClient } from './stage.ts'
import { Violation } from './violation.ts'

/** What a reader expects of a partition. */
interface Place {
  next: number
  highWatermark: number
  /** Those of the partition when the reader began; -1: it has to begin anew. */
  losses: number
}

/** A reader's expectations; they are void once the partition has legitimately lost something. */
export class Places {
  readonly #stage: Pick<Stage, 'history' | 'trace'>
  readonly #name: string
  readonly #places = new Map<PartitionHistory, Place>()

  constructor(stage: Pick<Stage, 'history' | 'trace'>, name: string) {
    this.#stage = stage
    this.#name = name
  }

  /** The reader begins anew somewhere in this partition. */
  begin(partition: PartitionHistory): void {
    const { losses } = partition
    this.#places.set(partition, { next: -1, highWatermark: -1, losses })
  }

  /**
   * What a poll gave. False: it may have been fetched before the partition lost some of it, so that it
   * says nothing of the partition as it is; the reader has to begin anew there.
   */
  take({ topic, partition: index, records, highWatermark }: PartitionRecords): boolean {
    const { history, trace } = this.#stage
    const partition = history.partition(topic, index)
    const place = this.#places.get(partition)
    if (place === undefined) throw new Violation(`${this.#name} was given what it did not ask for`)
    if (partition.needsAudit) place.losses = -1
    if (place.losses !== partition.losses) return false
    if (highWatermark < place.highWatermark) {
      throw new Violation(
        `${this.#name} saw the high watermark of ${partition.name} go back from ` +
          `${place.highWatermark} to ${highWatermark}`,
      )
    }
    place.highWatermark = highWatermark
    partition.end = Math.max(partition.end, highWatermark)
    if (trace.isOn) {
      const offsets = `${records[0]?.offset} to ${records.at(-1)?.offset}`
      trace.say(
        this.#name,
        `reads ${offsets} of ${partition.name}, high watermark ${highWatermark}`,
      )
    }
    for (const { offset, value } of records) {
      if (
        offset !== place.next &&
        place.next >= 0 &&
        !this.#maySkip(partition, place.next, offset)
      ) {
        throw new Violation(
          `${this.#name} was given ${offset} of ${partition.name} after ${place.next - 1}`,
        )
      }
      history.see(this.#name, topic, index, offset, `${value}`)
      place.next = offset + 1
    }
    return true
  }

  #maySkip({ startMax }: PartitionHistory, next: number, offset: number): boolean {
    return offset > next && next < startMax
  }
}

interface Reading {
  readonly stage: Stage
  readonly client: Client
  readonly consumer: Consumer
  readonly places: Places
}

/**
 * Hands what a poll gave to the places; where it is void, the reader begins anew after a rest: in a
 * partition that is damaged all is void for good.
 */
async function takeAll(
  { stage, client, consumer, places }: Reading,
  polled: readonly PartitionRecords[],
): Promise<void> {
  const isVoid = polled.filter((records) => !places.take(records))
  if (isVoid.length === 0) return
  const { history, temper } = stage
  await sleep(client.environment, temper.durationMs > 600_000 ? 60_000 : 100)
  for (const records of isVoid) {
    places.begin(history.partition(records.topic, records.partition))
    consumer.seek(records, 'earliest')
  }
}

/** One poll. What is damaged is stepped over, offset by offset: else nothing beside it would be read. */
async function poll(reading: Reading, timeoutMs: number): Promise<PartitionRecords[]> {
  const { consumer, places, stage } = reading
  try {
    return await consumer.poll({ timeoutMs })
  } catch (error) {
    if (!isAnswer(error, 'CORRUPT_MESSAGE')) throw error
    for (const assigned of consumer.assignment) {
      const partition = stage.history.partition(assigned.topic, assigned.partition)
      const position = consumer.position(assigned)
      if (partition.damage === null || position === undefined) continue
      places.begin(partition)
      consumer.seek(assigned, position + 1)
    }
    return []
  }
}

/** A member of a group, until the run is over; its process may be killed and followed by another. */
export async function readInGroup(stage: Stage, name: string, groupId: string): Promise<void> {
  for (let life = 0; !isOver(stage); life++) {
    const client = startClient(stage, `${name}.${life}`)
    const diesAtMs = drawDeath(stage, client)
    await Promise.race([liveInGroup(stage, client, groupId), sleep(stageClock(stage), diesAtMs)])
    if (isOver(stage)) return
    stage.trace.fault('client killed', client.name)
    stage.world.kill(client.process)
  }
}

function stageClock({ world }: Stage) {
  return world.director.environment
}

function drawDeath({ temper, world }: Stage, { random }: Client): number {
  const isMortal = temper.blows.kill > 0 && random.chance(0.5)
  const leftMs = Math.max(0, temper.durationMs - world.nowMs)
  return isMortal && leftMs > 1_000 ? random.between(1_000, leftMs) : 2 ** 31 - 1
}

function isOver({ isWritten }: Stage): boolean {
  return isWritten
}

async function liveInGroup(stage: Stage, client: Client, groupId: string): Promise<void> {
  const { random, environment, name, cluster } = client
  const isLong = stage.temper.durationMs > 600_000
  while (!isOver(stage)) {
    const places = new Places(stage, name)
    const consumer = new Consumer(cluster, {
      groupId,
      autoOffsetReset: 'earliest',
      autoCommitIntervalMs: isLong ? 60_000 : 500,
      sessionTimeoutMs: isLong ? 300_000 : 6_000,
      heartbeatIntervalMs: isLong ? 60_000 : 2_000,
      fetchMaxWaitMs: isLong ? 120_000 : 500,
      maxPollIntervalMs: isLong ? 250_000 : 60_000,
    })
    const reading = { stage, client, consumer, places }
    const begin = (assigned: readonly { topic: string; partition: number }[]): void => {
      for (const { topic, partition } of assigned) {
        places.begin(stage.history.partition(topic, partition))
      }
    }
    consumer.subscribe(
      stage.temper.topics.map((topic) => topic.name),
      { onAssigned: begin },
    )
    try {
      while (!isOver(stage)) {
        const polled = await poll(reading, isLong ? 120_000 : 500)
        await takeAll(reading, polled)
        if (random.chance(0.01) && !stage.isHealed) break
      }
      await consumer.close()
    } catch (error) {
      if (error instanceof Violation) throw error
      stage.trace.say(name, `begins anew: ${(error as Error).message}`)
      await consumer.close().catch((closing: Error) => stage.trace.say(name, closing.message))
      await sleep(environment, 200)
    }
  }
  cluster.close()
}

/** Reads all partitions from the beginning, and remembers its places itself. */
export async function readAlone(stage: Stage, name: string): Promise<void> {
  const client = startClient(stage, name)
  const { cluster, environment } = client
  const isLong = stage.temper.durationMs > 600_000
  const places = new Places(stage, name)
  const partitions = stage.temper.topics.flatMap(({ name: topic, partitions: count }) =>
    Array.from({ length: count }, (_, partition) => ({ topic, partition })),
  )
  while (!isOver(stage)) {
    // Who hurries asks hundreds of times a second: not for as long as it takes until all is finished.
    const { isHealed } = stage
    const consumer = new Consumer(cluster, {
      autoOffsetReset: 'earliest',
      fetchMaxWaitMs: isLong ? 120_000 : client.random.pick(isHealed ? [500] : [1, 100, 500]),
      partitionMaxBytes: client.random.pick([100, 2_000, 1_000_000]),
    })
    for (const one of partitions) places.begin(stage.history.partition(one.topic, one.partition))
    consumer.assign(partitions.map((partition) => ({ ...partition, offset: 'earliest' as const })))
    const reading = { stage, client, consumer, places }
    try {
      while (!isOver(stage) && stage.isHealed === isHealed) {
        const polled = await poll(reading, isLong ? 120_000 : 500)
        await takeAll(reading, polled)
      }
    } catch (error) {
      if (error instanceof Violation) throw error
      stage.trace.say(name, `begins anew: ${(error as Error).message}`)
      await sleep(environment, 500)
    }
    await consumer.close()
  }
  cluster.close()
}

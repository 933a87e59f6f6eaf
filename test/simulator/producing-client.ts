/**
 * A client that writes: bursts of records with pauses between them, with one kind of producer. A patient
 * one tries until it is over; whatever it sent must be acknowledged once the faults have ended.
 */

import { KafkaError } from '../../protocol/errors.ts'
import { type Compression, canCompress } from '../../protocol/records/compression/compression.ts'
import { isAnswer, TimeoutError } from '../../src/client/failures.ts'
import type { Delivery } from '../../src/client/partition-queue.ts'
import { Producer } from '../../src/client/producer.ts'
import { nameOf, type ProducerPromise, type SentRecord } from './history.ts'
import type { SeededRandom } from './random.ts'
import { type Client, restDuringFaults, type Stage, sleep, startClient } from './stage.ts'
import { batchBytesMax, type Temper } from './swarm.ts'
import { Violation } from './violation.ts'

export interface ProducerKind {
  readonly acks: -1 | 0 | 1
  readonly idempotence: boolean
  readonly isPatient: boolean
  readonly lingerMs: number
  readonly compression: Compression
  readonly batchBytes: number
}

/** How long ago what a record tells of may have been. */
const tardyMsMax = 60_000

const patientMs = 48 * 3_600_000

export function drawProducerKind(random: SeededRandom): ProducerKind {
  const idempotence = random.chance(0.65)
  const acks = idempotence ? -1 : random.pick([-1, 1, 1, 0] as const)
  return {
    acks,
    idempotence,
    isPatient: acks === 0 || random.chance(0.75),
    lingerMs: random.pick([0, 0, 5, 50]),
    compression: available(random.pick(['none', 'none', 'none', 'gzip', 'snappy', 'lz4'] as const)),
    batchBytes: random.pick([200, 1_000, 16_384]),
  }
}

/** lz4 is native code, which may be missing. */
const available = (codec: Compression): Compression => (canCompress(codec) ? codec : 'gzip')

/** Resolves when everything was sent and its fate is known. */
export async function produce(stage: Stage, name: string, records: number): Promise<void> {
  const { world, temper } = stage
  // Who gives up does so after the time for the delivery of a record.
  const client = startClient(stage, name, { isPatient: true })
  const kind = drawProducerKind(client.random)
  const promise: ProducerPromise = { name, isIdempotent: kind.idempotence, hasGap: false }
  stage.trace.say(name, `starts: ${JSON.stringify(kind)}`)
  const producer = new Producer(client.cluster, {
    ...kind,
    batchBytes: Math.min(kind.batchBytes, batchBytesMax(temper.topics)),
    deliveryTimeoutMs: kind.isPatient ? patientMs : client.random.between(2_000, 30_000),
  })
  const endMs = world.nowMs + temper.durationMs
  for (let sequence = 0; sequence < records; ) {
    const burst = Math.min(records - sequence, client.random.between(1, 20))
    for (let i = 0; i < burst; i++) send({ stage, client, kind, promise, producer }, sequence++)
    const left = Math.max(0, endMs - world.nowMs)
    const pauseMs = (2 * left * burst * client.random.float()) / Math.max(burst, records - sequence)
    if (stage.isHealed) await sleep(client.environment, 5)
    else await restDuringFaults(stage, client, Math.min(pauseMs, left))
  }
  await producer.close()
  client.cluster.close()
  stage.trace.say(name, 'is done')
}

interface Sending {
  readonly stage: Stage
  readonly client: Client
  readonly kind: ProducerKind
  readonly promise: ProducerPromise
  readonly producer: Producer
}

function send({ stage, client, kind, promise, producer }: Sending, sequence: number): void {
  const { history, trace, temper } = stage
  const { random } = client
  const topic = random.pick(temper.topics)
  const key = random.chance(0.3) ? `key${random.between(0, 9)}` : null
  const filler = 'x'.repeat(fillerBytes(random, temper))
  const value = `${promise.name}/${sequence} ${filler}`
  // Drawn only where there are some: other seeds keep their course.
  const isTardy = temper.tardyChance > 0 && random.chance(temper.tardyChance)
  const timestamp = client.environment.clock.now() - (isTardy ? random.between(1, tardyMsMax) : 0)
  const record = history.send({
    producer: promise,
    sequence,
    topic: topic.name,
    value,
    key,
    timestamp,
  })
  const partition = key === null ? random.between(0, topic.partitions - 1) : undefined
  producer.add(
    {
      topic: topic.name,
      partition,
      key: key === null ? null : Buffer.from(key),
      value: Buffer.from(value),
      timestamp,
    },
    (error, delivery) => {
      try {
        settle(error, delivery)
      } catch (violation) {
        stage.fail(violation)
      }
    },
  )
  function settle(error: Error | null, delivery: Delivery): void {
    if (error !== null) {
      trace.say(promise.name, `gave up ${sequence}: ${error.message}`)
      promise.hasGap = true
      record.state = 'failed'
      checkFailure(stage, record, kind, error, delivery.partition)
    } else if (kind.acks !== 0) {
      if (trace.isOn) {
        trace.say(
          promise.name,
          `${sequence} is at ${delivery.offset} of ${topic.name}-${delivery.partition}`,
        )
      }
      history.acknowledge(record, delivery.partition, delivery.offset)
    }
  }
}

function fillerBytes(random: SeededRandom, { largeChance, wideChance }: Temper): number {
  if (random.chance(largeChance)) return random.between(5_000, 200_000)
  return random.chance(wideChance) ? random.between(300, 3_000) : random.between(0, 60)
}

/** Only those give up who are impatient, or whose producer state a fault was allowed to take. */
function checkFailure(
  { history, temper }: Stage,
  record: SentRecord,
  kind: ProducerKind,
  error: Error,
  index: number,
): void {
  if (error instanceof TimeoutError && !kind.isPatient) return
  const partition = history.partition(record.topic, Math.max(0, index))
  const isExcused = partition.truncations > 0 || partition.needsAudit
  if (isExcused && error instanceof KafkaError) return
  // Of a producer a restart knows the last batch where retention took those before: as in Kafka, one of
  // them that is sent again then does not follow.
  if (isAnswer(error, 'OUT_OF_ORDER_SEQUENCE_NUMBER') && partition.startMax > 0) return
  // What went without sequence numbers twice may be refused for nothing else.
  if (isAnswer(error, 'INVALID_TIMESTAMP') && temper.blows.clockJump > 0) return
  throw new Violation(`${nameOf(record)} to ${partition.name} was given up: ${error.message}`)
}

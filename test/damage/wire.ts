/** The few requests that the damage run sends, each to the one broker there is, none of them repeated. */
import { apis } from '../../protocol/apis.ts'
import { errorByCode, KafkaError } from '../../protocol/errors.ts'
import type { Compression } from '../../protocol/records/compression/compression.ts'
import { encodeBatch } from '../../protocol/records/record.ts'
import { Connection } from '../../src/client/connection.ts'
import { createNodeEnvironment } from '../../src/environment/node/environment.ts'

export const environment = createNodeEnvironment({ log: { level: 'silent' } })

export function connect(port: number): Promise<Connection> {
  return Connection.open(
    environment,
    { host: '127.0.0.1', port },
    { clientId: 'damage', connectTimeoutMs: 5_000, requestTimeoutMs: 15_000 },
  )
}

function throwIf(errorCode: number): void {
  if (errorCode !== 0) throw new KafkaError(errorByCode(errorCode))
}

export async function newProducerId(connection: Connection): Promise<number> {
  const answer = await connection.call(apis.initProducerId, {
    transactionalId: null,
    transactionTimeoutMs: 60_000,
  })
  throwIf(answer.errorCode)
  return answer.producerId
}

export interface ProducedBatch {
  readonly topic: string
  readonly partition: number
  readonly values: readonly string[]
  readonly compression?: Compression
  readonly producerId?: number
  readonly producerEpoch?: number
  readonly baseSequence?: number
}

/** Sends one batch with acks=all and gives its first offset. Throws KafkaError as the broker answers. */
export async function produce(connection: Connection, batch: ProducedBatch): Promise<number> {
  const { topic, partition, values, compression, producerId, producerEpoch, baseSequence } = batch
  const timestamp = environment.clock.now()
  const records = encodeBatch({
    records: values.map((value) => ({
      timestamp,
      key: Buffer.from(value.slice(0, 24)),
      value: Buffer.from(value),
    })),
    baseOffset: 0,
    ...(compression === undefined ? {} : { compression }),
    ...(producerId === undefined
      ? {}
      : { producerId, producerEpoch: producerEpoch ?? 0, baseSequence: baseSequence ?? 0 }),
  })
  const answer = await connection.call(
    apis.produce,
    {
      transactionalId: null,
      acks: -1,
      timeoutMs: 10_000,
      topicData: [{ name: topic, partitionData: [{ index: partition, records: [records] }] }],
    },
    { versionMax: 12 },
  )
  const row = answer.responses[0]!.partitionResponses[0]!
  throwIf(row.errorCode)
  return row.baseOffset
}

export interface FetchedBytes {
  readonly errorCode: number
  readonly highWatermark: number
  readonly logStartOffset: number
  readonly bytes: Buffer
}

export async function fetch(
  connection: Connection,
  of: { readonly topic: string; readonly partition: number; readonly offset: number },
): Promise<FetchedBytes> {
  const partitionMaxBytes = 4 * 1024 * 1024
  const answer = await connection.call(
    apis.fetch,
    {
      maxWaitMs: 50,
      minBytes: 1,
      maxBytes: partitionMaxBytes,
      isolationLevel: 0,
      topics: [
        {
          topic: of.topic,
          partitions: [{ partition: of.partition, fetchOffset: of.offset, partitionMaxBytes }],
        },
      ],
    },
    { versionMax: 12 },
  )
  throwIf(answer.errorCode)
  const row = answer.responses[0]?.partitions[0]
  if (row === undefined) throw new Error(`Fetch did not answer for ${of.topic}-${of.partition}`)
  const { errorCode, highWatermark, logStartOffset, records } = row
  return { errorCode, highWatermark, logStartOffset, bytes: Buffer.concat(records ?? []) }
}

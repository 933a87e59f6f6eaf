/**
 * Records of a topic made records of a sink task, and back: headers, key and value by their converters, then the
 * transformations. What fails is told with its stage, and tolerated as the settings of the connector say.
 */
import type { BatchRecord } from '../../../protocol/records/record.ts'
import type { Settings } from '../config-def.ts'
import { headerConverterOf, type NamedHeaderConverter } from '../converters/header-converters.ts'
import { JsonConverter } from '../converters/json.ts'
import { converterOf, type NamedConverter } from '../converters/known-converters.ts'
import { nullValue, type SchemaAndValue } from '../data.ts'
import type { ConsumedRecord } from '../errors/consumed-record.ts'
import { Processing, type Tolerance } from '../errors/tolerance.ts'
import type { TopicPartition } from '../plugin.ts'
import type { ConnectHeader, SinkRecord } from '../records.ts'
import { TransformChain } from '../transforms/chain.ts'
import type { Worker } from './worker.ts'

export class SinkConversion {
  readonly #keyConverter: NamedConverter
  readonly #valueConverter: NamedConverter
  readonly #headerConverter: NamedHeaderConverter
  readonly #transforms: TransformChain
  readonly #onTopic: (topic: string) => void

  /** `onTopic`: a record of the topic was converted. Throws ConfigError, ConnectException. */
  constructor(worker: Worker, settings: Settings, onTopic: (topic: string) => void) {
    this.#keyConverter = converterOf('key.converter', settings, worker)
    this.#valueConverter = converterOf('value.converter', settings, worker)
    this.#headerConverter = headerConverterOf(settings, worker.settings)
    this.#transforms = new TransformChain(worker.plugins, settings)
    this.#onTopic = onTopic
  }

  /** Values are JSON without schema, and no transformation has to see them: a task may read them itself. */
  get keepsJson(): boolean {
    const { converter } = this.#valueConverter
    return converter instanceof JsonConverter && converter.isSchemaless && this.#transforms.isEmpty
  }

  /** Null: it failed and that is tolerated, or a transformation has dropped it. Rejects where it is not tolerated. */
  async convert(
    tolerance: Tolerance<ConsumedRecord>,
    consumed: ConsumedRecord,
  ): Promise<SinkRecord | null> {
    const { topic } = consumed
    const processing = new Processing(consumed)
    const { className: keyClass, converter: keys } = this.#keyConverter
    const { className: valueClass, converter: values } = this.#valueConverter
    const asKey = () => keys.toConnectData(topic, consumed.key)
    const asValue = () => values.toConnectData(topic, consumed.value)
    const key = await tolerance.execute(processing, 'KEY_CONVERTER', keyClass, asKey)
    const value = await tolerance.execute(processing, 'VALUE_CONVERTER', valueClass, asValue)
    const { className: headerClass } = this.#headerConverter
    const headers = await tolerance.execute(processing, 'HEADER_CONVERTER', headerClass, () =>
      this.#connectHeaders(topic, consumed.headers),
    )
    if (key === null || value === null || headers === null || processing.hasFailed) return null
    this.#onTopic(topic)
    const record = sinkRecordOf(consumed, consumed, { key, value, headers })
    return this.#transforms.apply(tolerance, processing, record)
  }

  /** The record with all but its value; null: there is something to wait for, or an error to tell. */
  withoutValue(from: TopicPartition, record: BatchRecord): SinkRecord | null {
    try {
      const key = this.#keyConverter.converter.toConnectData(from.topic, record.key)
      if (!(key instanceof Promise)) {
        const headers = this.#connectHeaders(from.topic, record.headers)
        return sinkRecordOf(from, record, { key, value: nullValue, headers })
      }
      key.catch(() => null)
    } catch {
      // It is converted again, and told there with the stage that it failed in.
    }
    return null
  }

  #connectHeaders(topic: string, raw: BatchRecord['headers']): readonly ConnectHeader[] {
    const { converter } = this.#headerConverter
    return raw.map((header) => {
      const { schema, value } = converter.toConnectHeader(topic, header.value)
      return { key: header.key, schema, value }
    })
  }

  /** A record that the task itself made, as it is now. */
  readonly toBytes = async (record: SinkRecord): Promise<ConsumedRecord> => {
    const { topic, keySchema, key, valueSchema, value } = record
    return {
      topic: record.originalTopic,
      partition: record.originalKafkaPartition,
      offset: record.originalKafkaOffset,
      timestamp: record.timestamp ?? -1,
      key: await this.#keyConverter.converter.fromConnectData(topic, keySchema, key),
      value: await this.#valueConverter.converter.fromConnectData(topic, valueSchema, value),
      headers: record.headers.map(({ key: name, schema, value: data }) => ({
        key: name,
        value: this.#headerConverter.converter.fromConnectHeader(topic, schema, data),
      })),
    }
  }
}

interface Converted {
  readonly key: SchemaAndValue
  readonly value: SchemaAndValue
  readonly headers: readonly ConnectHeader[]
}

function sinkRecordOf(
  { topic, partition }: TopicPartition,
  { offset, timestamp }: Pick<BatchRecord, 'offset' | 'timestamp'>,
  { key, value, headers }: Converted,
): SinkRecord {
  return {
    topic,
    kafkaPartition: partition,
    kafkaOffset: offset,
    originalTopic: topic,
    originalKafkaPartition: partition,
    originalKafkaOffset: offset,
    keySchema: key.schema,
    key: key.value,
    valueSchema: value.schema,
    value: value.value,
    timestamp: timestamp < 0 ? null : timestamp,
    headers,
  }
}

/**
 * The two clusters, as a connector's settings say to reach them: what stands behind `source.cluster.`, and for one kind
 * of clients behind `consumer.`, `producer.` and `admin.`, and behind `source.consumer.` and the like, each winning over
 * those before it.
 */

import type { BatchRecord } from '../../../protocol/records/record.ts'
import { parseAddress, splitAddresses } from '../../client/addresses.ts'
import { createTopics } from '../../client/admin/topics.ts'
import { Cluster } from '../../client/cluster.ts'
import { Consumer, type ConsumerOptions } from '../../client/consumer.ts'
import {
  ConnectionError,
  isAnswer,
  isRetriable,
  TimeoutError,
  TlsError,
} from '../../client/failures.ts'
import { type IsolationLevel, latest, listOffsets } from '../../client/offsets.ts'
import { readSecurity } from '../../client/security.ts'
import { ConfigError } from '../../config/definition.ts'
import type { Environment, Milliseconds } from '../../environment/environment.ts'
import type { Settings } from '../config-def.ts'
import { optionsOf } from '../converters/known-converters.ts'
import { ConnectException } from '../failures.ts'
import { sinkConsumerSettings } from '../runtime/client-settings.ts'

export type Side = 'source' | 'target'
type Client = 'admin' | 'consumer' | 'producer'

/** The settings of such clients, by their own names. */
function settingsOf(settings: Settings, side: Side, client: Client): Map<string, string> {
  return new Map([
    ...optionsOf(settings, `${side}.cluster.`),
    ...optionsOf(settings, `${client}.`),
    ...optionsOf(settings, `${side}.${client}.`),
  ])
}

export interface ClusterSettings {
  readonly environment: Environment
  readonly settings: Settings
  readonly timeoutMs: Milliseconds
  /** How the client is called: what it is for. */
  readonly role: string
}

/** Nothing is connected yet. Throws ConfigError. */
export function openCluster(
  { environment, settings, timeoutMs, role }: ClusterSettings,
  side: Side,
  client: Client,
): Cluster {
  const own = settingsOf(settings, side, client)
  const name = `${side}.cluster.bootstrap.servers`
  const addresses = splitAddresses(own.get('bootstrap.servers') ?? '')
  if (addresses.length === 0)
    throw new ConfigError(
      name,
      `Missing required configuration "${name}" which has no default value.`,
    )
  const bootstrap = addresses.map((address) => {
    const endpoint = parseAddress(address)
    if (endpoint === null) throw new ConfigError(name, `Invalid url in ${name}: ${address}`)
    return endpoint
  })
  const label = [
    own.get('client.id'),
    `${settings.get('source.cluster.alias')}->${settings.get('target.cluster.alias') ?? 'target'}`,
    settings.get('name'),
    role,
  ]
  return new Cluster(environment, {
    bootstrap,
    clientId: label.filter((part) => part !== undefined).join('|'),
    security: readSecurity(own, environment.disk),
    operationTimeoutMs: timeoutMs,
    bootstrapTimeoutMs: Math.min(timeoutMs, 10_000),
  })
}

export interface SourceConsumer {
  readonly options: ConsumerOptions
  readonly recordsMax: number
}

/** Of whoever reads the records to mirror. Throws ConfigError. */
export function sourceConsumer(settings: Settings): SourceConsumer {
  const own = settingsOf(settings, 'source', 'consumer')
  const given = new Map(Array.from(own, ([name, text]) => [`consumer.override.${name}`, text]))
  const { options, recordsMax } = sinkConsumerSettings(given, '', new Map())
  const { groupId: _, ...withoutGroup } = options
  return { options: withoutGroup, recordsMax }
}

/** As it is written. */
export function sourceIsolation(settings: Settings): string | undefined {
  return settingsOf(settings, 'source', 'consumer').get('isolation.level')?.trim()
}

/** What Kafka knows as a failure that passes: it is tried again, and said in the log. */
export function mayPass(error: unknown): boolean {
  if (error instanceof TlsError) return false
  return isRetriable(error) || error instanceof ConnectionError || error instanceof TimeoutError
}

/** Makes a topic of the connectors' own where there is none. Rejects with ConnectException, and as `createTopics`. */
export async function createCompacted(
  cluster: Cluster,
  name: string,
  replication: { readonly setting: string; readonly factor: number },
): Promise<void> {
  if ((await cluster.allTopics()).some((topic) => topic.name === name)) return
  const configs = new Map([['cleanup.policy', 'compact']])
  const [created] = await createTopics(cluster, [
    { name, partitions: 1, replicationFactor: replication.factor, configs },
  ])
  const error = created?.error ?? null
  if (error === null || isAnswer(error, 'TOPIC_ALREADY_EXISTS')) return
  throw new ConnectException(
    `Cannot create the topic ${name} (${replication.setting}=${replication.factor}): ${error.message}`,
    { cause: error },
  )
}

/** The first partition of a topic, read from its beginning, and on as it grows. */
export class TopicReading {
  readonly #cluster: Cluster
  readonly #partition: { readonly topic: string; readonly partition: number }
  readonly #apply: (record: BatchRecord) => void
  readonly #consumer: Consumer

  constructor(cluster: Cluster, topic: string, apply: (record: BatchRecord) => void) {
    this.#cluster = cluster
    this.#partition = { topic, partition: 0 }
    this.#apply = apply
    this.#consumer = new Consumer(cluster, { autoOffsetReset: 'earliest', isolation })
    this.#consumer.assign([{ ...this.#partition, offset: 'earliest' }])
  }

  /** Resolves when all is applied that is there by now, or `isStopped`. Rejects as `Consumer.poll`. */
  async catchUp(isStopped: () => boolean): Promise<void> {
    const query = { ...this.#partition, timestamp: latest }
    const [end] = await listOffsets(this.#cluster, [query], isolation)
    while (!isStopped() && (this.#consumer.position(this.#partition) ?? 0) < (end?.offset ?? 0))
      for (const { records } of await this.#consumer.poll({ timeoutMs: 100 }))
        for (const record of records) this.#apply(record)
  }

  close(): Promise<void> {
    return this.#consumer.close()
  }
}

/** Workers may write in transactions. */
const isolation: IsolationLevel = 'read_committed'

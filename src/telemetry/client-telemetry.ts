/**
 * The clients that push their metrics (KIP-714), known by their instance ids: what is wanted of each, when
 * each may ask and push, and what it pushed last.
 *
 * What lives in this folder: subscriptions, the clients they are for, and the metrics that arrive. What must
 * not: the requests (`handlers`), and how metrics are shown (`http`).
 * Imports `protocol`, `environment`, `config`, and of `metadata` the image.
 */
import { type ErrorRow, errors } from '../../protocol/errors.ts'
import { compressions, decompress } from '../../protocol/records/compression/compression.ts'
import { UnsupportedCompression } from '../../protocol/records/compression/unsupported-compression.ts'
import { CorruptRecords } from '../../protocol/records/corrupt-records.ts'
import { crc32c } from '../../protocol/records/crc32c.ts'
import { type Uuid, zeroUuid } from '../../protocol/types.ts'
import type { Environment, Milliseconds } from '../environment/environment.ts'
import type { MetadataImage } from '../metadata/image.ts'
import { randomUuid } from '../metadata/random-uuid.ts'
import { decodeMetricsData, MalformedMetrics } from './metrics-data.ts'
import { ReceivedMetrics } from './received-metrics.ts'
import { type ClientAttributes, Subscriptions, type Wanted } from './subscriptions.ts'

/** As in Kafka: the instances remembered; the one heard of longest ago makes room. */
const instancesMax = 16_384

/** An instance is forgotten after three of its intervals without a word, and not before a minute. */
const intervalsKept = 3
const keptMsMin: Milliseconds = 60_000

/** Kafka's id of the metadata log, which no client has either. */
const oneUuid: Uuid = 'AAAAAAAAAAAAAAAAAAAAAQ'

/** Who asks or pushes: the context of its request. */
export interface TelemetryCaller {
  readonly clientId: string | null
  readonly connection: {
    readonly remote: { readonly host: string; readonly port: number }
    readonly softwareName: string | undefined
    readonly softwareVersion: string | undefined
    readonly attachments: Map<symbol, unknown>
    onClose(callback: () => void): void
  }
}

interface Instance {
  readonly wanted: Wanted
  readonly subscriptionId: number
  /** Of the subscriptions that `wanted` follows from. */
  readonly version: object
  readonly attributes: ClientAttributes
  /** Monotonic milliseconds; minus infinity for never. */
  lastGetMs: number
  lastPushMs: number
  lastHeardMs: number
  isTerminating: boolean
  lastError: ErrorRow
}

export interface Push {
  readonly clientInstanceId: Uuid
  readonly subscriptionId: number
  readonly terminating: boolean
  readonly compressionType: number
  readonly metrics: Buffer
}

/** What is wanted of an instance, or why it is not told. */
export type Subscribed = Wanted & { readonly subscriptionId: number }

export interface ClientTelemetryOptions {
  readonly environment: Pick<Environment, 'clock' | 'random'>
  /** telemetry.max.bytes, read at each use. */
  readonly bytesMax: () => number
  readonly image: () => MetadataImage
  /** Whether there is a page on which to see what clients push. */
  readonly isShown: boolean
}

/** Since the start. */
export class TelemetryCounters {
  pushes = 0
  /** Metrics that could not be read. */
  malformed = 0
  throttled = 0
  unknownSubscriptions = 0
}

/** Of what a client says of itself: every one of its samples bears it. */
const shownCharactersMax = 256

export class ClientTelemetry {
  readonly received: ReceivedMetrics
  readonly counters = new TelemetryCounters()
  readonly #options: ClientTelemetryOptions
  readonly #subscriptions: Subscriptions
  readonly #instances = new Map<Uuid, Instance>()
  readonly #ofConnection = Symbol('client instance')

  constructor(options: ClientTelemetryOptions) {
    this.#options = options
    this.#subscriptions = new Subscriptions(options.image)
    this.received = new ReceivedMetrics(options.environment.clock)
  }

  get isShown(): boolean {
    return this.#options.isShown
  }

  get bytesMax(): number {
    return this.#options.bytesMax()
  }

  get instanceCount(): number {
    return this.#instances.size
  }

  newInstanceId(): Uuid {
    return randomUuid(this.#options.environment.random)
  }

  /**
   * An instance asks what to push. THROTTLING_QUOTA_EXCEEDED if it asks again before its interval
   * is over, unless what is wanted has changed or it was told to ask.
   */
  get(id: Uuid, caller: TelemetryCaller): Subscribed | ErrorRow {
    const instance = this.#instance(id, caller)
    const nowMs = instance.lastHeardMs
    const lastMs = Math.max(instance.lastGetMs, instance.lastPushMs)
    const isDue = nowMs - lastMs >= instance.wanted.intervalMs
    const mayAskAnew =
      instance.lastError === errors.UNKNOWN_SUBSCRIPTION_ID ||
      instance.lastError === errors.UNSUPPORTED_COMPRESSION_TYPE
    if (!isDue && !mayAskAnew) {
      this.counters.throttled++
      return errors.THROTTLING_QUOTA_EXCEEDED
    }
    if (isDue) instance.lastGetMs = nowMs
    instance.lastError = errors.NONE
    return { ...instance.wanted, subscriptionId: instance.subscriptionId }
  }

  /** An instance pushes; what it pushed is in `received` then. */
  push(push: Push, caller: TelemetryCaller): ErrorRow {
    const { clientInstanceId: id } = push
    if (id === zeroUuid || id === oneUuid) return errors.INVALID_REQUEST
    const instance = this.#instance(id, caller)
    const refused = this.#pushError(instance, push)
    instance.isTerminating = push.terminating
    const error = refused ?? this.#receive(instance, push, caller)
    instance.lastError = error
    return error
  }

  #pushError(instance: Instance, push: Push): ErrorRow | null {
    if (instance.isTerminating) return errors.INVALID_REQUEST
    const nowMs = instance.lastHeardMs
    const isFirst = instance.lastGetMs > instance.lastPushMs
    const isDue = isFirst || nowMs - instance.lastPushMs >= instance.wanted.intervalMs
    if (isDue) instance.lastPushMs = nowMs
    else if (!push.terminating) {
      this.counters.throttled++
      return errors.THROTTLING_QUOTA_EXCEEDED
    }
    if (push.subscriptionId !== instance.subscriptionId) {
      this.counters.unknownSubscriptions++
      return errors.UNKNOWN_SUBSCRIPTION_ID
    }
    if (compressions[push.compressionType] === undefined) {
      return errors.UNSUPPORTED_COMPRESSION_TYPE
    }
    return push.metrics.length > this.bytesMax ? errors.TELEMETRY_TOO_LARGE : null
  }

  /** As in Kafka, INVALID_RECORD for all that cannot be read: the client then pushes no more. */
  #receive(instance: Instance, push: Push, { clientId }: TelemetryCaller): ErrorRow {
    if (push.metrics.length === 0) return errors.NONE
    const { clientInstanceId } = push
    const codec = compressions[push.compressionType] ?? 'none'
    const { client_id: _, client_instance_id: __, ...others } = instance.attributes
    const shown = (text: string | null | undefined) => (text ?? '').slice(0, shownCharactersMax)
    const attributes = Object.entries(others).map(([name, value]) => [name, shown(value)] as const)
    const { intervalMs } = instance.wanted
    const client = { clientInstanceId, clientId: shown(clientId), attributes, intervalMs }
    try {
      const bytes = decompress(codec, push.metrics, this.bytesMax)
      this.received.take(client, decodeMetricsData(bytes))
      this.counters.pushes++
      return errors.NONE
    } catch (error) {
      if (error instanceof UnsupportedCompression) return errors.UNSUPPORTED_COMPRESSION_TYPE
      const isMalformed = error instanceof MalformedMetrics || error instanceof CorruptRecords
      if (!isMalformed) throw error
      this.counters.malformed++
      return errors.INVALID_RECORD
    }
  }

  /** As it was heard of last, now; made anew where what is wanted may have changed. */
  #instance(id: Uuid, caller: TelemetryCaller): Instance {
    const nowMs = this.#options.environment.clock.monotonic()
    this.#forgetSilent(nowMs)
    const { version } = this.#subscriptions
    const known = this.#instances.get(id)
    const isCurrent = known?.version === version
    const instance = known !== undefined && isCurrent ? known : this.#newInstance(id, known, caller)
    if (!isCurrent) this.#forgetWith(caller, id)
    instance.lastHeardMs = nowMs
    // Last in the map: heard of last.
    this.#instances.delete(id)
    this.#instances.set(id, instance)
    if (this.#instances.size > instancesMax) {
      this.#instances.delete(this.#instances.keys().next().value as Uuid)
    }
    return instance
  }

  #newInstance(id: Uuid, before: Instance | undefined, caller: TelemetryCaller): Instance {
    const attributes = before?.attributes ?? attributesOf(id, caller)
    const wanted = this.#subscriptions.wantedOf(attributes)
    return {
      wanted,
      subscriptionId: subscriptionId(wanted, id),
      version: this.#subscriptions.version,
      attributes,
      lastGetMs: Number.NEGATIVE_INFINITY,
      lastPushMs: Number.NEGATIVE_INFINITY,
      lastHeardMs: Number.NEGATIVE_INFINITY,
      isTerminating: false,
      lastError: errors.NONE,
    }
  }

  /** An instance goes with the connection that it came by; a connection has one, the newest. */
  #forgetWith({ connection }: TelemetryCaller, id: Uuid): void {
    const isWatched = connection.attachments.has(this.#ofConnection)
    connection.attachments.set(this.#ofConnection, id)
    if (isWatched) return
    connection.onClose(() => {
      this.#instances.delete(connection.attachments.get(this.#ofConnection) as Uuid)
    })
  }

  #forgetSilent(nowMs: number): void {
    for (const [id, { lastHeardMs, wanted }] of this.#instances) {
      if (nowMs - lastHeardMs < Math.max(keptMsMin, wanted.intervalMs * intervalsKept)) return
      this.#instances.delete(id)
    }
  }
}

/** What subscriptions may match; as in Kafka, software that does not say its name is `unknown`. */
function attributesOf(id: Uuid, { clientId, connection }: TelemetryCaller): ClientAttributes {
  return {
    client_instance_id: id,
    client_id: clientId,
    client_software_name: connection.softwareName ?? 'unknown',
    client_software_version: connection.softwareVersion ?? 'unknown',
    client_source_address: connection.remote.host,
    client_source_port: String(connection.remote.port),
  }
}

/** Names what an instance is to push: the CRC of that, with the hash of the id as Java has it. */
function subscriptionId({ metrics, intervalMs }: Wanted, id: Uuid): number {
  const crc = crc32c(Buffer.from(`[${metrics.join(', ')}]${intervalMs}`))
  const bytes = Buffer.from(id, 'base64url')
  const hash = [0, 4, 8, 12].reduce((sum, at) => sum ^ bytes.readInt32BE(at), 0)
  return crc ^ hash
}

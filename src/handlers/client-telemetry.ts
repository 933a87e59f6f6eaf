/**
 * The clients that would push their metrics (KIP-714), known by their instance ids. Nothing
 * subscribes to metrics here: clients are told so, come back at the usual interval, and what one
 * pushes all the same is checked, bounded and dropped.
 */
import { type ErrorRow, errors } from '../../protocol/errors.ts'
import { compressions } from '../../protocol/records/compression/compression.ts'
import { type Uuid, zeroUuid } from '../../protocol/types.ts'
import { javaHashCode } from '../coordinator/coordinator-partition.ts'
import type { Environment, Milliseconds } from '../environment/environment.ts'

/** interval.ms of a client-metrics subscription, by default. */
export const pushIntervalMs: Milliseconds = 300_000

/** As in Kafka: the instances remembered; the one heard of longest ago makes room. */
const instancesMax = 16_384

interface Instance {
  /** Monotonic milliseconds; minus infinity for never. */
  lastGetMs: number
  lastPushMs: number
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

export class ClientTelemetry {
  readonly #environment: Environment
  readonly #bytesMax: () => number
  readonly #instances = new Map<Uuid, Instance>()

  /** `bytesMax`: telemetry.max.bytes. */
  constructor(environment: Environment, bytesMax: () => number) {
    this.#environment = environment
    this.#bytesMax = bytesMax
  }

  get bytesMax(): number {
    return this.#bytesMax()
  }

  newInstanceId(): Uuid {
    return this.#environment.random.bytes(16).toString('base64url')
  }

  /**
   * Names what the instance is to push; with nothing to push it is the same for as long as it
   * lives.
   */
  subscriptionIdOf(id: Uuid): number {
    return javaHashCode(id)
  }

  /**
   * An instance asks what to push. THROTTLING_QUOTA_EXCEEDED if it asks again before its interval
   * is over.
   */
  get(id: Uuid): ErrorRow {
    const instance = this.#instance(id)
    const nowMs = this.#environment.clock.monotonic()
    const lastMs = Math.max(instance.lastGetMs, instance.lastPushMs)
    const mayAskAnew =
      instance.lastError === errors.UNKNOWN_SUBSCRIPTION_ID ||
      instance.lastError === errors.UNSUPPORTED_COMPRESSION_TYPE
    if (nowMs - lastMs < pushIntervalMs && !mayAskAnew) return errors.THROTTLING_QUOTA_EXCEEDED
    instance.lastGetMs = nowMs
    instance.lastError = errors.NONE
    return errors.NONE
  }

  /** An instance pushes. Nothing is kept of the metrics. */
  push(push: Push): ErrorRow {
    if (push.clientInstanceId === zeroUuid) return errors.INVALID_REQUEST
    const instance = this.#instance(push.clientInstanceId)
    const error = this.#pushError(instance, push)
    instance.isTerminating = push.terminating
    instance.lastError = error
    return error
  }

  #pushError(instance: Instance, push: Push): ErrorRow {
    if (instance.isTerminating) return errors.INVALID_REQUEST
    const nowMs = this.#environment.clock.monotonic()
    const isFirst = instance.lastGetMs > instance.lastPushMs
    const isDue = isFirst || nowMs - instance.lastPushMs >= pushIntervalMs
    if (!isDue && !push.terminating) return errors.THROTTLING_QUOTA_EXCEEDED
    if (isDue) instance.lastPushMs = nowMs
    if (push.subscriptionId !== this.subscriptionIdOf(push.clientInstanceId)) {
      return errors.UNKNOWN_SUBSCRIPTION_ID
    }
    if (compressions[push.compressionType] === undefined) {
      return errors.UNSUPPORTED_COMPRESSION_TYPE
    }
    return push.metrics.length > this.bytesMax ? errors.TELEMETRY_TOO_LARGE : errors.NONE
  }

  #instance(id: Uuid): Instance {
    const known = this.#instances.get(id)
    const never = Number.NEGATIVE_INFINITY
    const instance = known ?? {
      lastGetMs: never,
      lastPushMs: never,
      isTerminating: false,
      lastError: errors.NONE,
    }
    // Last in the map: heard of last.
    this.#instances.delete(id)
    this.#instances.set(id, instance)
    if (this.#instances.size > instancesMax) {
      this.#instances.delete(this.#instances.keys().next().value as Uuid)
    }
    return instance
  }
}

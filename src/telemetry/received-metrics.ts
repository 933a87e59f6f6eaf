/**
 * The last values that each client pushed, for whoever exports metrics: under names and labels that
 * Prometheus allows, for as long as the client goes on pushing. Where there are too many clients, or too
 * many values, the client that pushed longest ago makes room.
 */
import type { Uuid } from '../../protocol/types.ts'
import type { Clock, Milliseconds } from '../environment/environment.ts'
import type { Attributes, Measurement, MetricsData } from './metrics-data.ts'

export interface Sample {
  /** Of a counter it ends in `_total`. */
  readonly name: string
  readonly isCounter: boolean
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface PushingClient {
  readonly clientInstanceId: Uuid
  readonly clientId: string
  /** What is known of it beside: `client_software_name` and the like. */
  readonly attributes: Attributes
  readonly intervalMs: Milliseconds
}

interface Received {
  readonly client: PushingClient
  readonly about: Readonly<Record<string, string>>
  readonly samples: Map<string, Sample>
  /** Monotonic. */
  readonly untilMs: number
}

const clientsMax = 1_000
const samplesMax = 20_000

/** Without a push for so many intervals, and not less than a minute, a client's values are of the past. */
const intervalsKept = 3
const keptMsMin: Milliseconds = 60_000

const prefix = 'kafka_client_'
const nameCharactersMax = 200

export class ReceivedMetrics {
  /** Pushes that had more than is looked at, since the start. */
  pushesCut = 0
  /** Clients that had to make room, since the start. */
  clientsDropped = 0
  readonly #clock: Clock
  /** The one that pushed last is the last. */
  readonly #clients = new Map<Uuid, Received>()
  #sampleCount = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Takes the place of what the client pushed before; sums of differences go on. */
  take(client: PushingClient, { resource, measurements, isCut }: MetricsData): void {
    const { clientInstanceId: id } = client
    const before = this.#clients.get(id)
    const known = { client_id: client.clientId, client_instance_id: id }
    const samples = new Map<string, Sample>()
    if (isCut) this.pushesCut++
    for (const measurement of measurements) {
      const sample = sampleOf(measurement, known)
      const key = keyOf(sample)
      samples.set(key, sumUp(sample, measurement.isDelta ? before?.samples.get(key) : undefined))
    }
    this.#forget(id)
    const about = Object.assign(labelsOf([...client.attributes, ...resource], known), known)
    const keptMs = Math.max(keptMsMin, client.intervalMs * intervalsKept)
    const untilMs = this.#clock.monotonic() + keptMs
    this.#clients.set(id, { client, about, samples, untilMs })
    this.#sampleCount += samples.size
    this.#makeRoom()
  }

  /** Each client with a label for all that is known of it, and what it pushed last. */
  *clients(): Generator<{
    readonly about: Readonly<Record<string, string>>
    readonly samples: Iterable<Sample>
  }> {
    const nowMs = this.#clock.monotonic()
    for (const [id, { about, samples, untilMs }] of this.#clients) {
      if (untilMs <= nowMs) this.#forget(id)
      else yield { about, samples: samples.values() }
    }
  }

  #makeRoom(): void {
    for (const id of this.#clients.keys()) {
      if (this.#clients.size <= clientsMax && this.#sampleCount <= samplesMax) return
      this.clientsDropped++
      this.#forget(id)
    }
  }

  #forget(id: Uuid): void {
    this.#sampleCount -= this.#clients.get(id)?.samples.size ?? 0
    this.#clients.delete(id)
  }
}

function keyOf({ name, labels }: Sample): string {
  let key = name
  for (const label in labels) key += `\n${label}\n${labels[label]}`
  return key
}

function sumUp(sample: Sample, before: Sample | undefined): Sample {
  return before === undefined ? sample : { ...sample, value: before.value + sample.value }
}

function sampleOf(measurement: Measurement, known: Readonly<Record<string, string>>): Sample {
  const { name, attributes, value, isCounter } = measurement
  const labels = Object.assign(labelsOf(attributes, known), known)
  return { name: nameOf(name, isCounter), isCounter, labels, value }
}

/** `org.apache.kafka.producer.record.send.total` is `kafka_client_producer_record_send_total`. */
function nameOf(name: string, isCounter: boolean): string {
  const allowed = prefix + allowedName(name.replace(/^org\.apache\.kafka\./, ''))
  const isTotal = allowed.endsWith('_total')
  if (isCounter === isTotal) return allowed
  // Names say what is a counter, and one name has one type.
  return isCounter ? `${allowed}_total` : `${allowed}_value`
}

/** Names that are known already are not the client's to choose. */
function labelsOf(
  attributes: Attributes,
  known: Readonly<Record<string, string>>,
): Record<string, string> {
  const labels: Record<string, string> = {}
  for (const [attribute, value] of attributes) {
    const name = labelName(attribute)
    if (!Object.hasOwn(known, name)) labels[name] = value
  }
  return labels
}

/** Those that begin with `__` are Prometheus' own. */
function labelName(name: string): string {
  const allowed = allowedName(name)
  return /^[a-zA-Z]/.test(allowed) ? allowed : allowed.replace(/^_*/, 'x_')
}

function allowedName(name: string): string {
  return name.slice(0, nameCharactersMax).replace(/[^a-zA-Z0-9_]/g, '_')
}

/**
 * What a client pushes: OpenTelemetry's MetricsData in protobuf, as far as clients of Kafka use it. Only the
 * messages on the way to the numbers are looked into, so that nothing nests deeper than they do:
 *
 *   MetricsData     1 ResourceMetrics*
 *   ResourceMetrics 1 Resource (1 KeyValue*), 2 ScopeMetrics*
 *   ScopeMetrics    2 Metric*
 *   Metric          1 name, 5 Gauge (1 point*), 7 Sum (1 point*, 2 temporality, 3 isMonotonic)
 *   NumberDataPoint 7 KeyValue*, 4 double, 6 sfixed64
 *   KeyValue        1 key, 2 AnyValue (1 string, 2 bool, 3 int64, 4 double)
 */

export type Attributes = readonly (readonly [name: string, value: string])[]

export interface Measurement {
  readonly name: string
  readonly attributes: Attributes
  readonly value: number
  /** It only rises. */
  readonly isCounter: boolean
  /** What was added since the push before, not the sum. */
  readonly isDelta: boolean
}

export interface MetricsData {
  /** Of the client as a whole. */
  readonly resource: Attributes
  readonly measurements: readonly Measurement[]
  /** There was more than is looked at. */
  readonly isCut: boolean
}

export class MalformedMetrics extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'MalformedMetrics'
  }
}

/** Fields looked at in one push: some milliseconds. A client has a few hundred metrics of twenty fields. */
const fieldsMax = 50_000

/** Of one client. */
const measurementsMax = 1_000
const attributesMax = 16
/** Longer ones are cut. */
const textBytesMax = 256

const deltaTemporality = 1
const wireType = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const

/** Throws MalformedMetrics. */
export function decodeMetricsData(bytes: Buffer): MetricsData {
  return new Decoding().run(bytes)
}

interface Field {
  readonly number: number
  /** Of a varint, with its sign, rounded beyond 2 ** 53; 0 for what has bytes. */
  readonly value: number
  /** Of everything but a varint. */
  readonly bytes: Buffer
}

const nothing = Buffer.alloc(0)

class Decoding {
  #fieldsLeft = fieldsMax
  #isCut = false
  #resource: Attributes = []
  readonly #measurements: Measurement[] = []

  run(bytes: Buffer): MetricsData {
    for (const resourceMetrics of this.#fields(bytes)) {
      if (resourceMetrics.number !== 1) continue
      for (const { number, bytes: inner } of this.#fields(resourceMetrics.bytes)) {
        if (number === 1) this.#resource = this.#attributes(inner, 1)
        if (number === 2) this.#scope(inner)
      }
    }
    return { resource: this.#resource, measurements: this.#measurements, isCut: this.#isCut }
  }

  #scope(bytes: Buffer): void {
    for (const { number, bytes: metric } of this.#fields(bytes)) {
      if (number === 2) this.#metric(metric)
    }
  }

  #metric(bytes: Buffer): void {
    let name = ''
    let gauge: Buffer = nothing
    let sum: Buffer = nothing
    for (const field of this.#fields(bytes)) {
      if (field.number === 1) name = textOf(field.bytes)
      else if (field.number === 5) gauge = field.bytes
      else if (field.number === 7) sum = field.bytes
    }
    this.#points(name, gauge)
    this.#points(name, sum)
  }

  /** A gauge is a sum that says nothing of itself. */
  #points(name: string, bytes: Buffer): void {
    const points: Buffer[] = []
    let isDelta = false
    let isCounter = false
    for (const field of this.#fields(bytes)) {
      if (field.number === 1) points.push(field.bytes)
      else if (field.number === 2) isDelta = field.value === deltaTemporality
      else if (field.number === 3) isCounter = field.value !== 0
    }
    for (const point of points) {
      if (this.#measurements.length >= measurementsMax) this.#cut()
      if (this.#isCut) return
      const value = this.#value(point)
      if (value === null) continue
      const attributes = this.#attributes(point, 7)
      this.#measurements.push({ name, attributes, value, isCounter, isDelta })
    }
  }

  #value(point: Buffer): number | null {
    let value: number | null = null
    for (const { number, bytes } of this.#fields(point)) {
      if (bytes.length !== 8) continue
      if (number === 4) value = bytes.readDoubleLE(0)
      else if (number === 6) value = Number(bytes.readBigInt64LE(0))
    }
    return value
  }

  /** All fields of that number, which are of type KeyValue. */
  #attributes(bytes: Buffer, number: number): Attributes {
    const attributes: [string, string][] = []
    for (const field of this.#fields(bytes)) {
      if (field.number !== number || attributes.length >= attributesMax) continue
      let key = ''
      let value = ''
      for (const part of this.#fields(field.bytes)) {
        if (part.number === 1) key = textOf(part.bytes)
        else if (part.number === 2) value = this.#anyValue(part.bytes)
      }
      if (key !== '') attributes.push([key, value])
    }
    return attributes
  }

  #anyValue(bytes: Buffer): string {
    let text = ''
    for (const { number, bytes: inner, value } of this.#fields(bytes)) {
      if (number === 1) text = textOf(inner)
      else if (number === 2) text = String(value !== 0)
      else if (number === 3) text = String(value)
      else if (number === 4 && inner.length === 8) text = String(inner.readDoubleLE(0))
    }
    return text
  }

  #cut(): void {
    this.#isCut = true
  }

  /** The fields of a message, none any more once there were too many. */
  *#fields(bytes: Buffer): Generator<Field, void, void> {
    let at = 0
    const varint = (): number => {
      let low = 0
      let high = 0
      for (let shift = 0; shift < 70; shift += 7) {
        const byte = bytes[at++]
        if (byte === undefined) throw new MalformedMetrics('a number ends beyond its message')
        const bits = byte & 0x7f
        if (shift < 32) low |= bits << shift
        if (shift === 28) high = bits >> 4
        else if (shift > 28) high |= bits << (shift - 32)
        if (byte < 0x80) return high * 2 ** 32 + (low >>> 0)
      }
      throw new MalformedMetrics('a number has more than 64 bits')
    }
    const take = (length: number): Buffer => {
      if (length < 0 || length > bytes.length - at)
        throw new MalformedMetrics('a field ends beyond its message')
      at += length
      return bytes.subarray(at - length, at)
    }
    while (at < bytes.length) {
      if (this.#fieldsLeft-- <= 0) this.#cut()
      if (this.#isCut) return
      const tag = varint()
      const number = Math.floor(tag / 8)
      switch (tag % 8) {
        case wireType.varint:
          yield { number, value: varint(), bytes: nothing }
          break
        case wireType.fixed64:
          yield { number, value: 0, bytes: take(8) }
          break
        case wireType.bytes:
          yield { number, value: 0, bytes: take(varint()) }
          break
        case wireType.fixed32:
          yield { number, value: 0, bytes: take(4) }
          break
        default:
          throw new MalformedMetrics(`wire type ${tag % 8} is not known`)
      }
    }
  }
}

function textOf(bytes: Buffer): string {
  return bytes.toString('utf8', 0, Math.min(bytes.length, textBytesMax))
}

/**
 * Values that JavaScript has no exact type for: decimals with all their digits, and points in time. The
 * schemas that name them are Kafka Connect's logical types: Decimal is bytes (big-endian two's complement
 * of the unscaled number, its scale a parameter), Date counts days in an int32, Time milliseconds of a day
 * in an int32, Timestamp milliseconds in an int64, the last three from the Unix epoch, in UTC. Two more are
 * ours, for what those do not hold: times to the microsecond, and times without a zone.
 */
import { DataException } from './failures.ts'

export const decimalName = 'org.apache.kafka.connect.data.Decimal'
export const dateName = 'org.apache.kafka.connect.data.Date'
export const timeName = 'org.apache.kafka.connect.data.Time'
export const timestampName = 'org.apache.kafka.connect.data.Timestamp'
export const microTimestampName = 'millrace.connect.data.MicroTimestamp'
export const localTimestampName = 'millrace.connect.data.LocalTimestamp'

const dayMs = 86_400_000

/** Digits of a decimal at most, in its text: one that is longer is an attack, not a number. */
const scaleMax = 10_000

/** `unscaled` times ten to the power of minus `scale`. */
export class Decimal {
  readonly unscaled: bigint
  readonly scale: number

  constructor(unscaled: bigint, scale: number) {
    if (!Number.isInteger(scale) || Math.abs(scale) > scaleMax)
      throw new DataException(`The scale of a decimal is not from -${scaleMax} to ${scaleMax}`)
    this.unscaled = unscaled
    this.scale = scale
  }

  /** Reads `-1.50`, `12`, `1e-3`. Throws DataException. */
  static parse(text: string): Decimal {
    const match = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,9}))?$/.exec(text)
    const [, sign = '', whole = '', fraction = '', exponent = '0'] = match ?? []
    if (match === null || whole + fraction === '')
      throw new DataException(`${text} is not a decimal number`)
    const unscaled = BigInt(whole + fraction)
    return new Decimal(sign === '-' ? -unscaled : unscaled, fraction.length - Number(exponent))
  }

  /** From the bytes in which Kafka Connect keeps it. */
  static fromBytes(bytes: Buffer, scale: number): Decimal {
    if (bytes.length === 0) throw new DataException('A decimal of no bytes is no number')
    return new Decimal(BigInt.asIntN(bytes.length * 8, BigInt(`0x${bytes.toString('hex')}`)), scale)
  }

  /** Without what is behind the point. */
  truncated(): bigint {
    const power = 10n ** BigInt(Math.abs(this.scale))
    return this.scale < 0 ? this.unscaled * power : this.unscaled / power
  }

  /** Null: there is something behind the point. */
  whole(): bigint | null {
    const whole = this.truncated()
    return this.scale <= 0 || whole * 10n ** BigInt(this.scale) === this.unscaled ? whole : null
  }

  /** The shortest two's complement of the unscaled number, big-endian. */
  toBytes(): Buffer {
    // The magnitude of a negative number is that of its complement: -128 fits where 127 does.
    const magnitude = this.unscaled < 0n ? ~this.unscaled : this.unscaled
    const bits = magnitude === 0n ? 0 : magnitude.toString(2).length
    const length = Math.floor(bits / 8) + 1
    const digits = BigInt.asUintN(length * 8, this.unscaled).toString(16)
    return Buffer.from(digits.padStart(length * 2, '0'), 'hex')
  }

  equals(other: Decimal): boolean {
    return this.unscaled === other.unscaled && this.scale === other.scale
  }

  /** As Java prints it: with an exponent where digits of it would be none of its own, or many zeros. */
  canonicalText(): string {
    const digits = this.unscaled.toString().replace('-', '')
    const exponent = digits.length - 1 - this.scale
    if (this.scale >= 0 && exponent >= -6) return this.toString()
    const sign = this.unscaled < 0n ? '-' : ''
    const fraction = digits.length > 1 ? `.${digits.slice(1)}` : ''
    const power = exponent === 0 ? '' : `E${exponent > 0 ? '+' : ''}${exponent}`
    return `${sign}${digits[0]}${fraction}${power}`
  }

  /** All digits, never an exponent. */
  toString(): string {
    if (this.scale <= 0) return (this.unscaled * 10n ** BigInt(-this.scale)).toString()
    const sign = this.unscaled < 0n ? '-' : ''
    const digits = this.unscaled
      .toString()
      .replace('-', '')
      .padStart(this.scale + 1, '0')
    return `${sign}${digits.slice(0, -this.scale)}.${digits.slice(-this.scale)}`
  }
}

/** A point in time: what Date, Time and Timestamp hold. Immutable, and compared by value. */
export class Instant {
  /** An integer; milliseconds since the Unix epoch. */
  readonly epochMs: number

  constructor(epochMs: number) {
    if (!Number.isSafeInteger(epochMs))
      throw new DataException(`${epochMs} is no number of milliseconds`)
    this.epochMs = epochMs
  }

  static ofDays(days: number): Instant {
    return new Instant(days * dayMs)
  }

  /** For Date: throws DataException where there is a time of day. */
  toDays(): number {
    if (this.epochMs % dayMs !== 0)
      throw new DataException(
        'Kafka Connect Date type should not have any time fields set to non-zero values.',
      )
    return this.epochMs / dayMs
  }

  /** For Time: throws DataException where there is a date. */
  toTimeOfDay(): number {
    if (this.epochMs < 0 || this.epochMs >= dayMs)
      throw new DataException(
        'Kafka Connect Time type should not have any date fields set to non-zero values.',
      )
    return this.epochMs
  }
}

/** What MicroTimestamp and LocalTimestamp hold. Immutable, and compared by value. */
export class Micros {
  /** Microseconds since the Unix epoch. */
  readonly epochMicros: bigint
  /** It is a point in time; else what a clock shows, wherever it hangs. */
  readonly isUtc: boolean

  constructor(epochMicros: bigint, isUtc: boolean) {
    if (BigInt.asIntN(64, epochMicros) !== epochMicros)
      throw new DataException(`${epochMicros} is no number of microseconds`)
    this.epochMicros = epochMicros
    this.isUtc = isUtc
  }
}

/** Writes OpenTelemetry's MetricsData by hand, for tests to push, whole or damaged. */

export interface Point {
  readonly value: number
  readonly attributes?: Readonly<Record<string, string | number | boolean>>
  readonly isInteger?: boolean
}

export interface Metric {
  readonly name: string
  readonly points: readonly Point[]
  /** Absent: a gauge. */
  readonly sum?: { readonly isDelta?: boolean; readonly isMonotonic?: boolean }
}

export function varint(value: number): Buffer {
  const bytes: number[] = []
  let left = BigInt.asUintN(64, BigInt(value))
  while (left >= 0x80n) {
    bytes.push(Number(left & 0x7fn) | 0x80)
    left >>= 7n
  }
  return Buffer.from([...bytes, Number(left)])
}

/** A field with a length. */
export function field(number: number, ...parts: readonly (Buffer | string)[]): Buffer {
  const bytes = Buffer.concat(parts.map((part) => Buffer.from(part as string)))
  return Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes])
}

export function number(field: number, value: number): Buffer {
  return Buffer.concat([varint(field * 8), varint(value)])
}

function fixed64(field: number, write: (bytes: Buffer) => void): Buffer {
  const bytes = Buffer.alloc(8)
  write(bytes)
  return Buffer.concat([varint(field * 8 + 1), bytes])
}

const double = (at: number, value: number) =>
  fixed64(at, (bytes) => void bytes.writeDoubleLE(value))

function keyValue(at: number, key: string, value: string | number | boolean): Buffer {
  const any = () => {
    if (typeof value === 'string') return field(1, value)
    if (typeof value === 'boolean') return number(2, value ? 1 : 0)
    return Number.isInteger(value) ? number(3, value) : double(4, value)
  }
  return field(at, field(1, key), field(2, any()))
}

function point({ value, attributes = {}, isInteger = false }: Point): Buffer {
  const pairs = Object.entries(attributes).map(([key, text]) => keyValue(7, key, text))
  const shown = isInteger
    ? fixed64(6, (bytes) => void bytes.writeBigInt64LE(BigInt(value)))
    : double(4, value)
  return field(
    1,
    ...pairs,
    fixed64(3, (bytes) => void bytes.writeBigUInt64LE(1n)),
    shown,
  )
}

function metric({ name, points, sum }: Metric): Buffer {
  const all = points.map(point)
  if (sum === undefined) return field(2, field(1, name), field(5, ...all))
  const { isDelta = false, isMonotonic = false } = sum
  const kind = [number(2, isDelta ? 1 : 2), number(3, isMonotonic ? 1 : 0)]
  return field(2, field(1, name), field(3, '1'), field(7, ...all, ...kind))
}

export function metricsData(
  metrics: readonly Metric[],
  resource: Readonly<Record<string, string>> = {},
): Buffer {
  const about = Object.entries(resource).map(([key, text]) => keyValue(1, key, text))
  return field(1, field(1, ...about), field(2, field(1, field(1, 'scope')), ...metrics.map(metric)))
}

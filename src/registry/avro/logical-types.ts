/**
 * Avro's logical types: which of them fit which types. One that does not fit, or that nobody knows, is no
 * error: it is ignored, and the value is that of its underlying type.
 */
import type { LogicalType, PlainLogicalName, PrimitiveName, Properties } from './schema.ts'

const underlying: Readonly<Record<PlainLogicalName, readonly string[]>> = {
  date: ['int'],
  'time-millis': ['int'],
  'time-micros': ['long'],
  'timestamp-millis': ['long'],
  'timestamp-micros': ['long'],
  'timestamp-nanos': ['long'],
  'local-timestamp-millis': ['long'],
  'local-timestamp-micros': ['long'],
  'local-timestamp-nanos': ['long'],
  uuid: ['string', 'fixed:16'],
  duration: ['fixed:12'],
  'big-decimal': ['bytes'],
}

/** `size` is that of a fixed. */
export function logicalTypeOf(
  kind: PrimitiveName | 'fixed',
  size: number | null,
  props: Properties,
): LogicalType | null {
  const name = props.get('logicalType')
  if (typeof name !== 'string') return null
  if (name === 'decimal') return decimalOf(kind, size, props)
  if (!Object.hasOwn(underlying, name)) return null
  const plain = name as PlainLogicalName
  const fits = underlying[plain].includes(kind === 'fixed' ? `fixed:${size}` : kind)
  return fits ? { name: plain } : null
}

function decimalOf(kind: string, size: number | null, props: Properties): LogicalType | null {
  const precision = props.get('precision')
  const scale = props.get('scale') ?? 0n
  if (typeof precision !== 'bigint' || typeof scale !== 'bigint') return null
  const fits = (kind === 'bytes' || kind === 'fixed') && precision <= digitsOf(size)
  if (!fits || precision <= 0n || scale < 0n || scale > precision) return null
  return { name: 'decimal', precision: Number(precision), scale: Number(scale) }
}

/** Decimal digits that a two's complement number of so many bytes can always hold. */
function digitsOf(size: number | null): number {
  if (size === null) return 2 ** 31 - 1
  return size === 0 ? 0 : Math.floor(Math.log10(2) * (8 * size - 1))
}

/**
 * What the values of a leaf column mean: its logical type, or the converted type of older files, where it
 * fits the physical one. What is unknown or does not fit is taken for what it physically is.
 */
import type { DataType, TimeUnit } from '../columns/column.ts'
import {
  type ConvertedType,
  convertedTypes,
  type LogicalType,
  type PhysicalType,
  type SchemaElement,
} from './metadata.ts'
import { unsupported } from './parquet-error.ts'

const decimalDigitsMax = 38
const uuidBytes = 16
const intervalBytes = 12

export function dataTypeOf(element: SchemaElement, physical: PhysicalType): DataType {
  const { logicalType, convertedType } = element
  const annotated =
    logicalType === undefined ? undefined : ofLogical(logicalType, physical, element)
  if (annotated !== undefined) return annotated
  const converted = convertedType === undefined ? undefined : convertedTypes[convertedType]
  if (converted !== undefined) {
    const type = ofConverted(converted, physical, element)
    if (type !== undefined) return type
  }
  return ofPhysical(physical, element)
}

function ofPhysical(physical: PhysicalType, element: SchemaElement): DataType {
  switch (physical) {
    case 'BOOLEAN':
      return { kind: 'boolean' }
    case 'INT32':
      return { kind: 'int32' }
    case 'INT64':
      return { kind: 'int64' }
    case 'INT96':
      // Spark's and Impala's timestamps: of nanoseconds by form, of microseconds by use.
      return { kind: 'timestamp', unit: 'micros', isUtc: true }
    case 'FLOAT':
      return { kind: 'float' }
    case 'DOUBLE':
      return { kind: 'double' }
    case 'BYTE_ARRAY':
      return { kind: 'binary' }
    case 'FIXED_LEN_BYTE_ARRAY':
      return { kind: 'fixed', size: element.typeLength ?? 0 }
  }
}

function ofLogical(
  logical: LogicalType,
  physical: PhysicalType,
  element: SchemaElement,
): DataType | undefined {
  const { decimal, integer, time, timestamp } = logical
  if (logical.unknown) return { kind: 'null' }
  if (decimal) return decimalOf(physical, decimal.precision, decimal.scale)
  if (physical === 'BYTE_ARRAY') {
    if (logical.string) return { kind: 'string' }
    if (logical.enum) return { kind: 'enum' }
    if (logical.json) return { kind: 'json' }
    if (logical.bson) return { kind: 'bson' }
  }
  if (physical === 'FIXED_LEN_BYTE_ARRAY') {
    if (logical.uuid && element.typeLength === uuidBytes) return { kind: 'uuid' }
    if (logical.float16 && element.typeLength === 2) return { kind: 'float16' }
  }
  if (logical.date && physical === 'INT32') return { kind: 'date' }
  if (integer) return integerOf(physical, integer.bitWidth, integer.isSigned)
  if (timestamp && physical === 'INT64') {
    const unit = unitOf(timestamp.unit)
    return unit && { kind: 'timestamp', unit, isUtc: timestamp.isAdjustedToUtc }
  }
  if (time) {
    const unit = unitOf(time.unit)
    if (unit && physical === (unit === 'millis' ? 'INT32' : 'INT64')) {
      return { kind: 'time', unit, isUtc: time.isAdjustedToUtc }
    }
  }
  return undefined
}

function unitOf(unit: {
  millis?: unknown
  micros?: unknown
  nanos?: unknown
}): TimeUnit | undefined {
  if (unit.millis) return 'millis'
  if (unit.micros) return 'micros'
  return unit.nanos ? 'nanos' : undefined
}

function ofConverted(
  converted: ConvertedType,
  physical: PhysicalType,
  element: SchemaElement,
): DataType | undefined {
  if (converted === 'DECIMAL') {
    return decimalOf(physical, element.precision ?? 0, element.scale ?? 0)
  }
  const integer = /^(U?)INT_(\d+)$/.exec(converted)
  if (integer) return integerOf(physical, Number(integer[2]), integer[1] === '')
  switch (`${physical} ${converted}`) {
    case 'BYTE_ARRAY UTF8':
      return { kind: 'string' }
    case 'BYTE_ARRAY ENUM':
      return { kind: 'enum' }
    case 'BYTE_ARRAY JSON':
      return { kind: 'json' }
    case 'BYTE_ARRAY BSON':
      return { kind: 'bson' }
    case 'INT32 DATE':
      return { kind: 'date' }
    case 'INT32 TIME_MILLIS':
      return { kind: 'time', unit: 'millis', isUtc: true }
    case 'INT64 TIME_MICROS':
      return { kind: 'time', unit: 'micros', isUtc: true }
    case 'INT64 TIMESTAMP_MILLIS':
      return { kind: 'timestamp', unit: 'millis', isUtc: true }
    case 'INT64 TIMESTAMP_MICROS':
      return { kind: 'timestamp', unit: 'micros', isUtc: true }
    case 'FIXED_LEN_BYTE_ARRAY INTERVAL':
      return element.typeLength === intervalBytes ? { kind: 'interval' } : undefined
    default:
      return undefined
  }
}

function integerOf(
  physical: PhysicalType,
  bitWidth: number,
  isSigned: boolean,
): DataType | undefined {
  if (bitWidth === 64 && physical === 'INT64') return { kind: isSigned ? 'int64' : 'uint64' }
  if (physical !== 'INT32') return undefined
  switch (bitWidth) {
    case 8:
      return { kind: isSigned ? 'int8' : 'uint8' }
    case 16:
      return { kind: isSigned ? 'int16' : 'uint16' }
    case 32:
      return { kind: isSigned ? 'int32' : 'uint32' }
    default:
      return undefined
  }
}

function decimalOf(physical: PhysicalType, precision: number, scale: number): DataType | undefined {
  const isCarrier =
    physical === 'INT32' ||
    physical === 'INT64' ||
    physical === 'BYTE_ARRAY' ||
    physical === 'FIXED_LEN_BYTE_ARRAY'
  if (!isCarrier) return undefined
  if (precision < 1 || precision > decimalDigitsMax || scale < 0 || scale > precision) {
    throw unsupported(`DECIMAL(${precision}, ${scale}) is not supported`)
  }
  return { kind: 'decimal', precision, scale }
}

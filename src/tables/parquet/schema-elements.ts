/**
 * Fields spelled as the schema elements of a file to write. Both annotations are given, the logical type and the
 * converted type of older readers; lists take the three levels of the format, maps a group `key_value`.
 */
import type { Field, TimeUnit } from '../columns/column.ts'
import {
  type ConvertedType,
  convertedTypes,
  type LogicalType,
  type PhysicalType,
  physicalTypes,
  type Repetition,
  repetitions,
  type SchemaElement,
} from './metadata.ts'

/** Bytes of a decimal by its digits, from 1 on: the fewest that hold all of them. */
function decimalBytes(precision: number): number {
  let bytes = 1
  while (2n ** BigInt(8 * bytes - 1) < 10n ** BigInt(precision)) bytes++
  return bytes
}

export function schemaElements(fields: readonly Field[]): SchemaElement[] {
  return [
    { name: 'schema', numChildren: fields.length },
    ...fields.flatMap((field) => elementsOf(field)),
  ]
}

function elementsOf(field: Field, name = field.name): SchemaElement[] {
  const { type } = field
  const head = {
    name,
    repetitionType: repetitionId(field.isNullable ? 'OPTIONAL' : 'REQUIRED'),
    fieldId: field.fieldId,
  }
  switch (type.kind) {
    case 'struct':
      return [
        { ...head, numChildren: type.fields.length },
        ...type.fields.flatMap((one) => elementsOf(one)),
      ]
    case 'list':
      return [
        { ...head, numChildren: 1, ...annotated('LIST', { list: {} }) },
        { name: 'list', repetitionType: repetitionId('REPEATED'), numChildren: 1 },
        ...elementsOf(type.element, 'element'),
      ]
    case 'map':
      return [
        { ...head, numChildren: 1, ...annotated('MAP', { map: {} }) },
        { name: 'key_value', repetitionType: repetitionId('REPEATED'), numChildren: 2 },
        ...elementsOf({ ...type.key, isNullable: false }, 'key'),
        ...elementsOf(type.value, 'value'),
      ]
    default:
      return [{ ...head, ...leafElement(field) }]
  }
}

function repetitionId(repetition: Repetition): number {
  return repetitions.indexOf(repetition)
}

type Spelling = Partial<SchemaElement>

function annotated(converted: ConvertedType | null, logicalType: LogicalType): Spelling {
  return converted === null
    ? { logicalType }
    : { convertedType: convertedTypes.indexOf(converted), logicalType }
}

function physical(type: PhysicalType, annotation: Spelling = {}): Spelling {
  return { type: physicalTypes.indexOf(type), ...annotation }
}

function leafElement({ type, name }: Field): Spelling {
  switch (type.kind) {
    case 'null':
      return physical('INT32', { logicalType: { unknown: {} } })
    case 'boolean':
      return physical('BOOLEAN')
    case 'int32':
      return physical('INT32')
    case 'int64':
      return physical('INT64')
    case 'int8':
    case 'int16':
    case 'uint8':
    case 'uint16':
    case 'uint32':
    case 'uint64':
      return integer(type.kind)
    case 'float':
      return physical('FLOAT')
    case 'double':
      return physical('DOUBLE')
    case 'float16':
      return fixed(2, { logicalType: { float16: {} } })
    case 'decimal':
      return decimal(type.precision, type.scale)
    case 'string':
      return physical('BYTE_ARRAY', annotated('UTF8', { string: {} }))
    case 'enum':
      return physical('BYTE_ARRAY', annotated('ENUM', { enum: {} }))
    case 'json':
      return physical('BYTE_ARRAY', annotated('JSON', { json: {} }))
    case 'bson':
      return physical('BYTE_ARRAY', annotated('BSON', { bson: {} }))
    case 'binary':
      return physical('BYTE_ARRAY')
    case 'fixed':
      return fixed(type.size, {})
    case 'uuid':
      return fixed(16, { logicalType: { uuid: {} } })
    case 'interval':
      return fixed(12, { convertedType: convertedTypes.indexOf('INTERVAL') })
    case 'date':
      return physical('INT32', annotated('DATE', { date: {} }))
    case 'time':
      return time(type.unit, type.isUtc)
    case 'timestamp':
      return timestamp(type.unit, type.isUtc)
    default:
      throw new RangeError(`${name} is no leaf`)
  }
}

function fixed(typeLength: number, annotation: Spelling): Spelling {
  return physical('FIXED_LEN_BYTE_ARRAY', { typeLength, ...annotation })
}

function integer(kind: string): Spelling {
  const isSigned = kind.startsWith('int')
  const bitWidth = Number(/\d+/.exec(kind)![0])
  const converted = `${isSigned ? 'INT' : 'UINT'}_${bitWidth}` as ConvertedType
  return physical(
    bitWidth === 64 ? 'INT64' : 'INT32',
    annotated(converted, { integer: { bitWidth, isSigned } }),
  )
}

function decimal(precision: number, scale: number): Spelling {
  const annotation = {
    precision,
    scale,
    ...annotated('DECIMAL', { decimal: { scale, precision } }),
  }
  if (precision <= 9) return physical('INT32', annotation)
  if (precision <= 18) return physical('INT64', annotation)
  return fixed(decimalBytes(precision), annotation)
}

const unitsOf: Readonly<Record<TimeUnit, { millis?: object; micros?: object; nanos?: object }>> = {
  millis: { millis: {} },
  micros: { micros: {} },
  nanos: { nanos: {} },
}

function time(unit: TimeUnit, isUtc: boolean): Spelling {
  const logicalType = { time: { isAdjustedToUtc: isUtc, unit: unitsOf[unit] } }
  const converted = { millis: 'TIME_MILLIS', micros: 'TIME_MICROS', nanos: null } as const
  // Converted types know no time without a zone: older readers would take it for UTC.
  return physical(
    unit === 'millis' ? 'INT32' : 'INT64',
    annotated(isUtc ? converted[unit] : null, logicalType),
  )
}

function timestamp(unit: TimeUnit, isUtc: boolean): Spelling {
  const logicalType = { timestamp: { isAdjustedToUtc: isUtc, unit: unitsOf[unit] } }
  const converted = { millis: 'TIMESTAMP_MILLIS', micros: 'TIMESTAMP_MICROS', nanos: null } as const
  return physical('INT64', annotated(isUtc ? converted[unit] : null, logicalType))
}

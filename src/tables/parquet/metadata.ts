/**
 * The structs of Parquet's metadata, one table each, with the names and ids of the format's own definition.
 * Structs that carry nothing but their presence are empty tables.
 */

import type { ThriftType } from './thrift.ts'
import {
  binary,
  bool,
  i8,
  i16,
  i32,
  i64,
  list,
  optional,
  required,
  struct,
  text,
} from './thrift.ts'

export const physicalTypes = [
  'BOOLEAN',
  'INT32',
  'INT64',
  'INT96',
  'FLOAT',
  'DOUBLE',
  'BYTE_ARRAY',
  'FIXED_LEN_BYTE_ARRAY',
] as const
export type PhysicalType = (typeof physicalTypes)[number]

export const repetitions = ['REQUIRED', 'OPTIONAL', 'REPEATED'] as const
export type Repetition = (typeof repetitions)[number]

export const encodings = [
  'PLAIN',
  'GROUP_VAR_INT',
  'PLAIN_DICTIONARY',
  'RLE',
  'BIT_PACKED',
  'DELTA_BINARY_PACKED',
  'DELTA_LENGTH_BYTE_ARRAY',
  'DELTA_BYTE_ARRAY',
  'RLE_DICTIONARY',
  'BYTE_STREAM_SPLIT',
  'ALP',
] as const
export type Encoding = (typeof encodings)[number]

export const codecs = [
  'UNCOMPRESSED',
  'SNAPPY',
  'GZIP',
  'LZO',
  'BROTLI',
  'LZ4',
  'ZSTD',
  'LZ4_RAW',
] as const
export type Codec = (typeof codecs)[number]

export const pageTypes = ['DATA_PAGE', 'INDEX_PAGE', 'DICTIONARY_PAGE', 'DATA_PAGE_V2'] as const

export const convertedTypes = [
  'UTF8',
  'MAP',
  'MAP_KEY_VALUE',
  'LIST',
  'ENUM',
  'DECIMAL',
  'DATE',
  'TIME_MILLIS',
  'TIME_MICROS',
  'TIMESTAMP_MILLIS',
  'TIMESTAMP_MICROS',
  'UINT_8',
  'UINT_16',
  'UINT_32',
  'UINT_64',
  'INT_8',
  'INT_16',
  'INT_32',
  'INT_64',
  'JSON',
  'BSON',
  'INTERVAL',
] as const
export type ConvertedType = (typeof convertedTypes)[number]

type TypeOf<Table> = Table extends ThriftType<infer Value> ? Value : never

const empty = struct('empty struct', {})
const timeUnit = struct('TimeUnit', {
  millis: optional(1, empty),
  micros: optional(2, empty),
  nanos: optional(3, empty),
})
const timeType = struct('TimeType', {
  isAdjustedToUtc: required(1, bool),
  unit: required(2, timeUnit),
})

const logicalType = struct('LogicalType', {
  string: optional(1, empty),
  map: optional(2, empty),
  list: optional(3, empty),
  enum: optional(4, empty),
  decimal: optional(
    5,
    struct('DecimalType', { scale: required(1, i32), precision: required(2, i32) }),
  ),
  date: optional(6, empty),
  time: optional(7, timeType),
  timestamp: optional(8, timeType),
  integer: optional(
    10,
    struct('IntType', { bitWidth: required(1, i8), isSigned: required(2, bool) }),
  ),
  unknown: optional(11, empty),
  json: optional(12, empty),
  bson: optional(13, empty),
  uuid: optional(14, empty),
  float16: optional(15, empty),
  variant: optional(16, empty),
  geometry: optional(17, empty),
  geography: optional(18, empty),
})
export type LogicalType = TypeOf<typeof logicalType>

const schemaElement = struct('SchemaElement', {
  type: optional(1, i32),
  typeLength: optional(2, i32),
  repetitionType: optional(3, i32),
  name: required(4, text),
  numChildren: optional(5, i32),
  convertedType: optional(6, i32),
  scale: optional(7, i32),
  precision: optional(8, i32),
  fieldId: optional(9, i32),
  logicalType: optional(10, logicalType),
})
export type SchemaElement = TypeOf<typeof schemaElement>

const statistics = struct('Statistics', {
  max: optional(1, binary),
  min: optional(2, binary),
  nullCount: optional(3, i64),
  distinctCount: optional(4, i64),
  maxValue: optional(5, binary),
  minValue: optional(6, binary),
  isMaxValueExact: optional(7, bool),
  isMinValueExact: optional(8, bool),
  nanCount: optional(9, i64),
})
export type Statistics = TypeOf<typeof statistics>

const keyValue = struct('KeyValue', { key: required(1, text), value: optional(2, text) })

const columnMetaData = struct('ColumnMetaData', {
  type: required(1, i32),
  encodings: required(2, list(i32)),
  pathInSchema: required(3, list(text)),
  codec: required(4, i32),
  numValues: required(5, i64),
  totalUncompressedSize: required(6, i64),
  totalCompressedSize: required(7, i64),
  keyValueMetadata: optional(8, list(keyValue)),
  dataPageOffset: required(9, i64),
  indexPageOffset: optional(10, i64),
  dictionaryPageOffset: optional(11, i64),
  statistics: optional(12, statistics),
  encodingStats: optional(
    13,
    list(
      struct('PageEncodingStats', {
        pageType: required(1, i32),
        encoding: required(2, i32),
        count: required(3, i32),
      }),
    ),
  ),
  bloomFilterOffset: optional(14, i64),
  bloomFilterLength: optional(15, i32),
})
export type ColumnMetaData = TypeOf<typeof columnMetaData>

const columnChunk = struct('ColumnChunk', {
  filePath: optional(1, text),
  fileOffset: optional(2, i64),
  metaData: optional(3, columnMetaData),
  offsetIndexOffset: optional(4, i64),
  offsetIndexLength: optional(5, i32),
  columnIndexOffset: optional(6, i64),
  columnIndexLength: optional(7, i32),
  cryptoMetadata: optional(8, empty),
})
export type ColumnChunk = TypeOf<typeof columnChunk>

const rowGroup = struct('RowGroup', {
  columns: required(1, list(columnChunk)),
  totalByteSize: optional(2, i64),
  numRows: required(3, i64),
  sortingColumns: optional(
    4,
    list(
      struct('SortingColumn', {
        columnIdx: required(1, i32),
        descending: required(2, bool),
        nullsFirst: required(3, bool),
      }),
    ),
  ),
  fileOffset: optional(5, i64),
  totalCompressedSize: optional(6, i64),
  ordinal: optional(7, i16),
})
export type RowGroupMetaData = TypeOf<typeof rowGroup>

const columnOrder = struct('ColumnOrder', {
  typeOrder: optional(1, empty),
  ieee754TotalOrder: optional(2, empty),
  int96TimestampOrder: optional(3, empty),
})

export const fileMetaData = struct('FileMetaData', {
  version: optional(1, i32),
  schema: required(2, list(schemaElement)),
  numRows: required(3, i64),
  rowGroups: required(4, list(rowGroup)),
  keyValueMetadata: optional(5, list(keyValue)),
  createdBy: optional(6, text),
  columnOrders: optional(7, list(columnOrder)),
  encryptionAlgorithm: optional(8, empty),
})
export type FileMetaData = TypeOf<typeof fileMetaData>

const dataPageHeader = struct('DataPageHeader', {
  numValues: required(1, i32),
  encoding: required(2, i32),
  definitionLevelEncoding: required(3, i32),
  repetitionLevelEncoding: required(4, i32),
  statistics: optional(5, statistics),
})

const dictionaryPageHeader = struct('DictionaryPageHeader', {
  numValues: required(1, i32),
  encoding: required(2, i32),
  isSorted: optional(3, bool),
})

const dataPageHeaderV2 = struct('DataPageHeaderV2', {
  numValues: required(1, i32),
  numNulls: required(2, i32),
  numRows: required(3, i32),
  encoding: required(4, i32),
  definitionLevelsByteLength: required(5, i32),
  repetitionLevelsByteLength: required(6, i32),
  isCompressed: optional(7, bool),
  statistics: optional(8, statistics),
})

export const pageHeader = struct('PageHeader', {
  type: required(1, i32),
  uncompressedPageSize: required(2, i32),
  compressedPageSize: required(3, i32),
  crc: optional(4, i32),
  dataPageHeader: optional(5, dataPageHeader),
  indexPageHeader: optional(6, empty),
  dictionaryPageHeader: optional(7, dictionaryPageHeader),
  dataPageHeaderV2: optional(8, dataPageHeaderV2),
})
export type PageHeader = TypeOf<typeof pageHeader>

export const offsetIndex = struct('OffsetIndex', {
  pageLocations: required(
    1,
    list(
      struct('PageLocation', {
        offset: required(1, i64),
        compressedPageSize: required(2, i32),
        firstRowIndex: required(3, i64),
      }),
    ),
  ),
})
export type OffsetIndex = TypeOf<typeof offsetIndex>

export const columnIndex = struct('ColumnIndex', {
  nullPages: required(1, list(bool)),
  minValues: required(2, list(binary)),
  maxValues: required(3, list(binary)),
  boundaryOrder: required(4, i32),
  nullCounts: optional(5, list(i64)),
})
export type ColumnIndex = TypeOf<typeof columnIndex>

export const bloomFilterHeader = struct('BloomFilterHeader', {
  numBytes: required(1, i32),
  algorithm: required(2, struct('BloomFilterAlgorithm', { block: optional(1, empty) })),
  hash: required(3, struct('BloomFilterHash', { xxhash: optional(1, empty) })),
  compression: required(4, struct('BloomFilterCompression', { uncompressed: optional(1, empty) })),
})
export type BloomFilterHeader = TypeOf<typeof bloomFilterHeader>

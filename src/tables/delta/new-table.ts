/**
 * The first protocol and metadata of a table. It asks no more of others than what is used in it: readers of the first
 * version can read one without features.
 */
import type { DataType, Field } from '../columns/column.ts'
import { fieldsWithin } from '../columns/column.ts'
import { type Json, jsonText } from '../columns/exact-json.ts'
import type { MetadataAction, ProtocolAction } from './actions.ts'
import { refuseReserved } from './changes.ts'
import { randomUuid } from './data-writer.ts'
import { invalid, unsupported } from './delta-error.ts'
import { refuseWriting, writerFeaturesOf } from './features.ts'
import { refuseValues } from './properties.ts'
import { RowRules, type RuledField } from './row-rules.ts'
import { readTableSchema, typeText } from './schema.ts'
import type { TableEnvironment } from './table-environment.ts'

export interface TableDefinition {
  /** With the metadata of `TableField`, if they have any. */
  readonly fields: readonly RuledField[]
  readonly partitionBy?: readonly string[]
  readonly properties?: ReadonlyMap<string, string>
}

export interface NewTable {
  readonly protocol: ProtocolAction
  readonly metadata: MetadataAction
}

/** Throws DeltaError for what is no table, or none that is written here. */
export function newTable(
  definition: TableDefinition,
  environment: Pick<TableEnvironment, 'clock' | 'random'>,
): NewTable {
  const { partitionBy = [], properties = new Map<string, string>() } = definition
  const { features, configuration } = featuresOf(definition.fields, properties, environment)
  const mapping = configuration.get('delta.columnMapping.mode') ?? 'none'
  const ids = mapping === 'none' ? null : new ColumnIds(environment)
  const fields = definition.fields.map((field) => fieldJson(field, ids))
  if (ids !== null) configuration.set('delta.columnMapping.maxColumnId', String(ids.last))
  const metadata: MetadataAction = {
    id: randomUuid(environment.random),
    name: null,
    description: null,
    provider: 'parquet',
    formatOptions: new Map(),
    schemaString: jsonText({ type: 'struct', fields }),
    partitionColumns: partitionBy,
    configuration,
    createdTime: environment.clock.now(),
  }
  const protocol = protocolWith(features)
  refuseTable(definition, metadata, protocol)
  return { protocol, metadata }
}

/** Columns from a schema as Delta writes it, for a table with these properties. Throws DeltaError. */
export function fieldsOfText(
  schemaString: string,
  properties: ReadonlyMap<string, string>,
): TableDefinition['fields'] {
  // They get their own physical names and ids.
  const configuration = new Map(properties)
  configuration.delete('delta.columnMapping.mode')
  return readTableSchema({
    ...{ id: '', name: null, description: null, provider: 'parquet', formatOptions: new Map() },
    ...{ schemaString, partitionColumns: [], configuration, createdTime: null },
  }).fields
}

function refuseTable(
  { fields, partitionBy = [] }: TableDefinition,
  metadata: MetadataAction,
  protocol: ProtocolAction,
): void {
  const isMapped = metadata.configuration.has('delta.columnMapping.mode')
  for (const field of fields) refuseName(field, isMapped)
  const twice = partitionBy.find((name, i) => partitionBy.indexOf(name) !== i)
  if (twice !== undefined) throw invalid(`the table would be partitioned by ${twice} twice`)
  const unknown = partitionBy.find((name) => !fields.some((field) => field.name === name))
  if (unknown !== undefined) throw invalid(`there is no column ${unknown} to partition by`)
  refuseWriting(protocol, metadata)
  const features = writerFeaturesOf(protocol)
  const { configuration } = metadata
  refuseReserved(fields, configuration)
  // Its rows may come much later than it is made: what nobody could write is refused now.
  new RowRules({ fields: readTableSchema(metadata).fields, configuration, features, now: 0 })
}

/** Without column mapping a name stands in files as it is, where not every reader takes all characters. */
export function refuseName({ name, type }: Field, isMapped: boolean): void {
  if (name === '') throw invalid('a column without a name')
  if (!isMapped && /[ ,;{}()\n\t=]/.test(name)) {
    throw invalid(`the name ${JSON.stringify(name)} has a character that needs columnMapping`)
  }
  for (const field of fieldsWithin(type)) refuseName(field, isMapped)
}

/** Properties that ask for a feature when they are true. */
const featureOfProperty: Readonly<Record<string, readonly string[]>> = {
  'delta.enableChangeDataFeed': ['changeDataFeed'],
  'delta.enableDeletionVectors': ['deletionVectors'],
  'delta.enableInCommitTimestamps': ['inCommitTimestamp'],
  'delta.enableRowTracking': ['rowTracking', 'domainMetadata'],
  'delta.enableTypeWidening': ['typeWidening'],
}
const readerFeatures = new Set([
  ...['columnMapping', 'deletionVectors', 'timestampNtz', 'typeWidening', 'v2Checkpoint'],
])
const rowTrackingColumns = {
  'delta.rowTracking.materializedRowIdColumnName': '_row-id-col-',
  'delta.rowTracking.materializedRowCommitVersionColumnName': '_row-commit-version-col-',
}

/** What a column's metadata asks for. */
const featureOfColumn = {
  'delta.generationExpression': 'generatedColumns',
  'delta.identity.start': 'identityColumns',
  CURRENT_DEFAULT: 'allowColumnDefaults',
}

function featuresOf(
  fields: readonly RuledField[],
  properties: ReadonlyMap<string, string>,
  { random }: Pick<TableEnvironment, 'random'>,
): { features: string[]; configuration: Map<string, string> } {
  refuseValues(properties)
  const features: string[] = []
  const configuration = new Map(properties)
  for (const [property, names] of Object.entries(featureOfProperty)) {
    if (properties.get(property) === 'true') features.push(...names)
  }
  if (features.includes('rowTracking')) {
    for (const [property, prefix] of Object.entries(rowTrackingColumns)) {
      configuration.set(property, `${prefix}${randomUuid(random)}`)
    }
  }
  if ((properties.get('delta.columnMapping.mode') ?? 'none') !== 'none') {
    features.push('columnMapping')
  }
  if (fields.some(({ type }) => hasNtz(type))) features.push('timestampNtz')
  if (properties.get('delta.checkpointPolicy') === 'v2') features.push('v2Checkpoint')
  for (const [property, feature] of Object.entries(featureOfColumn)) {
    const isUsed = (field: RuledField): boolean =>
      Object.hasOwn(field.metadata ?? {}, property) || (field.children ?? []).some(isUsed)
    if (fields.some(isUsed)) features.push(feature)
  }
  for (const property of properties.keys()) {
    if (property.startsWith('delta.constraints.') && !features.includes('checkConstraints')) {
      features.push('checkConstraints')
    }
    if (property.startsWith('delta.feature.')) {
      throw unsupported(`${property}: a table gets the features that its properties need`)
    }
  }
  return { features, configuration }
}

/** Whether a time without a zone is in it, which needs the feature timestampNtz. */
export function hasNtz(type: DataType): boolean {
  if (type.kind === 'timestamp') return !type.isUtc
  return fieldsWithin(type).some((field) => hasNtz(field.type))
}

function protocolWith(features: readonly string[]): ProtocolAction {
  if (features.length === 0) {
    return { minReaderVersion: 1, minWriterVersion: 2, readerFeatures: null, writerFeatures: null }
  }
  const ofReaders = features.filter((name) => readerFeatures.has(name))
  return {
    minReaderVersion: ofReaders.length === 0 ? 1 : 3,
    minWriterVersion: 7,
    readerFeatures: ofReaders.length === 0 ? null : ofReaders,
    // What the versions before had brought without saying so.
    writerFeatures: ['appendOnly', 'invariants', ...features],
  }
}

/** Gives each field a number and a name for files. */
export class ColumnIds {
  readonly #environment: Pick<TableEnvironment, 'random'>
  /** The highest that a field has. */
  last: number

  constructor(environment: Pick<TableEnvironment, 'random'>, last = 0) {
    this.#environment = environment
    this.last = last
  }

  next(): { [name: string]: Json } {
    return {
      'delta.columnMapping.id': ++this.last,
      'delta.columnMapping.physicalName': `col-${randomUuid(this.#environment.random)}`,
    }
  }
}

type GivenField = TableDefinition['fields'][number]

export function fieldJson(field: GivenField, ids: ColumnIds | null): Json {
  const metadata = { ...field.metadata, ...ids?.next() }
  const type = typeJson(field.type, ids)
  return { name: field.name, type, nullable: field.isNullable, metadata }
}

export function typeJson(type: DataType, ids: ColumnIds | null): Json {
  switch (type.kind) {
    case 'struct':
      return { type: 'struct', fields: type.fields.map((field) => fieldJson(field, ids)) }
    case 'list':
      return {
        type: 'array',
        elementType: typeJson(type.element.type, ids),
        containsNull: type.element.isNullable,
      }
    case 'map':
      return {
        type: 'map',
        keyType: typeJson(type.key.type, ids),
        valueType: typeJson(type.value.type, ids),
        valueContainsNull: type.value.isNullable,
      }
    default:
      return typeText(type)
  }
}

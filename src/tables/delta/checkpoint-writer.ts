/**
 * Checkpoints of the classic kind: all that a version's log comes to, an action a row, in one Parquet file that readers
 * take in place of the commits before it. Plain pages, and every column optional: what is more than that, not all
 * readers understand. Behind it `_last_checkpoint` is put, so that who reads it finds what it names.
 */
import type { DataType, Field, PlainKind } from '../columns/column.ts'
import { BatchBuilder } from '../columns/column-builder.ts'
import { jsonText } from '../columns/exact-json.ts'
import type { Value } from '../columns/value.ts'
import { ParquetFile } from '../parquet/parquet-file.ts'
import { ParquetWriter } from '../parquet/parquet-writer.ts'
import { inMemory } from '../random-access.ts'
import type {
  AddAction,
  FileAction,
  MetadataAction,
  ProtocolAction,
  RemoveAction,
} from './actions.ts'
import { corrupt } from './delta-error.ts'
import { readLastCheckpoint } from './last-checkpoint.ts'
import { checkpointFile, lastCheckpointFile, logDirectory } from './log-files.ts'
import { tombstoneRetentionMs } from './properties.ts'
import type { Snapshot } from './snapshot.ts'
import type { TableEnvironment } from './table-environment.ts'

const rowsPerBatch = 4096

function optional(name: string, type: DataType): Field {
  return { name, type, isNullable: true }
}

function plain(kind: PlainKind, ...names: readonly string[]): Field[] {
  return names.map((name) => optional(name, { kind }))
}

const text: DataType = { kind: 'string' }
const texts: DataType = { kind: 'list', element: optional('element', text) }
const map: DataType = {
  kind: 'map',
  key: { name: 'key', type: text, isNullable: false },
  value: optional('value', text),
}
const vector = optional('deletionVector', {
  kind: 'struct',
  fields: [
    ...plain('string', 'storageType', 'pathOrInlineDv'),
    ...plain('int32', 'offset', 'sizeInBytes'),
    ...plain('int64', 'cardinality'),
  ],
})

function struct(name: string, ...fields: readonly (readonly Field[] | Field)[]): Field {
  return optional(name, { kind: 'struct', fields: fields.flat() })
}

const fields: readonly Field[] = [
  struct('txn', plain('string', 'appId'), plain('int64', 'version', 'lastUpdated')),
  struct(
    'add',
    ...[plain('string', 'path'), optional('partitionValues', map)],
    ...[plain('int64', 'size', 'modificationTime'), plain('boolean', 'dataChange')],
    ...[optional('tags', map), vector, plain('int64', 'baseRowId', 'defaultRowCommitVersion')],
    plain('string', 'clusteringProvider', 'stats'),
  ),
  struct(
    'remove',
    ...[plain('string', 'path'), plain('int64', 'deletionTimestamp')],
    ...[plain('boolean', 'dataChange', 'extendedFileMetadata'), optional('partitionValues', map)],
    ...[plain('int64', 'size'), vector, plain('int64', 'baseRowId', 'defaultRowCommitVersion')],
  ),
  struct(
    'metaData',
    plain('string', 'id', 'name', 'description'),
    struct('format', plain('string', 'provider'), optional('options', map)),
    ...[plain('string', 'schemaString'), optional('partitionColumns', texts)],
    ...[optional('configuration', map), plain('int64', 'createdTime')],
  ),
  struct(
    'protocol',
    plain('int32', 'minReaderVersion', 'minWriterVersion'),
    ...[optional('readerFeatures', texts), optional('writerFeatures', texts)],
  ),
  struct(
    'domainMetadata',
    ...[plain('string', 'domain', 'configuration'), plain('boolean', 'removed')],
  ),
]

type Row = { readonly [name: string]: Value }

/** Answers false where the version has one already. Rejects with DeltaError, DiskError. */
export async function writeCheckpoint(
  { storage, clock }: TableEnvironment,
  snapshot: Snapshot,
): Promise<boolean> {
  const { bytes, rowCount } = await checkpointOf(snapshot, clock.now())
  // Who cannot read a checkpoint cannot read the table: so it is looked at before anybody can see it.
  const reread = await ParquetFile.open(inMemory(bytes))
  if (reread.rowCount !== rowCount) throw corrupt('the checkpoint to write lacks rows')
  if (!(await storage.putIfAbsent(checkpointFile(snapshot.version), bytes))) return false
  const last = await readLastCheckpoint(storage)
  if (last !== null && last.version >= snapshot.version) return true
  const hint = {
    version: snapshot.version,
    size: rowCount,
    sizeInBytes: bytes.length,
    numOfAddFiles: snapshot.files.size,
  }
  await storage.put(lastCheckpointFile, Buffer.from(jsonText(hint)))
  // Hadoop's checksum of what was there before; with it, Spark would take the hint for damaged.
  await storage.remove(`${logDirectory}/._last_checkpoint.crc`)
  return true
}

async function checkpointOf(
  snapshot: Snapshot,
  now: number,
): Promise<{ bytes: Buffer; rowCount: number }> {
  const chunks: Uint8Array[] = []
  const sink = { write: (bytes: Uint8Array) => void chunks.push(bytes) }
  const writer = new ParquetWriter(sink, fields, { useDeltas: false })
  const builder = new BatchBuilder(fields)
  let rowCount = 0
  for (const row of rowsOf(snapshot, now)) {
    builder.append(row)
    rowCount++
    if (builder.rowCount === rowsPerBatch) await writer.append(builder.finish())
  }
  if (builder.rowCount > 0) await writer.append(builder.finish())
  await writer.finish()
  return { bytes: Buffer.concat(chunks), rowCount }
}

function* rowsOf(snapshot: Snapshot, now: number): Generator<Row> {
  yield { protocol: protocolRow(snapshot.protocol) }
  yield { metaData: metadataRow(snapshot.metadata) }
  for (const txn of snapshot.transactions.values()) yield { txn: { ...txn } }
  for (const domain of snapshot.domains.values()) yield { domainMetadata: { ...domain } }
  for (const add of snapshot.files.values()) yield { add: addRow(add) }
  const expired = now - tombstoneRetentionMs(snapshot.metadata.configuration)
  for (const remove of snapshot.tombstones.values()) {
    if (remove.deletionTimestamp > expired) yield { remove: removeRow(remove) }
  }
}

function protocolRow(protocol: ProtocolAction): Row {
  return {
    ...{ minReaderVersion: protocol.minReaderVersion, minWriterVersion: protocol.minWriterVersion },
    readerFeatures: protocol.readerFeatures === null ? null : [...protocol.readerFeatures],
    writerFeatures: protocol.writerFeatures === null ? null : [...protocol.writerFeatures],
  }
}

function metadataRow(metadata: MetadataAction): Row {
  const { id, name, description, schemaString, createdTime } = metadata
  return {
    ...{ id, name, description, schemaString, createdTime },
    format: { provider: metadata.provider, options: new Map(metadata.formatOptions) },
    partitionColumns: [...metadata.partitionColumns],
    configuration: new Map(metadata.configuration),
  }
}

function fileRow(file: FileAction): Row {
  const { path, size, baseRowId, defaultRowCommitVersion, deletionVector } = file
  return {
    ...{ path, size, baseRowId, defaultRowCommitVersion, dataChange: false },
    partitionValues: new Map(file.partitionValues),
    deletionVector: deletionVector === null ? null : { ...deletionVector },
  }
}

function addRow(add: AddAction): Row {
  const { modificationTime, stats, clusteringProvider, tags } = add
  const tagRow = { tags: tags === null ? null : new Map(tags) }
  return { ...fileRow(add), ...tagRow, modificationTime, stats, clusteringProvider }
}

function removeRow(remove: RemoveAction): Row {
  const { deletionTimestamp, extendedFileMetadata } = remove
  return { ...fileRow(remove), deletionTimestamp, extendedFileMetadata }
}

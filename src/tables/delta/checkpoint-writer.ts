/**
 * Checkpoints: all that a version's log comes to, an action a row, in Parquet that readers take in place of the commits
 * before it. The classic kind is one file. Of the other (`delta.checkpointPolicy=v2`) the rows of files lie in sidecars, which
 * are there before the checkpoint that names them. Plain pages, and every column optional: what is more than that, not
 * all readers understand. Behind it `_last_checkpoint` is put, so that who reads it finds what it names.
 */
import type { DataType, Field, PlainKind } from '../columns/column.ts'
import { batchOf } from '../columns/column-builder.ts'
import { type Json, jsonText } from '../columns/exact-json.ts'
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
import { randomUuid } from './data-writer.ts'
import { corrupt } from './delta-error.ts'
import { writerFeaturesOf } from './features.ts'
import { readLastCheckpoint } from './last-checkpoint.ts'
import {
  checkpointFile,
  lastCheckpointFile,
  listLog,
  logDirectory,
  namedCheckpointFile,
  sidecarDirectory,
} from './log-files.ts'
import { tombstoneRetentionMs } from './properties.ts'
import type { Snapshot } from './snapshot.ts'
import type { TableEnvironment } from './table-environment.ts'

const rowsPerBatch = 4096
/** Rows of a sidecar at most: it is made in memory. */
const sidecarRowsMax = 100_000

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

/** Of sidecars. */
const fileFields = fields.filter(({ name }) => name === 'add' || name === 'remove')
/** Of a checkpoint that has sidecars. */
const namingFields: readonly Field[] = [
  ...fields,
  struct('checkpointMetadata', plain('int64', 'version'), optional('tags', map)),
  struct(
    'sidecar',
    ...[plain('string', 'path'), plain('int64', 'sizeInBytes', 'modificationTime')],
    optional('tags', map),
  ),
]

type Row = { readonly [name: string]: Value }

/** Answers false where the version has one already. Rejects with DeltaError, DiskError. */
export async function writeCheckpoint(
  environment: TableEnvironment,
  snapshot: Snapshot,
): Promise<boolean> {
  const { storage } = environment
  const hint = writesSidecars(snapshot)
    ? await writeNamed(environment, snapshot)
    : await writeClassic(environment, snapshot)
  if (hint === null) return false
  const last = await readLastCheckpoint(storage)
  if (last !== null && last.version >= snapshot.version) return true
  await storage.put(lastCheckpointFile, Buffer.from(jsonText(hint)))
  // Hadoop's checksum of what was there before; with it, Spark would take the hint for damaged.
  await storage.remove(`${logDirectory}/._last_checkpoint.crc`)
  return true
}

function writesSidecars({ metadata, protocol }: Snapshot): boolean {
  const isAsked = metadata.configuration.get('delta.checkpointPolicy') === 'v2'
  return isAsked && writerFeaturesOf(protocol).includes('v2Checkpoint')
}

/** What is to be said of it in `_last_checkpoint`; `null`: another wrote one. */
async function writeClassic(
  { storage, clock }: TableEnvironment,
  snapshot: Snapshot,
): Promise<{ [name: string]: Json } | null> {
  const rows = [rowsOf(snapshot), fileRowsOf(snapshot, clock.now())]
  const { bytes, rowCount } = await fileOf(fields, joined(rows))
  if (!(await storage.putIfAbsent(checkpointFile(snapshot.version), bytes))) return null
  return {
    version: snapshot.version,
    size: rowCount,
    sizeInBytes: bytes.length,
    numOfAddFiles: snapshot.files.size,
  }
}

async function writeNamed(
  environment: TableEnvironment,
  snapshot: Snapshot,
): Promise<{ [name: string]: Json } | null> {
  const { storage, clock, random } = environment
  const { version, files } = snapshot
  const { checkpoints } = await listLog(storage, version)
  if (checkpoints.some((one) => one.version === version)) return null
  const modificationTime = clock.now()
  const sidecars: Row[] = []
  let [rowCount, sidecarBytes] = [0, 0]
  for (const rows of parts(fileRowsOf(snapshot, modificationTime), sidecarRowsMax)) {
    const { bytes } = await fileOf(fileFields, rows)
    const path = `${randomUuid(random)}.parquet`
    await storage.putIfAbsent(`${sidecarDirectory}/${path}`, bytes)
    sidecars.push({ sidecar: { path, sizeInBytes: bytes.length, modificationTime } })
    rowCount += rows.length
    sidecarBytes += bytes.length
  }
  const tags = new Map([
    ['sidecarNumActions', String(rowCount)],
    ['sidecarSizeInBytes', String(sidecarBytes)],
    ['numOfAddFiles', String(files.size)],
  ])
  const others = [{ checkpointMetadata: { version, tags } }, ...rowsOf(snapshot), ...sidecars]
  const { bytes } = await fileOf(namingFields, others)
  const name = namedCheckpointFile(version, randomUuid(random))
  await storage.putIfAbsent(name, bytes)
  const path = name.slice(logDirectory.length + 1)
  return {
    ...{ version, size: rowCount + others.length, sizeInBytes: bytes.length + sidecarBytes },
    numOfAddFiles: files.size,
    v2Checkpoint: { path, sizeInBytes: bytes.length, modificationTime },
  }
}

/** Parquet. Who cannot read a checkpoint cannot read the table: so it is looked at before anybody can see it. */
async function fileOf(
  columns: readonly Field[],
  rows: Iterable<Row>,
): Promise<{ bytes: Buffer; rowCount: number }> {
  const chunks: Uint8Array[] = []
  const sink = { write: (bytes: Uint8Array) => void chunks.push(bytes) }
  const writer = new ParquetWriter(sink, columns, { useDeltas: false })
  let rowCount = 0
  for (const some of parts(rows, rowsPerBatch)) {
    await writer.append(batchOf(columns, some))
    rowCount += some.length
  }
  await writer.finish()
  const bytes = Buffer.concat(chunks)
  const reread = await ParquetFile.open(inMemory(bytes))
  if (reread.rowCount !== rowCount) throw corrupt('the checkpoint to write lacks rows')
  return { bytes, rowCount }
}

function* joined(all: readonly Iterable<Row>[]): Generator<Row> {
  for (const some of all) yield* some
}

function* parts(rows: Iterable<Row>, countMax: number): Generator<Row[]> {
  let part: Row[] = []
  for (const row of rows) {
    part.push(row)
    if (part.length < countMax) continue
    yield part
    part = []
  }
  if (part.length > 0) yield part
}

function* rowsOf(snapshot: Snapshot): Generator<Row> {
  yield { protocol: protocolRow(snapshot.protocol) }
  yield { metaData: metadataRow(snapshot.metadata) }
  for (const txn of snapshot.transactions.values()) yield { txn: { ...txn } }
  for (const domain of snapshot.domains.values()) yield { domainMetadata: { ...domain } }
}

function* fileRowsOf(snapshot: Snapshot, now: number): Generator<Row> {
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

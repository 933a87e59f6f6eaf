/**
 * What versions of a table changed, row by row (change data feed). Where a commit has files of changes, those and no
 * others tell; else what it added is inserted and what it removed is deleted, but for files whose rows only moved.
 * That is the whole truth only while the table keeps a feed: without it a commit that both adds and removes may have
 * copied rows from one file to another, and is refused.
 */
import type { Storage } from '../../environment/storage.ts'
import type { Column, ColumnBatch, Field } from '../columns/column.ts'
import { builderOf } from '../columns/column-builder.ts'
import type { Value } from '../columns/value.ts'
import {
  type Action,
  type AddAction,
  type FileAction,
  parseActions,
  type RemoveAction,
} from './actions.ts'
import { repeated } from './conform.ts'
import { readDeletionVector } from './deletion-vector.ts'
import { invalid, missing, unsupported } from './delta-error.ts'
import { refuseReading } from './features.ts'
import { latestVersion, listLog } from './log-files.ts'
import { type ScannedFile, scanFile } from './scan.ts'
import type { TableField, TableSchema } from './schema.ts'
import { readSnapshot } from './snapshot.ts'

export type ChangeType = 'insert' | 'update_preimage' | 'update_postimage' | 'delete'

export const changesDirectory = '_change_data'

/** Behind the columns of the table, in files of changes. */
export const changeType: TableField = {
  name: '_change_type',
  physicalName: '_change_type',
  type: { kind: 'string' },
  children: [],
  metadata: {},
  isNullable: true,
}
const commitVersion: Field = { name: '_commit_version', type: { kind: 'int64' }, isNullable: false }

/** Of rows that are told with what happened to them. */
const reserved = ['_change_type', '_commit_version', '_commit_timestamp']

/** Throws DeltaError for a column that a table with a feed cannot have: of its values and of the feed's one would be lost. */
export function refuseReserved(
  fields: readonly Pick<Field, 'name'>[],
  configuration: ReadonlyMap<string, string>,
): void {
  const taken = fields.find(({ name }) => reserved.includes(name.toLowerCase()))
  if (taken === undefined || !isFeedOn(configuration)) return
  throw invalid(
    `a table with delta.enableChangeDataFeed has no column ${taken.name}: its feed has one of that name`,
  )
}

/**
 * The changes of all versions from one to another, both included, with `_change_type` and `_commit_version` behind
 * the columns of the last. Rejects with DeltaError, ParquetError, DiskError.
 */
export async function* readChanges(
  storage: Storage,
  from: number,
  to?: number,
): AsyncGenerator<ColumnBatch> {
  const { commits, ...listing } = await listLog(storage)
  const last = to ?? latestVersion({ commits, ...listing })
  if (from > last) throw invalid(`no versions lie from ${from} to ${last}`)
  const first = await readSnapshot(storage, from)
  const { schema } = await readSnapshot(storage, last)
  let keepsFeed = isFeedOn(first.metadata.configuration)
  for (let version = from; version <= last; version++) {
    const commit = commits.get(version)
    if (commit === undefined) throw missing(`the log no longer tells what version ${version} did`)
    const actions = parseActions(await storage.read(commit.name), commit.name)
    for (const action of actions) {
      if (action.kind === 'protocol') refuseReading(action.protocol)
      if (action.kind === 'metaData') keepsFeed = isFeedOn(action.metaData.configuration)
    }
    yield* new VersionChanges(storage, schema, version).of(actions, keepsFeed)
  }
}

function isFeedOn(configuration: ReadonlyMap<string, string>): boolean {
  return configuration.get('delta.enableChangeDataFeed') === 'true'
}

class VersionChanges {
  readonly #storage: Storage
  readonly #schema: TableSchema
  readonly #version: number

  constructor(storage: Storage, schema: TableSchema, version: number) {
    this.#storage = storage
    this.#schema = schema
    this.#version = version
  }

  async *of(actions: readonly Action[], keepsFeed: boolean): AsyncGenerator<ColumnBatch> {
    const told = actions.flatMap((action) => (action.kind === 'cdc' ? [action.cdc] : []))
    if (told.length > 0) {
      for (const file of told) yield* this.#told(file)
      return
    }
    const added = actions.flatMap((action) =>
      action.kind === 'add' && action.add.dataChange ? [action.add] : [],
    )
    const removed = actions.flatMap((action) =>
      action.kind === 'remove' && action.remove.dataChange ? [action.remove] : [],
    )
    if (!keepsFeed && added.length > 0 && removed.length > 0) {
      throw unsupported(
        `version ${this.#version} both added and removed rows, and the table kept no changeDataFeed`,
      )
    }
    yield* this.#derived(added, removed)
  }

  async *#told(file: ScannedFile): AsyncGenerator<ColumnBatch> {
    const fields = [...this.#schema.fields, changeType]
    for await (const batch of scanFile(this.#storage, this.#schema, file, {
      fields,
      isWanted: null,
    })) {
      yield this.#withVersion(batch)
    }
  }

  async *#derived(
    added: readonly AddAction[],
    removed: readonly RemoveAction[],
  ): AsyncGenerator<ColumnBatch> {
    const before = new Map(removed.map((file) => [file.path, file]))
    const after = new Map(added.map((file) => [file.path, file]))
    for (const file of removed) {
      // Where only the rows that are deleted in a file changed, it is removed and added.
      yield* this.#rows(file, 'delete', after.get(file.path) ?? null)
    }
    for (const file of added) yield* this.#rows(file, 'insert', before.get(file.path) ?? null)
  }

  /** The rows that are live in a file, but not in what it is before or after. */
  async *#rows(
    file: FileAction,
    type: ChangeType,
    other: FileAction | null,
  ): AsyncGenerator<ColumnBatch> {
    const isDeleted = await this.#deletedIn(file)
    const isOther = other === null ? null : await this.#deletedIn(other)
    const isWanted = (row: number) => !isDeleted(row) && (isOther === null || isOther(row))
    const { fields } = this.#schema
    for await (const batch of scanFile(this.#storage, this.#schema, file, { fields, isWanted })) {
      yield this.#withVersion(changesBatch(batch, type))
    }
  }

  async #deletedIn({ deletionVector }: FileAction): Promise<(row: number) => boolean> {
    if (deletionVector === null) return () => false
    const rows = await readDeletionVector(this.#storage, deletionVector)
    return (row) => rows.has(row)
  }

  #withVersion({ rowCount, fields, columns }: ColumnBatch): ColumnBatch {
    const versions = constant(commitVersion, BigInt(this.#version), rowCount)
    return { rowCount, fields: [...fields, commitVersion], columns: [...columns, versions] }
  }
}

/** Rows with what happened to them behind. */
export function changesBatch(
  { rowCount, fields, columns }: ColumnBatch,
  type: ChangeType,
): ColumnBatch {
  const types = constant(changeType, type, rowCount)
  return { rowCount, fields: [...fields, changeType], columns: [...columns, types] }
}

function constant(field: Field, value: Value, length: number): Column {
  const builder = builderOf(field)
  builder.append(value)
  return repeated(builder.finish(), length)
}

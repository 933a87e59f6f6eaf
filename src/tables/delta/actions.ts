/**
 * The actions of a Delta log: what a line of a commit, or a row of a checkpoint, says. Actions and fields that are
 * not known are passed over, as the protocol asks; a known one that is not what it should be is `corrupt`.
 */

import { type Json, NumberText, parseJson } from '../columns/exact-json.ts'
import type { Value } from '../columns/value.ts'
import { corrupt } from './delta-error.ts'

export interface ProtocolAction {
  readonly minReaderVersion: number
  readonly minWriterVersion: number
  readonly readerFeatures: readonly string[] | null
  readonly writerFeatures: readonly string[] | null
}

export interface MetadataAction {
  readonly id: string
  readonly name: string | null
  readonly description: string | null
  readonly provider: string
  readonly formatOptions: Texts
  readonly schemaString: string
  readonly partitionColumns: readonly string[]
  readonly configuration: Texts
  readonly createdTime: number | null
}

export interface DeletionVectorDescriptor {
  readonly storageType: string
  readonly pathOrInlineDv: string
  readonly offset: number | null
  readonly sizeInBytes: number
  readonly cardinality: number
}

export interface FileAction {
  /** As the log spells it, percent-encoded: by this, byte for byte, a file is known. */
  readonly path: string
  readonly partitionValues: ReadonlyMap<string, string | null>
  /** Bytes. */
  readonly size: number
  readonly dataChange: boolean
  readonly deletionVector: DeletionVectorDescriptor | null
  readonly tags: ReadonlyMap<string, string | null> | null
  readonly baseRowId: bigint | null
  readonly defaultRowCommitVersion: bigint | null
}

export interface AddAction extends FileAction {
  readonly modificationTime: number
  readonly stats: string | null
  readonly clusteringProvider: string | null
}

export interface RemoveAction extends FileAction {
  /** 0 where the log has none. */
  readonly deletionTimestamp: number
  readonly extendedFileMetadata: boolean
}

export interface CdcAction {
  readonly path: string
  readonly partitionValues: ReadonlyMap<string, string | null>
  readonly size: number
}

export interface TxnAction {
  readonly appId: string
  readonly version: bigint
  readonly lastUpdated: number | null
}

export interface DomainAction {
  readonly domain: string
  readonly configuration: string
  readonly removed: boolean
}

export interface SidecarAction {
  readonly path: string
  readonly sizeInBytes: number
}

export type CommitInfo = { readonly [name: string]: Json }

export type Action =
  | { readonly kind: 'protocol'; readonly protocol: ProtocolAction }
  | { readonly kind: 'metaData'; readonly metaData: MetadataAction }
  | { readonly kind: 'add'; readonly add: AddAction }
  | { readonly kind: 'remove'; readonly remove: RemoveAction }
  | { readonly kind: 'cdc'; readonly cdc: CdcAction }
  | { readonly kind: 'txn'; readonly txn: TxnAction }
  | { readonly kind: 'domainMetadata'; readonly domainMetadata: DomainAction }
  | { readonly kind: 'sidecar'; readonly sidecar: SidecarAction }
  | { readonly kind: 'commitInfo'; readonly commitInfo: CommitInfo }

type Texts = ReadonlyMap<string, string>
type Raw = Json | Value

/** The actions of a commit, or of a checkpoint in JSON. `name` is for what is said where they cannot be read. */
export function parseActions(bytes: Buffer, name: string): Action[] {
  const actions: Action[] = []
  for (const [index, line] of bytes.toString().split('\n').entries()) {
    if (line.trim() === '') continue
    try {
      const json = parseJson(line)
      if (typeof json !== 'object' || json === null || Array.isArray(json)) {
        throw corrupt('a line that is no object')
      }
      const action = actionOf(new Fields(json as Record<string, Raw>))
      if (action !== null) actions.push(action)
    } catch (error) {
      const { message } = error as Error
      throw corrupt(`${name}, line ${index + 1}: ${message}`, { cause: error })
    }
  }
  return actions
}

/** The action in a row of a checkpoint, `null` where it is none that is known. */
export function actionOfRow(row: { readonly [name: string]: Value }): Action | null {
  return actionOf(new Fields(row))
}

function actionOf(line: Fields): Action | null {
  for (const [kind, read] of readers) {
    const fields = line.fields(kind)
    if (fields !== null) return read(fields)
  }
  return null
}

const readers: readonly (readonly [string, (fields: Fields) => Action])[] = [
  ['add', (fields) => ({ kind: 'add', add: addOf(fields) })],
  ['remove', (fields) => ({ kind: 'remove', remove: removeOf(fields) })],
  ['metaData', (fields) => ({ kind: 'metaData', metaData: metadataOf(fields) })],
  ['protocol', (fields) => ({ kind: 'protocol', protocol: protocolOf(fields) })],
  ['txn', (fields) => ({ kind: 'txn', txn: txnOf(fields) })],
  ['domainMetadata', (fields) => ({ kind: 'domainMetadata', domainMetadata: domainOf(fields) })],
  ['cdc', (fields) => ({ kind: 'cdc', cdc: cdcOf(fields) })],
  ['sidecar', (fields) => ({ kind: 'sidecar', sidecar: sidecarOf(fields) })],
  ['commitInfo', (fields) => ({ kind: 'commitInfo', commitInfo: fields.all as CommitInfo })],
]

function protocolOf(fields: Fields): ProtocolAction {
  return {
    minReaderVersion: fields.integer('minReaderVersion'),
    minWriterVersion: fields.integer('minWriterVersion'),
    readerFeatures: fields.textsOrNull('readerFeatures'),
    writerFeatures: fields.textsOrNull('writerFeatures'),
  }
}

function metadataOf(fields: Fields): MetadataAction {
  const format = fields.fields('format')
  return {
    id: fields.text('id'),
    name: fields.textOrNull('name'),
    description: fields.textOrNull('description'),
    provider: format?.textOrNull('provider') ?? 'parquet',
    formatOptions: present(format?.map('options') ?? new Map()),
    schemaString: fields.text('schemaString'),
    partitionColumns: fields.textsOrNull('partitionColumns') ?? [],
    configuration: present(fields.map('configuration') ?? new Map()),
    createdTime: fields.integerOrNull('createdTime'),
  }
}

function fileOf(fields: Fields): FileAction {
  return {
    path: fields.text('path'),
    partitionValues: fields.map('partitionValues') ?? new Map(),
    size: fields.integerOrNull('size') ?? 0,
    dataChange: fields.flag('dataChange') ?? true,
    deletionVector: deletionVectorOf(fields.fields('deletionVector')),
    tags: fields.map('tags'),
    baseRowId: fields.longOrNull('baseRowId'),
    defaultRowCommitVersion: fields.longOrNull('defaultRowCommitVersion'),
  }
}

function addOf(fields: Fields): AddAction {
  return {
    ...fileOf(fields),
    modificationTime: fields.integerOrNull('modificationTime') ?? 0,
    stats: fields.textOrNull('stats'),
    clusteringProvider: fields.textOrNull('clusteringProvider'),
  }
}

function removeOf(fields: Fields): RemoveAction {
  return {
    ...fileOf(fields),
    deletionTimestamp: fields.integerOrNull('deletionTimestamp') ?? 0,
    extendedFileMetadata: fields.flag('extendedFileMetadata') ?? false,
  }
}

/** Some writers give a file without a vector one of nothing but empty fields. */
function deletionVectorOf(fields: Fields | null): DeletionVectorDescriptor | null {
  const storageType = fields?.textOrNull('storageType') ?? ''
  if (fields === null || storageType === '') return null
  return {
    storageType,
    pathOrInlineDv: fields.text('pathOrInlineDv'),
    offset: fields.integerOrNull('offset'),
    sizeInBytes: fields.integer('sizeInBytes'),
    cardinality: fields.integer('cardinality'),
  }
}

function cdcOf(fields: Fields): CdcAction {
  return {
    path: fields.text('path'),
    partitionValues: fields.map('partitionValues') ?? new Map(),
    size: fields.integerOrNull('size') ?? 0,
  }
}

function txnOf(fields: Fields): TxnAction {
  return {
    appId: fields.text('appId'),
    version: fields.long('version'),
    lastUpdated: fields.integerOrNull('lastUpdated'),
  }
}

function domainOf(fields: Fields): DomainAction {
  return {
    domain: fields.text('domain'),
    configuration: fields.textOrNull('configuration') ?? '',
    removed: fields.flag('removed') ?? false,
  }
}

function sidecarOf(fields: Fields): SidecarAction {
  return { path: fields.text('path'), sizeInBytes: fields.integerOrNull('sizeInBytes') ?? 0 }
}

function present(map: ReadonlyMap<string, string | null>): Texts {
  return new Map([...map].map(([key, value]) => [key, value ?? '']))
}

/** The fields of an object, each with the type that it must have. */
class Fields {
  readonly all: { readonly [name: string]: Raw }

  constructor(all: { readonly [name: string]: Raw }) {
    this.all = all
  }

  #get(name: string): Raw {
    return Object.hasOwn(this.all, name) ? (this.all[name] ?? null) : null
  }

  fields(name: string): Fields | null {
    const value = this.#get(name)
    if (value === null) return null
    if (!isObject(value)) throw corrupt(`${name} is no object`)
    return new Fields(value)
  }

  text(name: string): string {
    return this.textOrNull(name) ?? lacks(name)
  }

  textOrNull(name: string): string | null {
    const value = this.#get(name)
    if (value === null || typeof value === 'string') return value
    throw corrupt(`${name} is no text`)
  }

  flag(name: string): boolean | null {
    const value = this.#get(name)
    if (value === null || typeof value === 'boolean') return value
    throw corrupt(`${name} is neither true nor false`)
  }

  long(name: string): bigint {
    return this.longOrNull(name) ?? lacks(name)
  }

  longOrNull(name: string): bigint | null {
    const value = this.#get(name)
    if (value === null) return null
    if (typeof value === 'bigint') return value
    if (typeof value === 'number' && Number.isInteger(value)) return BigInt(value)
    throw corrupt(`${name} is no integer`)
  }

  integer(name: string): number {
    return this.integerOrNull(name) ?? lacks(name)
  }

  /** One that a double holds exactly: sizes, counts, times. */
  integerOrNull(name: string): number | null {
    const value = this.longOrNull(name)
    if (value === null) return null
    const integer = Number(value)
    if (!Number.isSafeInteger(integer)) throw corrupt(`${name} is ${value}`)
    return integer
  }

  textsOrNull(name: string): string[] | null {
    const value = this.#get(name)
    if (value === null) return null
    if (!Array.isArray(value) || value.some((one) => typeof one !== 'string')) {
      throw corrupt(`${name} is no list of texts`)
    }
    return value as string[]
  }

  map(name: string): Map<string, string | null> | null {
    const value = this.#get(name)
    if (value === null) return null
    const entries =
      value instanceof Map ? [...value] : isObject(value) ? Object.entries(value) : null
    if (entries === null) throw corrupt(`${name} is no map`)
    return new Map(
      entries.map(([key, one]) => {
        if (typeof key !== 'string') throw corrupt(`${name} has a key that is no text`)
        return [key, one === null || one === undefined ? null : textOf(one as Raw)]
      }),
    )
  }
}

/** Values of maps are text; where a writer put a number or a flag, it stands for its text. */
function textOf(value: Raw): string {
  if (typeof value === 'string') return value
  if (value instanceof NumberText) return value.text
  if (typeof value === 'object') throw corrupt('a map with an object for a value')
  return String(value)
}

function isObject(value: Raw): value is { [name: string]: Json } {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Map) &&
    !(value instanceof Uint8Array) &&
    !(value instanceof NumberText)
  )
}

function lacks(name: string): never {
  throw corrupt(`${name} is missing`)
}

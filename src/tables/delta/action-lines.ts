/** Actions as lines of a commit: the way back of `actions.ts`. What an action does not have is left out of its line. */

import { type Json, jsonText } from '../columns/exact-json.ts'
import type {
  Action,
  AddAction,
  CdcAction,
  DeletionVectorDescriptor,
  FileAction,
  MetadataAction,
  ProtocolAction,
  RemoveAction,
} from './actions.ts'

type Line = { [name: string]: Json | undefined }

/** A commit's bytes. */
export function linesOf(actions: readonly Action[]): Buffer {
  return Buffer.from(actions.map((action) => `${jsonText(lineOf(action))}\n`).join(''))
}

function lineOf(action: Action): Json {
  switch (action.kind) {
    case 'protocol':
      return { protocol: present(protocolLine(action.protocol)) }
    case 'metaData':
      return { metaData: present(metadataLine(action.metaData)) }
    case 'add':
      return { add: present(addLine(action.add)) }
    case 'remove':
      return { remove: present(removeLine(action.remove)) }
    case 'cdc':
      return { cdc: present(cdcLine(action.cdc)) }
    case 'txn':
      return { txn: present({ ...action.txn }) }
    case 'domainMetadata':
      return { domainMetadata: present({ ...action.domainMetadata }) }
    case 'sidecar':
      return { sidecar: present({ ...action.sidecar }) }
    case 'commitInfo':
      return { commitInfo: { ...action.commitInfo } }
  }
}

function present(line: Line): Json {
  const there = Object.entries(line).filter(([, value]) => value !== undefined && value !== null)
  return Object.fromEntries(there) as Json
}

function protocolLine(protocol: ProtocolAction): Line {
  return {
    minReaderVersion: protocol.minReaderVersion,
    minWriterVersion: protocol.minWriterVersion,
    readerFeatures: protocol.readerFeatures === null ? null : [...protocol.readerFeatures],
    writerFeatures: protocol.writerFeatures === null ? null : [...protocol.writerFeatures],
  }
}

function metadataLine(metadata: MetadataAction): Line {
  return {
    id: metadata.id,
    name: metadata.name,
    description: metadata.description,
    format: { provider: metadata.provider, options: mapLine(metadata.formatOptions) },
    schemaString: metadata.schemaString,
    partitionColumns: [...metadata.partitionColumns],
    configuration: mapLine(metadata.configuration),
    createdTime: metadata.createdTime,
  }
}

function fileLine(file: FileAction): Line {
  return {
    path: file.path,
    partitionValues: mapLine(file.partitionValues),
    size: file.size,
    dataChange: file.dataChange,
    tags: file.tags === null ? null : mapLine(file.tags),
    deletionVector: file.deletionVector === null ? null : vectorLine(file.deletionVector),
    baseRowId: file.baseRowId,
    defaultRowCommitVersion: file.defaultRowCommitVersion,
  }
}

function addLine(add: AddAction): Line {
  const { modificationTime, stats, clusteringProvider } = add
  return { ...fileLine(add), modificationTime, stats, clusteringProvider }
}

function removeLine(remove: RemoveAction): Line {
  const { deletionTimestamp, extendedFileMetadata } = remove
  return { ...fileLine(remove), deletionTimestamp, extendedFileMetadata }
}

function cdcLine({ path, partitionValues, size }: CdcAction): Line {
  return { path, partitionValues: mapLine(partitionValues), size, dataChange: false }
}

function vectorLine(vector: DeletionVectorDescriptor): Json {
  return present({ ...vector })
}

function mapLine(map: ReadonlyMap<string, string | null>): Json {
  return Object.fromEntries(map)
}

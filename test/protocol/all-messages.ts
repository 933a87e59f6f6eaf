/** Every table of the protocol by name, for the tests that hold for all of them. */
import { apis } from '../../protocol/apis.ts'
import * as header from '../../protocol/messages/header.ts'
import type { Message } from '../../protocol/schema.ts'
import * as abortedTransaction from '../../protocol/state/aborted-transaction.ts'
import * as consumerGroups from '../../protocol/state/consumer-group-records.ts'
import * as consumerProtocol from '../../protocol/state/consumer-protocol.ts'
import * as controlRecords from '../../protocol/state/control-records.ts'
import * as metadata from '../../protocol/state/metadata-records.ts'
import * as offsets from '../../protocol/state/offset-records.ts'
import * as principal from '../../protocol/state/principal.ts'
import * as producerSnapshot from '../../protocol/state/producer-snapshot.ts'
import * as quorumState from '../../protocol/state/quorum-state.ts'
import * as remoteLog from '../../protocol/state/remote-log-metadata.ts'
import * as shareGroups from '../../protocol/state/share-group-records.ts'
import * as shareGroupState from '../../protocol/state/share-group-state.ts'
import * as streamsGroups from '../../protocol/state/streams-group-records.ts'
import * as transactionLog from '../../protocol/state/transaction-log.ts'

const stored: Record<string, unknown>[] = [
  abortedTransaction,
  consumerGroups,
  consumerProtocol,
  controlRecords,
  metadata,
  offsets,
  principal,
  producerSnapshot,
  quorumState,
  remoteLog,
  shareGroups,
  shareGroupState,
  streamsGroups,
  transactionLog,
]

function isMessage(value: unknown): value is Message {
  return typeof value === 'object' && value !== null && 'valid' in value && 'flexible' in value
}

const tables = [
  ...Object.values(apis).flatMap((api): Message[] => [api.request, api.response]),
  ...[header, ...stored].flatMap((module) => Object.values<unknown>(module).filter(isMessage)),
]

export const allMessages: ReadonlyMap<string, Message> = new Map(
  tables.map((table) => [table.name, table]),
)

/** Every version of a table, oldest first. */
export function versionsOf(table: Message): number[] {
  const { min, max } = table.valid
  return Array.from({ length: max - min + 1 }, (_, index) => min + index)
}

/**
 * The keys and values of control batches: transaction markers in the data logs, and what raft
 * writes for itself in the metadata log.
 */

import type { MessageOf } from '../schema.ts'
import {
  array,
  int16,
  int32,
  int64,
  message,
  since,
  string,
  struct,
  uint16,
  uuid,
} from '../schema.ts'

/**
 * The type in a control record's key, after a version: 0 abort, 1 commit, 2 leader change, 3
 * snapshot header, 4 snapshot footer, 5 kraft.version, 6 voters.
 */
export const controlRecordTypeSchema = message(
  null,
  'ControlRecordTypeSchema',
  { valid: '0', flexible: 'none' },
  {
    type: int16,
  },
)
export type ControlRecordTypeSchema = MessageOf<typeof controlRecordTypeSchema>

/** The value of an abort or commit marker. */
export const endTxnMarker = message(
  null,
  'EndTxnMarker',
  { valid: '0', flexible: 'none' },
  {
    coordinatorEpoch: int32,
  },
)
export type EndTxnMarker = MessageOf<typeof endTxnMarker>

const voter = {
  voterId: int32,
  voterDirectoryId: since(1, uuid), // KIP-853.
}

/** The first record of a leader of the metadata quorum: who it is and who votes. */
export const leaderChangeMessage = message(
  null,
  'LeaderChangeMessage',
  { valid: '0-1', flexible: '0+' },
  {
    version: int16,
    leaderId: int32,
    voters: array(voter),
    grantingVoters: array(voter),
  },
)
export type LeaderChangeMessage = MessageOf<typeof leaderChangeMessage>

/** The first record of a metadata snapshot. */
export const snapshotHeaderRecord = message(
  null,
  'SnapshotHeaderRecord',
  { valid: '0', flexible: '0+' },
  {
    version: int16,
    lastContainedLogTimestamp: int64,
  },
)
export type SnapshotHeaderRecord = MessageOf<typeof snapshotHeaderRecord>

/** The last record of a metadata snapshot. */
export const snapshotFooterRecord = message(
  null,
  'SnapshotFooterRecord',
  { valid: '0', flexible: '0+' },
  {
    version: int16,
  },
)
export type SnapshotFooterRecord = MessageOf<typeof snapshotFooterRecord>

/** The finalized kraft.version: 1 and above allow voters to change (KIP-853). */
export const kRaftVersionRecord = message(
  null,
  'KRaftVersionRecord',
  { valid: '0', flexible: '0+' },
  {
    version: int16,
    kRaftVersion: int16,
  },
)
export type KRaftVersionRecord = MessageOf<typeof kRaftVersionRecord>

/** The voters from here on (KIP-853). */
export const votersRecord = message(
  null,
  'VotersRecord',
  { valid: '0', flexible: '0+' },
  {
    version: int16,
    voters: array({
      voterId: int32,
      voterDirectoryId: uuid, // KIP-853.
      endpoints: array({ name: string, host: string, port: uint16 }),
      kRaftVersionFeature: struct({ minSupportedVersion: int16, maxSupportedVersion: int16 }),
    }),
  },
)
export type VotersRecord = MessageOf<typeof votersRecord>

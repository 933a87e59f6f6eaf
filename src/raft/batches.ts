/** The batches that the quorum itself writes: records of the state machine, and its own control records. */
import { encodeControlBatch, type NewControlRecord } from '../../protocol/records/control.ts'
import { encodeBatch } from '../../protocol/records/record.ts'
import type { VoterSet } from './voters.ts'

export interface BatchPlace {
  readonly baseOffset: number
  readonly leaderEpoch: number
  /** Milliseconds since the epoch. */
  readonly nowMs: number
}

export interface LeaderChange {
  readonly leaderId: number
  readonly voters: readonly number[]
  readonly granted: readonly number[]
  /** 0, or 1 where voters are known by their directory too (kraft.version 1). */
  readonly version: 0 | 1
  readonly directoryId: string
}

export function encodeDataBatch(values: readonly Buffer[], place: BatchPlace): Buffer {
  const { baseOffset, leaderEpoch, nowMs: timestamp } = place
  const records = values.map((value) => ({ timestamp, key: null, value }))
  return encodeBatch({ baseOffset, leaderEpoch, records })
}

export function encodeLeaderChange(change: LeaderChange, place: BatchPlace): Buffer {
  const { version, leaderId, directoryId } = change
  const voterOf = (voterId: number) => ({ voterId, voterDirectoryId: directoryId })
  const voters = change.voters.map(voterOf)
  const grantingVoters = change.granted.map(voterOf)
  const value = { version, leaderId, voters, grantingVoters }
  return encodeControl([{ type: 'leaderChange', value }], place)
}

/**
 * First batch of a snapshot: its header and, where they are part of the log, kraft.version and voters.
 * `lastContainedMs`: timestamp of the last record that it stands for.
 */
export function encodeSnapshotHeader(
  lastContainedMs: number,
  { kraftVersion, voters }: Pick<VoterSet, 'kraftVersion' | 'voters'>,
  place: BatchPlace,
): Buffer {
  const records: NewControlRecord[] = [
    { type: 'snapshotHeader', value: { version: 0, lastContainedLogTimestamp: lastContainedMs } },
  ]
  if (kraftVersion > 0) {
    records.push({ type: 'kRaftVersion', value: { version: 0, kRaftVersion: kraftVersion } })
    if (voters !== undefined) records.push({ type: 'voters', value: voters })
  }
  return encodeControl(records, place)
}

/** Last batch of a snapshot. */
export function encodeSnapshotFooter(place: BatchPlace): Buffer {
  return encodeControl([{ type: 'snapshotFooter', value: { version: 0 } }], place)
}

function encodeControl(records: readonly NewControlRecord[], place: BatchPlace): Buffer {
  const { baseOffset, leaderEpoch, nowMs: timestamp } = place
  return encodeControlBatch({ records, timestamp, baseOffset, leaderEpoch })
}

/** The batches that the quorum itself writes: records of the state machine, and its own control records. */
import { encode } from '../../protocol/codec.ts'
import { encodeBatch } from '../../protocol/records/record.ts'
import {
  leaderChangeMessage,
  snapshotFooterRecord,
  snapshotHeaderRecord,
} from '../../protocol/state/control-records.ts'

interface BatchPlace {
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

/** Types of control records that concern Raft. */
const controlType = { LEADER_CHANGE: 2, SNAPSHOT_HEADER: 3, SNAPSHOT_FOOTER: 4 } as const

export function encodeDataBatch(values: readonly Buffer[], place: BatchPlace): Buffer {
  const { baseOffset, leaderEpoch, nowMs: timestamp } = place
  const records = values.map((value) => ({ timestamp, key: null, value }))
  return encodeBatch({ baseOffset, leaderEpoch, records })
}

export function encodeLeaderChange(change: LeaderChange, place: BatchPlace): Buffer {
  const { version, leaderId, directoryId } = change
  const voterOf = (voterId: number) => ({ voterId, voterDirectoryId: directoryId })
  const body = encode(leaderChangeMessage, version, {
    version,
    leaderId,
    voters: change.voters.map(voterOf),
    grantingVoters: change.granted.map(voterOf),
  })
  return encodeControl(controlType.LEADER_CHANGE, body, place)
}

/** First batch of a snapshot. `lastContainedMs`: timestamp of the last record that it stands for. */
export function encodeSnapshotHeader(lastContainedMs: number, place: BatchPlace): Buffer {
  const body = encode(snapshotHeaderRecord, 0, {
    version: 0,
    lastContainedLogTimestamp: lastContainedMs,
  })
  return encodeControl(controlType.SNAPSHOT_HEADER, body, place)
}

/** Last batch of a snapshot. */
export function encodeSnapshotFooter(place: BatchPlace): Buffer {
  const body = encode(snapshotFooterRecord, 0, { version: 0 })
  return encodeControl(controlType.SNAPSHOT_FOOTER, body, place)
}

/** The key is the version of the key, 0, and the type. */
function encodeControl(type: number, body: Buffer, place: BatchPlace): Buffer {
  const key = Buffer.alloc(4)
  key.writeInt16BE(type, 2)
  return encodeBatch({
    baseOffset: place.baseOffset,
    leaderEpoch: place.leaderEpoch,
    isControl: true,
    records: [{ timestamp: place.nowMs, key, value: body }],
  })
}

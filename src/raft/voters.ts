/**
 * Who votes, as the log tells it. Under kraft.version 0 the voters are a setting, and only the
 * LeaderChange records show who they were; from version 1 on VotersRecords in the log (and in every
 * snapshot) say it (KIP-853). All of it has to outlive the log, so snapshots carry it.
 */
import { isControl } from '../../protocol/records/batch.ts'
import { decodeControlRecord } from '../../protocol/records/control.ts'
import { readBatch } from '../../protocol/records/record.ts'
import type { VotersRecord } from '../../protocol/state/control-records.ts'
import { type Uuid, zeroUuid } from '../../protocol/types.ts'

export interface VoterSet {
  /** The finalized kraft.version. */
  readonly kraftVersion: number
  /** The newest VotersRecord; undefined: there is none, the voters are a setting. */
  readonly voters: VotersRecord | undefined
  /** Voters of the newest LeaderChange record; empty before the first. */
  readonly elected: readonly number[]
}

export const unknownVoters: VoterSet = { kraftVersion: 0, voters: undefined, elected: [] }

/** The voters after the control batch at `at`. Throws CorruptRecords. */
export function replayControlBatch(before: VoterSet, buffer: Buffer, at: number): VoterSet {
  let after = before
  if (!isControl(buffer, at)) return after
  for (const { key, value } of readBatch(buffer, at).records) {
    const record = decodeControlRecord(key, value)
    if (record.type === 'leaderChange') {
      after = { ...after, elected: record.value.voters.map(({ voterId }) => voterId) }
    } else if (record.type === 'kRaftVersion') {
      after = { ...after, kraftVersion: record.value.kRaftVersion }
    } else if (record.type === 'voters') {
      after = { ...after, voters: record.value }
    }
  }
  return after
}

/** A quorum that this node may not lead alone: to go on would let two histories begin. */
export class ForeignQuorum extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'ForeignQuorum'
  }
}

/** The newest kraft.version of which this code writes the records. */
const kraftVersionMax = 1

/**
 * Throws ForeignQuorum unless this node, with this directory, is the only voter that is stored.
 * `stored` are the voters that `quorum-state` names.
 */
export function checkSoleVoter(
  set: VoterSet,
  stored: readonly number[],
  node: { readonly nodeId: number; readonly directoryId: Uuid; readonly directory: string },
): void {
  const { nodeId, directoryId, directory } = node
  if (set.kraftVersion > kraftVersionMax) {
    throw new ForeignQuorum(
      `${directory} has kraft.version ${set.kraftVersion}; this version knows up to ${kraftVersionMax}`,
    )
  }
  const named = set.voters?.voters
  const ids = named?.map(({ voterId }) => voterId) ?? [...stored, ...set.elected]
  const others = [...new Set(ids)].filter((id) => id !== nodeId).sort((a, b) => a - b)
  if (others.length > 0 || named?.length === 0) {
    const whom = others.length > 0 ? `nodes ${others.join(', ')} vote` : 'nobody votes'
    throw new ForeignQuorum(
      `${directory} belongs to a quorum in which ${whom}; this version is a quorum of one, node ` +
        `${nodeId}. Remove the other voters with Kafka's own tools first, or start with the ` +
        'node.id and the directories of a cluster of one node.',
    )
  }
  const [voter] = named ?? []
  if (voter === undefined || voter.voterDirectoryId === directoryId) return
  if (voter.voterDirectoryId === zeroUuid) return
  throw new ForeignQuorum(
    `${directory} belongs to the voter ${nodeId} with directory.id ${voter.voterDirectoryId}; ` +
      `meta.properties says ${directoryId}. Restore the meta.properties that was beside it.`,
  )
}

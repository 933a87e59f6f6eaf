/**
 * Turns batches of the metadata log, or of a snapshot, into images. The log is precious and without
 * gaps: every batch must have a right checksum, follow the one before it and be of no older epoch.
 * Records of a metadata transaction (KIP-868) are held back until its end and dropped if it is aborted.
 */
import { MalformedError } from '../../protocol/reader.ts'
import {
  baseOffset,
  batchBytes,
  batches,
  checkCrc,
  isControl,
  lastOffset,
  maxTimestamp,
  partitionLeaderEpoch,
} from '../../protocol/records/batch.ts'
import { CorruptRecords } from '../../protocol/records/corrupt-records.ts'
import { readBatch } from '../../protocol/records/record.ts'
import { decodeMetadataRecord } from '../../protocol/state/metadata-frame.ts'
import { replayControlBatch, unknownVoters, type VoterSet } from '../raft/voters.ts'
import { MetadataDelta } from './delta.ts'
import type { MetadataImage } from './image.ts'
import { MetadataError } from './metadata-error.ts'
import type { MetadataRecord } from './record.ts'

export class MetadataLoader {
  #image: MetadataImage
  #voterSet: VoterSet
  /** Records of the transaction that is open; undefined: none is. */
  #held: MetadataRecord[] | undefined
  #replayedBytes = 0

  constructor(image: MetadataImage, voterSet: VoterSet = unknownVoters) {
    this.#image = image
    this.#voterSet = voterSet
  }

  get image(): MetadataImage {
    return this.#image
  }

  /** What the quorum's own records say. */
  get voterSet(): VoterSet {
    return this.#voterSet
  }

  /** A transaction has begun and neither ended nor been aborted: what follows would be part of it. */
  get isInTransaction(): boolean {
    return this.#held !== undefined
  }

  /** Of the log, not of snapshots. */
  get replayedBytes(): number {
    return this.#replayedBytes
  }

  /**
   * Replays whole batches, one after another. Throws MetadataError with the offset of a batch that is
   * damaged, cannot follow or is not understood; nothing may be replayed after it.
   */
  load(buffer: Buffer): void {
    const delta = new MetadataDelta(this.#image)
    let { offset, epoch, timestampMs } = this.#image
    try {
      for (const at of batches(buffer)) {
        const last = lastOffset(buffer, at)
        // A read may begin inside what is known already.
        if (last <= this.#image.offset) continue
        checkCrc(buffer, at)
        checkOrder(buffer, at, offset, epoch)
        this.#replayBatch(delta, buffer, at)
        offset = last
        epoch = partitionLeaderEpoch(buffer, at)
        timestampMs = maxTimestamp(buffer, at)
        this.#replayedBytes += batchBytes(buffer, at)
      }
    } catch (error) {
      throw located(error, offset + 1)
    }
    this.#image = delta.apply(offset, epoch, timestampMs)
  }

  /**
   * Replays a whole snapshot, which stands for everything up to the record of this offset, epoch and
   * timestamp. Throws MetadataError, with an offset in the snapshot.
   */
  loadSnapshot(buffer: Buffer, offset: number, epoch: number, timestampMs = 0): void {
    const delta = new MetadataDelta(this.#image)
    let next = 0
    try {
      for (const at of batches(buffer)) {
        checkCrc(buffer, at)
        this.#replayBatch(delta, buffer, at)
        next = lastOffset(buffer, at) + 1
      }
      if (this.#held !== undefined) throw new MetadataError('it ends inside a transaction')
    } catch (error) {
      throw located(error, next)
    }
    this.#image = delta.apply(offset, epoch, timestampMs)
  }

  #replayBatch(delta: MetadataDelta, buffer: Buffer, at: number): void {
    if (isControl(buffer, at)) {
      this.#voterSet = replayControlBatch(this.#voterSet, buffer, at)
      return
    }
    for (const { value, offset } of readBatch(buffer, at).records) {
      if (value === null) throw new MetadataError(`metadata record ${offset} is empty`)
      this.#replay(delta, decodeMetadataRecord(value))
    }
  }

  #replay(delta: MetadataDelta, record: MetadataRecord): void {
    switch (record.type) {
      case 'BeginTransactionRecord':
        if (this.isInTransaction) throw new MetadataError('a transaction begins inside another')
        this.#held = []
        return
      case 'AbortTransactionRecord':
        this.#endTransaction()
        return
      case 'EndTransactionRecord':
        for (const held of this.#endTransaction()) delta.replay(held)
        return
      default:
        if (this.#held === undefined) delta.replay(record)
        else this.#held.push(record)
    }
  }

  #endTransaction(): readonly MetadataRecord[] {
    const held = this.#held
    if (held === undefined) throw new MetadataError('a transaction ends that has not begun')
    this.#held = undefined
    return held
  }
}

/** `offset` and `epoch` are those of the record before. */
function checkOrder(buffer: Buffer, at: number, offset: number, epoch: number): void {
  const first = baseOffset(buffer, at)
  if (first !== offset + 1) {
    throw new MetadataError(`a batch of offset ${first} follows offset ${offset}`)
  }
  const itsEpoch = partitionLeaderEpoch(buffer, at)
  if (itsEpoch < epoch) {
    throw new MetadataError(`a batch of epoch ${itsEpoch} follows epoch ${epoch}`)
  }
}

/** What is wrong with the batch at `offset`; anything but damage stays as it is. */
function located(error: unknown, offset: number): unknown {
  const isKnown =
    error instanceof MetadataError ||
    error instanceof MalformedError ||
    error instanceof CorruptRecords
  if (!isKnown) return error
  return new MetadataError(`offset ${offset}: ${error.message}`, { cause: error, offset })
}

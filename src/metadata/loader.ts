/**
 * Turns batches of the metadata log, or of a snapshot, into images. Records of a metadata transaction
 * (KIP-868) are held back until its end and dropped if it is aborted.
 */
import {
  batches,
  isControl,
  lastOffset,
  partitionLeaderEpoch,
} from '../../protocol/records/batch.ts'
import { readBatch } from '../../protocol/records/record.ts'
import { decodeMetadataRecord } from '../../protocol/state/metadata-frame.ts'
import { MetadataDelta } from './delta.ts'
import type { MetadataImage } from './image.ts'
import { MetadataError } from './metadata-error.ts'
import type { MetadataRecord } from './record.ts'

export class MetadataLoader {
  #image: MetadataImage
  /** Records of the transaction that is open; undefined: none is. */
  #held: MetadataRecord[] | undefined

  constructor(image: MetadataImage) {
    this.#image = image
  }

  get image(): MetadataImage {
    return this.#image
  }

  /** Replays whole batches, one after another. Throws MetadataError, MalformedError or CorruptRecords. */
  load(buffer: Buffer): void {
    const delta = new MetadataDelta(this.#image)
    let { offset, epoch } = this.#image
    for (const at of batches(buffer)) {
      const last = lastOffset(buffer, at)
      // A read may begin inside what is known already.
      if (last <= this.#image.offset) continue
      if (!isControl(buffer, at)) this.#replayBatch(delta, buffer, at)
      offset = last
      epoch = partitionLeaderEpoch(buffer, at)
    }
    this.#image = delta.apply(offset, epoch)
  }

  /** Replays a whole snapshot, which stands for everything up to `offset`. */
  loadSnapshot(buffer: Buffer, offset: number, epoch: number): void {
    const delta = new MetadataDelta(this.#image)
    for (const at of batches(buffer)) {
      if (!isControl(buffer, at)) this.#replayBatch(delta, buffer, at)
    }
    this.#image = delta.apply(offset, epoch)
  }

  #replayBatch(delta: MetadataDelta, buffer: Buffer, at: number): void {
    for (const { value, offset } of readBatch(buffer, at).records) {
      if (value === null) throw new MetadataError(`metadata record ${offset} is empty`)
      this.#replay(delta, decodeMetadataRecord(value))
    }
  }

  #replay(delta: MetadataDelta, record: MetadataRecord): void {
    switch (record.type) {
      case 'BeginTransactionRecord':
        this.#held = []
        return
      case 'AbortTransactionRecord':
        this.#held = undefined
        return
      case 'EndTransactionRecord':
        for (const held of this.#held ?? []) delta.replay(held)
        this.#held = undefined
        return
      default:
        if (this.#held === undefined) delta.replay(record)
        else this.#held.push(record)
    }
  }
}

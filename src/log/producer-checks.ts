/** What a leader asks of the producers of batches before it appends them. */
import * as header from '../../protocol/records/batch.ts'
import { hasProducer, markerOf, producerBatchOf } from './producer-replay.ts'
import type { BatchMark, ProducerStates } from './producer-states.ts'
import type { AppendOrigin } from './validation.ts'

/**
 * Throws KafkaError for what a producer may not append. Gives the mark of a client's batch that was
 * appended before, else null. `transactionVersion` is that of the transaction a marker ends, or -1.
 */
export function checkProducers(
  states: ProducerStates,
  bytes: Buffer,
  origin: AppendOrigin,
  transactionVersion: number,
): BatchMark | null {
  for (let at = 0; at < bytes.length; at += header.batchBytes(bytes, at)) {
    if (!hasProducer(bytes, at)) continue
    if (header.isControl(bytes, at)) {
      const marker = markerOf(bytes, at)
      if (marker !== null) states.checkMarker(marker, transactionVersion)
      continue
    }
    const batch = producerBatchOf(bytes, at)
    const duplicate = origin === 'client' ? states.findDuplicate(batch) : null
    if (duplicate !== null) return duplicate
    states.check(batch, origin === 'client' ? 'sequence' : 'epoch')
  }
  return null
}

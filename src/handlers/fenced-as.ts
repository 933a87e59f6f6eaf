/** How producers are told that they are fenced: older ones know no PRODUCER_FENCED (KIP-588). */
import { type ErrorRow, errors } from '../../protocol/errors.ts'

export function fencedAs(error: ErrorRow, knowsProducerFenced: boolean): ErrorRow {
  if (error !== errors.PRODUCER_FENCED || knowsProducerFenced) return error
  return errors.INVALID_PRODUCER_EPOCH
}

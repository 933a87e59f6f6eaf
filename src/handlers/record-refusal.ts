/** Records that cannot be unpacked or converted, as those are told who sent them or asked for them. */
import { errors, KafkaError } from '../../protocol/errors.ts'
import { UnsupportedCompression } from '../../protocol/records/compression/unsupported-compression.ts'
import { CorruptRecords, OversizedRecords } from '../../protocol/records/corrupt-records.ts'

/** What a client is told of what was thrown; throws the rest. */
export function refusal(error: unknown): KafkaError {
  if (error instanceof KafkaError) return error
  if (error instanceof OversizedRecords) {
    return new KafkaError(errors.MESSAGE_TOO_LARGE, error.message, { cause: error })
  }
  if (error instanceof CorruptRecords) {
    return new KafkaError(errors.CORRUPT_MESSAGE, error.message, { cause: error })
  }
  if (error instanceof UnsupportedCompression) {
    return new KafkaError(errors.UNSUPPORTED_COMPRESSION_TYPE, error.message, { cause: error })
  }
  throw error
}

/**
 * Thrown where bytes that should be records are not: a bad length, count, checksum or compressed
 * stream, or one that unpacks to more than was allowed. Handlers answer CORRUPT_MESSAGE.
 */
export class CorruptRecords extends Error {
  override readonly name: string = 'CorruptRecords'
}

/** They unpack to more than was allowed. Handlers answer MESSAGE_TOO_LARGE, upon which producers split. */
export class OversizedRecords extends CorruptRecords {
  override readonly name = 'OversizedRecords'
}

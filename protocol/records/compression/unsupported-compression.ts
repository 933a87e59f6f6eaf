/**
 * Thrown where a codec would be needed that this process lacks; the message names the codec and says
 * how to get it. Batches that need not be opened are stored and served all the same. Handlers answer
 * UNSUPPORTED_COMPRESSION_TYPE.
 */
import type { Compression } from './compression.ts'

export class UnsupportedCompression extends Error {
  override readonly name = 'UnsupportedCompression'
  readonly compression: Compression

  constructor(compression: Compression, message: string, options?: ErrorOptions) {
    super(message, options)
    this.compression = compression
  }
}

/**
 * Thrown for whatever makes a Parquet file unreadable. `reason` tells the three apart: bytes that are not what the
 * format says (`corrupt`), something of the format that is not read here (`unsupported`; the message
 * names it as the format does), and more than may be held at once (`limit`).
 */
export class ParquetError extends Error {
  override readonly name = 'ParquetError'
  readonly reason: 'corrupt' | 'unsupported' | 'limit'

  constructor(reason: ParquetError['reason'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.reason = reason
  }

  /** The same error, told with the place where it was met. */
  within(place: string): ParquetError {
    return new ParquetError(this.reason, `${place}: ${this.message}`, { cause: this })
  }
}

export function corrupt(message: string, options?: ErrorOptions): ParquetError {
  return new ParquetError('corrupt', message, options)
}

export function unsupported(message: string, options?: ErrorOptions): ParquetError {
  return new ParquetError('unsupported', message, options)
}

export function beyondLimit(message: string): ParquetError {
  return new ParquetError('limit', message)
}

/** For what only helps to read less: where it cannot be read, all is. */
export function nothingKnown(error: unknown): null {
  if (error instanceof ParquetError) return null
  throw error
}

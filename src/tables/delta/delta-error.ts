/**
 * Thrown for whatever cannot be done with a Delta table. `corrupt`: the log or a file is not what the protocol says;
 * `unsupported`: something of the protocol that is not known here, named as the protocol spells it;
 * `missing`: no such table, version, file or column.
 */
export class DeltaError extends Error {
  override readonly name = 'DeltaError'
  readonly reason: 'corrupt' | 'unsupported' | 'missing'

  constructor(reason: DeltaError['reason'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.reason = reason
  }
}

export function corrupt(message: string, options?: ErrorOptions): DeltaError {
  return new DeltaError('corrupt', message, options)
}

export function unsupported(message: string): DeltaError {
  return new DeltaError('unsupported', message)
}

export function missing(message: string, options?: ErrorOptions): DeltaError {
  return new DeltaError('missing', message, options)
}

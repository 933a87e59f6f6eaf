/**
 * Thrown for whatever cannot be done with a Delta table. `corrupt`: the log or a file is not what the protocol says;
 * `unsupported`: something of the protocol that is not known here, named as the protocol spells it;
 * `missing`: no such table, version, file or column; `invalid`: what was asked for, or a row, does not fit the
 * table; `conflict`: another writer came first, and what was decided does not hold any more; `uncertain`: the storage
 * failed while a commit was put there, and only the log will tell whether it is.
 */
export class DeltaError extends Error {
  override readonly name = 'DeltaError'
  readonly reason: 'corrupt' | 'unsupported' | 'missing' | 'invalid' | 'conflict' | 'uncertain'

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

export function invalid(message: string, options?: ErrorOptions): DeltaError {
  return new DeltaError('invalid', message, options)
}

/** What of ours another writer's commit contradicts, in Delta's own terms. */
export type ConflictKind =
  | 'ProtocolChanged'
  | 'MetadataChanged'
  | 'DomainMetadata'
  | 'ConcurrentTransaction'
  | 'ConcurrentAppend'
  | 'ConcurrentDeleteRead'
  | 'ConcurrentDeleteDelete'
  /** Nothing contradicts, but others came first too often. */
  | 'TooManyAttempts'

/** Another writer came first, and what was decided does not hold any more: nothing was committed. */
export class DeltaConflict extends DeltaError {
  readonly kind: ConflictKind
  /** Of the commit that came first. */
  readonly version: number

  constructor(kind: ConflictKind, version: number, message: string) {
    super('conflict', `version ${version} came first: ${message}`)
    this.kind = kind
    this.version = version
  }
}

/** A record that cannot follow the ones before it: the log is not what this version understands. Fatal. */
export class MetadataError extends Error {
  /** Of the batch that is at fault; undefined: the log as a whole is. */
  readonly offset: number | undefined

  constructor(message: string, options: { cause?: unknown; offset?: number } = {}) {
    super(message, { cause: options.cause })
    this.name = 'MetadataError'
    this.offset = options.offset
  }
}

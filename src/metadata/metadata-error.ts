/** A record that cannot follow the ones before it: the log is not what this version understands. Fatal. */
export class MetadataError extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'MetadataError'
  }
}

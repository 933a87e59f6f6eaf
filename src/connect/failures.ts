/**
 * What connectors, converters and transforms fail with. The names are Kafka Connect's: a dead letter
 * queue and a task's status carry them, and alerts are written against them.
 */

/** A failure of the runtime or of a connector; a task that meets one fails. */
export class ConnectException extends Error {
  /** As the header `__connect.errors.exception.class.name` says it. */
  readonly className: string

  constructor(message: string, options?: ErrorOptions, name = 'ConnectException') {
    super(message, options)
    this.name = name
    this.className = `org.apache.kafka.connect.errors.${name}`
  }
}

/** A record is not what its schema, or whoever reads it, expects. */
export class DataException extends ConnectException {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options, 'DataException')
  }
}

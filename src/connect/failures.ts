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

/** A connector wants more tasks than it may have; asking it again changes nothing. */
export class TooManyTasks extends ConnectException {
  constructor(message: string) {
    super(message, {}, 'TooManyTasksException')
  }
}

/** A record is not what its schema, or whoever reads it, expects. */
export class DataException extends ConnectException {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options, 'DataException')
  }
}

/** The same may succeed later: a sink task is given the same records again, a converter is asked again. */
export class RetriableException extends ConnectException {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options, 'RetriableException')
  }
}

/** The name that tells what an error is, to whoever reads a header or a status. */
export function classNameOf(error: unknown): string {
  if (error instanceof ConnectException) return error.className
  return error instanceof Error ? error.name : typeof error
}

/** Characters of a trace at most: it is kept in a record, and causes may be many. */
const traceCharactersMax = 32_000
const causesMax = 10

/** Where and why, with the causes, as a status tells it. */
export function traceOf(error: unknown): string {
  const parts: string[] = []
  let at: unknown = error
  for (let depth = 0; depth < causesMax && at !== undefined && at !== null; depth++) {
    const intro = depth === 0 ? '' : 'Caused by: '
    const message = at instanceof Error ? at.message : String(at)
    const stack = at instanceof Error ? (at.stack ?? '') : ''
    const frames = stack.split('\n').filter((line) => /^\s+at /.test(line))
    const lines = frames.map((line) => `\t${line.trim()}`)
    parts.push([`${intro}${classNameOf(at)}: ${message}`, ...lines].join('\n'))
    at = at instanceof Error ? at.cause : undefined
  }
  return `${parts.join('\n')}\n`.slice(0, traceCharactersMax)
}

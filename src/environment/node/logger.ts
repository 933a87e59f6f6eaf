/** Log lines by pino, straight to standard output: JSON, or short lines where a person looks at a terminal. */
import { type DestinationStream, type Logger as Pino, pino } from 'pino'
import type { Logger, LogLevel, LogThreshold } from '../environment.ts'

export type { LogLevel }

export interface LoggerOptions {
  /** Lowest level that is printed; `info` unless said otherwise. */
  level?: LogLevel
  /** Where lines go; standard output unless said otherwise. */
  destination?: DestinationStream
}

/** Counts its changes, so that a logger that looks sees with one comparison that there was none. */
export class Threshold implements LogThreshold {
  #level: LogLevel
  #changes = 0

  constructor(level: LogLevel) {
    this.#level = level
  }

  get level(): LogLevel {
    return this.#level
  }

  set level(value: LogLevel) {
    this.#level = value
    this.#changes++
  }

  get changes(): number {
    return this.#changes
  }
}

/** `threshold` moves the level later. */
export function createLogger(
  options: LoggerOptions = {},
  threshold = new Threshold(options.level ?? 'info'),
): Logger {
  const destination = options.destination ?? standardOutput()
  return new PinoLogger(
    pino(
      {
        level: threshold.level,
        base: null,
        timestamp: pino.stdTimeFunctions.isoTime,
        formatters: { level: (level) => ({ level }) },
        serializers: { err: describeError },
      },
      destination,
    ),
    threshold,
  )
}

/** Pino's own serializer marks what it has seen by writing to it, and an error may hold frozen rows of a table. */
function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const { name, message, stack, cause } = error
  const code = (error as NodeJS.ErrnoException).code
  return {
    type: name,
    message,
    stack,
    ...(code === undefined ? {} : { code }),
    ...(cause === undefined ? {} : { cause: describeError(cause) }),
  }
}

class PinoLogger implements Logger {
  readonly #pino: Pino
  readonly #threshold: Threshold
  /** Of the threshold, as pino knows it. */
  #changes: number

  constructor(logger: Pino, threshold: Threshold) {
    this.#pino = logger
    this.#threshold = threshold
    this.#changes = threshold.changes
  }

  debug(message: string, fields?: object): void {
    this.#now().debug(fields, message)
  }

  info(message: string, fields?: object): void {
    this.#now().info(fields, message)
  }

  warn(message: string, fields?: object): void {
    this.#now().warn(fields, message)
  }

  error(message: string, fields?: object): void {
    this.#now().error(fields, message)
  }

  child(fields: object): Logger {
    return new PinoLogger(this.#now().child(fields), this.#threshold)
  }

  #now(): Pino {
    if (this.#changes !== this.#threshold.changes) {
      this.#changes = this.#threshold.changes
      this.#pino.level = this.#threshold.level
    }
    return this.#pino
  }
}

function standardOutput(): DestinationStream {
  if (process.stdout.isTTY) return { write: (line) => process.stdout.write(readable(line)) }
  const output = pino.destination({ dest: 1, sync: true })
  output.on('error', (error: NodeJS.ErrnoException) => {
    // Whoever read the log has gone; a broker does not stop for that.
    if (error.code !== 'EPIPE') throw error
  })
  return output
}

/** `12:00:00.000 warn  message key=value`, an error's stack below it. */
export function readable(line: string): string {
  const { time, level, msg, err, ...fields } = JSON.parse(line) as Record<string, unknown>
  const rest = Object.entries(fields).map(
    ([name, value]) => ` ${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  )
  const stack =
    err === undefined ? '' : `\n${(err as { stack?: string }).stack ?? JSON.stringify(err)}`
  const clock = String(time).slice(11, 23)
  return `${clock} ${String(level).padEnd(5)} ${msg}${rest.join('')}${stack}\n`
}

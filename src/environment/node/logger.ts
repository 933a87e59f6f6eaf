/** Log lines by pino, straight to standard output: JSON, or short lines where a person looks at a terminal. */
import { type DestinationStream, type Logger as Pino, pino } from 'pino'
import type { Logger } from '../environment.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

export interface LoggerOptions {
  /** Lowest level that is printed; `info` unless said otherwise. */
  level?: LogLevel
  /** Where lines go; standard output unless said otherwise. */
  destination?: DestinationStream
}

export function createLogger(options: LoggerOptions = {}): Logger {
  const destination = options.destination ?? standardOutput()
  return new PinoLogger(
    pino(
      {
        level: options.level ?? 'info',
        base: null,
        timestamp: pino.stdTimeFunctions.isoTime,
        formatters: { level: (level) => ({ level }) },
        serializers: { err: describeError },
      },
      destination,
    ),
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

  constructor(logger: Pino) {
    this.#pino = logger
  }

  debug(message: string, fields?: object): void {
    this.#pino.debug(fields, message)
  }

  info(message: string, fields?: object): void {
    this.#pino.info(fields, message)
  }

  warn(message: string, fields?: object): void {
    this.#pino.warn(fields, message)
  }

  error(message: string, fields?: object): void {
    this.#pino.error(fields, message)
  }

  child(fields: object): Logger {
    return new PinoLogger(this.#pino.child(fields))
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

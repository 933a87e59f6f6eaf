/**
 * The process, or the machine, may open no more files for now: no fault of a partition, nor of its disk.
 * Where nothing was changed yet, whoever asked is refused, and is served once files were closed. What
 * fails in the middle of a write for this reason is a failure like any other.
 */
import { errors, KafkaError } from '../../protocol/errors.ts'
import { DiskError } from '../environment/disk.ts'
import type { Clock, Logger, Milliseconds } from '../environment/environment.ts'

const tellingIntervalMs = 5_000

/** EMFILE: of the process; ENFILE: of the machine. */
export const isOutOfFiles = (error: unknown): error is DiskError =>
  error instanceof DiskError && (error.code === 'EMFILE' || error.code === 'ENFILE')

/** Nothing was changed: the same may well succeed later. */
export class OutOfFiles extends KafkaError {
  constructor(cause: DiskError) {
    super(errors.KAFKA_STORAGE_ERROR, `no file can be opened now: ${cause.message}`, { cause })
  }
}

/** Runs what can be run again after it could not open a file; throws OutOfFiles then. */
export function orOutOfFiles<T>(repeatable: () => T): T {
  try {
    return repeatable()
  } catch (error) {
    throw isOutOfFiles(error) ? new OutOfFiles(error) : error
  }
}

/** Says that files cannot be opened: a line now and then, however often it happens. */
export class OutOfFilesLines {
  readonly #log: Logger
  readonly #clock: Clock
  #toldMs: Milliseconds = Number.NEGATIVE_INFINITY
  #suppressed = 0

  constructor(log: Logger, clock: Clock) {
    this.#log = log
    this.#clock = clock
  }

  tell({ code, path: file }: DiskError, directory: string): void {
    const nowMs = this.#clock.monotonic()
    if (nowMs - this.#toldMs < tellingIntervalMs) {
      this.#suppressed++
      return
    }
    const limit =
      code === 'EMFILE'
        ? 'this process may open no more files: raise its limit (ulimit -n)'
        : 'this machine opens no more files: raise its limit (fs.file-max)'
    const fields = { directory, code, file, similar: this.#suppressed }
    this.#log.error(`${limit}. What needs one is refused until others are closed`, fields)
    this.#toldMs = nowMs
    this.#suppressed = 0
  }
}

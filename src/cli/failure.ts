/**
 * How a command ends. Exit code 0: it did what was asked. 1: the operation failed, in whole or in
 * part. 2: the command line was wrong, and nothing was done. Messages go to stderr and say what to do
 * next; a stack is printed only for bugs.
 */

import { KafkaError } from '../../protocol/errors.ts'
import { UnsupportedCompression } from '../../protocol/records/compression/unsupported-compression.ts'
import { CorruptRecords } from '../../protocol/records/corrupt-records.ts'
import {
  ClosedError,
  ConnectionError,
  TimeoutError,
  UnsupportedVersionError,
} from '../client/failures.ts'
import { unreadable } from '../environment/disk.ts'

export const exitCodes = { ok: 0, failed: 1, usage: 2 } as const

/** The command line was wrong. `advice` is a line that says what would be right. */
export class UsageError extends Error {
  readonly advice: string | undefined
  constructor(message: string, advice?: string) {
    super(message)
    this.name = 'UsageError'
    this.advice = advice
  }
}

/** The operation failed for a reason that a user can act on. */
export class CommandError extends Error {
  readonly advice: string | undefined
  constructor(message: string, advice?: string) {
    super(message)
    this.name = 'CommandError'
    this.advice = advice
  }
}

/** Prints what went wrong and returns the exit code for it. */
export function report(error: unknown, write: (line: string) => void): number {
  const { message, advice } = explain(error)
  write(`millrace: ${message}\n`)
  if (advice !== undefined) write(`${advice}\n`)
  return error instanceof UsageError ? exitCodes.usage : exitCodes.failed
}

function explain(error: unknown): { message: string; advice?: string | undefined } {
  if (error instanceof UsageError || error instanceof CommandError)
    return { message: error.message, advice: error.advice }
  if (error instanceof KafkaError) return { message: answer(error), advice: adviceFor(error) }
  if (error instanceof ConnectionError)
    return {
      message: error.message,
      advice:
        'Is a broker running there? `millrace start` starts one on localhost:9092; ' +
        '--bootstrap-server or MILLRACE_BOOTSTRAP names another.\n' +
        '`millrace doctor` looks closer.',
    }
  if (error instanceof TimeoutError) {
    const because = error.cause === undefined ? '' : ` (last: ${explain(error.cause).message})`
    return { message: error.message + because }
  }
  if (error instanceof UnsupportedVersionError || error instanceof ClosedError)
    return { message: error.message }
  if (error instanceof UnsupportedCompression || error instanceof CorruptRecords)
    return { message: error.message }
  if (error instanceof Error && 'code' in error && 'path' in error)
    return { message: unreadable(String(error.path), error) }
  return { message: error instanceof Error ? (error.stack ?? error.message) : String(error) }
}

/** `UNKNOWN_TOPIC_OR_PARTITION: orders: …`, in words first. */
export function answer(error: KafkaError): string {
  return `${error.message} (${error.error.name})`
}

/** What to do about an error that a broker answers, where there is something to say. */
export function adviceFor(error: KafkaError): string | undefined {
  return adviceForAnswer.get(error.error.name)
}

const notAllowed =
  'One of super.users, a setting of the brokers, allows it with `millrace acls add`; the broker’s ' +
  'log tells who was denied what.'

const adviceForAnswer = new Map([
  ['UNKNOWN_TOPIC_OR_PARTITION', '`millrace topics list` shows the topics there are.'],
  ['TOPIC_ALREADY_EXISTS', 'Add --if-not-exists where that is fine.'],
  ['GROUP_ID_NOT_FOUND', '`millrace groups list` shows the groups there are.'],
  ['NON_EMPTY_GROUP', 'Stop its members first; `millrace groups describe` shows them.'],
  ['TOPIC_AUTHORIZATION_FAILED', notAllowed],
  ['GROUP_AUTHORIZATION_FAILED', notAllowed],
  ['CLUSTER_AUTHORIZATION_FAILED', notAllowed],
  ['TRANSACTIONAL_ID_AUTHORIZATION_FAILED', notAllowed],
  ['DELEGATION_TOKEN_AUTHORIZATION_FAILED', notAllowed],
  ['INVALID_REPLICATION_FACTOR', '`millrace cluster describe` shows how many brokers there are.'],
])

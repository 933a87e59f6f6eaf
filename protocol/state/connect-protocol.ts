/**
 * What workers of Kafka Connect say to each other through the metadata and assignments of their group
 * (KIP-415). Bytes start with the version, an int16, which is no part of these tables: 0 is of eager
 * rebalancing (`default`), 1 of incremental cooperative (`compatible`), 2 is 1 with signed requests
 * between workers (`sessioned`, KIP-507).
 */
import type { MessageOf } from '../schema.ts'
import {
  array,
  bytes,
  int16,
  int32,
  int64,
  message,
  nullable,
  since,
  string,
  withDefault,
} from '../schema.ts'

/** Of one connector: the numbers of its tasks, and -1 for the connector itself. */
const work = { connector: string, tasks: array(int32) }

/** Where a worker is reached, how much of the config topic it has read, and what it has. */
export const connectWorkerState = message(
  null,
  'ConnectWorkerState',
  { valid: '0-2', flexible: 'none' },
  {
    url: string,
    configOffset: int64,
    // The bytes of a ConnectAssignment, with their own version.
    allocation: since(1, nullable(bytes)),
  },
)
export type ConnectWorkerState = MessageOf<typeof connectWorkerState>

/** What the leader assigned to a worker: all it is to run, or (since 1) what changes of it. */
export const connectAssignment = message(
  null,
  'ConnectAssignment',
  { valid: '0-2', flexible: 'none' },
  {
    // 0: none. 1: the leader has not read as much of the config topic as others; all join again.
    error: int16,
    leader: string,
    leaderUrl: string,
    configOffset: int64,
    assigned: nullable(array(work)),
    revoked: since(1, nullable(array(work))),
    // Milliseconds until all are to join again, for work that waits for a worker which has left.
    delay: since(1, withDefault(0, int32)),
  },
)
export type ConnectAssignment = MessageOf<typeof connectAssignment>

/** What workers tell each other through their group, as bytes: `protocol/state/connect-protocol.ts`, with the version before it. */
import { codec, encode } from '../../../../protocol/codec.ts'
import { Reader } from '../../../../protocol/reader.ts'
import {
  type ConnectAssignment,
  connectAssignment,
  connectWorkerState,
} from '../../../../protocol/state/connect-protocol.ts'
import { parseTaskName, type Work } from './work.ts'

/** By its name in the group. */
export type ProtocolName = 'default' | 'compatible' | 'sessioned'
const versionOf: Readonly<Record<ProtocolName, number>> = {
  default: 0,
  compatible: 1,
  sessioned: 2,
}
const versionMax = 2

/** By the setting `connect.protocol`: what a worker offers, the best first. */
export function offeredBy(setting: string): readonly ProtocolName[] {
  if (setting === 'eager') return ['default']
  if (setting === 'compatible') return ['compatible', 'default']
  return ['sessioned', 'compatible', 'default']
}

export interface WorkerState {
  readonly url: string
  /** Of the config topic: behind the last record that was read. */
  readonly configOffset: number
  /** Null: nothing was ever assigned. */
  readonly assignment: Assignment | null
}

export interface Assignment {
  /** The leader lags behind: all are to join again. */
  readonly isFailed: boolean
  /** Its member id. */
  readonly leader: string
  readonly leaderUrl: string
  readonly configOffset: number
  readonly assigned: Work
  readonly revoked: Work
  readonly delayMs: number
}

export function encodeState(protocol: ProtocolName, state: WorkerState): Buffer {
  const version = versionOf[protocol]
  const { url, configOffset, assignment } = state
  const allocation = assignment === null ? null : encodeAssignment(protocol, assignment)
  return versioned(version, encode(connectWorkerState, version, { url, configOffset, allocation }))
}

export function decodeState(bytes: Buffer): WorkerState {
  const { reader, version } = opened(bytes)
  const { url, configOffset, allocation } = codec(connectWorkerState, version).read(reader)
  const assignment =
    allocation === null || allocation === undefined || allocation.length === 0
      ? null
      : decodeAssignment(allocation)
  return { url, configOffset, assignment }
}

export function encodeAssignment(protocol: ProtocolName, assignment: Assignment): Buffer {
  const version = versionOf[protocol]
  const { isFailed, leader, leaderUrl, configOffset, assigned, revoked, delayMs } = assignment
  return versioned(
    version,
    encode(connectAssignment, version, {
      error: isFailed ? 1 : 0,
      leader,
      leaderUrl,
      configOffset,
      assigned: rowsOf(assigned),
      revoked: rowsOf(revoked),
      delay: delayMs,
    }),
  )
}

export function decodeAssignment(bytes: Buffer): Assignment {
  const { reader, version } = opened(bytes)
  const read: ConnectAssignment = codec(connectAssignment, version).read(reader)
  return {
    isFailed: read.error !== 0,
    leader: read.leader,
    leaderUrl: read.leaderUrl,
    configOffset: read.configOffset,
    assigned: workOf(read.assigned ?? []),
    revoked: workOf(read.revoked ?? []),
    delayMs: read.delay ?? 0,
  }
}

type Rows = NonNullable<ConnectAssignment['assigned']>
/** In the place of a task's number. */
const connectorItself = -1

function rowsOf({ connectors, tasks }: Work): Rows {
  const rows = new Map<string, number[]>()
  const numbersOf = (connector: string) => {
    const known = rows.get(connector) ?? []
    rows.set(connector, known)
    return known
  }
  for (const connector of connectors) numbersOf(connector).push(connectorItself)
  for (const name of tasks) {
    const { connector, task } = parseTaskName(name)
    numbersOf(connector).push(task)
  }
  return Array.from(rows, ([connector, numbers]) => ({ connector, tasks: numbers }))
}

function workOf(rows: Rows): Work {
  const connectors = new Set<string>()
  const tasks = new Set<string>()
  for (const { connector, tasks: numbers } of rows)
    for (const number of numbers) {
      if (number === connectorItself) connectors.add(connector)
      else tasks.add(`${connector}-${number}`)
    }
  return { connectors, tasks }
}

function versioned(version: number, body: Buffer): Buffer {
  const head = Buffer.alloc(2)
  head.writeInt16BE(version)
  return Buffer.concat([head, body])
}

/** Versions only add at the end: a newer one is read as the newest known. */
function opened(bytes: Buffer): { reader: Reader; version: number } {
  const reader = new Reader(bytes)
  return { version: Math.max(0, Math.min(reader.int16(), versionMax)), reader }
}

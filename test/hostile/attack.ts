/** What every attack is made of, and the ways of sending that several of them share. */
import { setTimeout } from 'node:timers/promises'
import type { ApiRow } from '../../protocol/apis.ts'
import { apis } from '../../protocol/apis.ts'
import type { Field, Fields, Message } from '../../protocol/schema.ts'
import { includes, type Type } from '../../protocol/types.ts'
import { decodeAnswer, errorCodes, frameOf, Outcome, Peer } from './peer.ts'

export interface Target {
  readonly port: number
  /** Topic of one partition with a few MB of batches. */
  readonly filled: string
  /** Id of `filled`. */
  readonly filledId: string
  /** Empty topic of one partition. */
  readonly empty: string
  /** Monotonic milliseconds at which the attack has to end. */
  readonly endMs: number
  readonly outcome: Outcome
  /** Opens a connection that the runner closes when the attack is over. */
  open(): Promise<Peer | undefined>
}

export interface Attack {
  readonly name: string
  readonly run: (target: Target) => Promise<void>
}

export function isOver({ endMs }: Target): boolean {
  return performance.now() >= endMs
}

export async function untilOver({ endMs }: Target): Promise<void> {
  await setTimeout(Math.max(0, endMs - performance.now()))
}

/** Opens so many, some at a time. */
export async function openMany(target: Target, count: number): Promise<Peer[]> {
  const peers: Peer[] = []
  while (peers.length < count && !isOver(target)) {
    const step = Math.min(100, count - peers.length)
    const opened = await Promise.all(Array.from({ length: step }, () => target.open()))
    peers.push(...opened.filter((peer) => peer !== undefined))
    if (opened.includes(undefined)) break
  }
  return peers
}

/** Notes the error codes in the answers of a connection that asks one API only. */
export function noteErrors(peer: Peer, api: ApiRow, version: number, outcome: Outcome): void {
  peer.onAnswer = (frame) => outcome.note(errorCodes(decodeAnswer(api, version, frame)))
}

/**
 * The same frame again and again over `connections`, the next when the answer to the one before has come;
 * a connection that is closed is opened again.
 */
export async function repeat(
  target: Target,
  frame: Buffer,
  options: { api?: ApiRow; version?: number; connections?: number; hasAnswer?: boolean } = {},
): Promise<void> {
  const { api, version = 0, connections = 2, hasAnswer = true } = options
  const one = async () => {
    while (!isOver(target)) {
      const peer = await target.open()
      if (peer === undefined) {
        await setTimeout(10)
        continue
      }
      while (!peer.isClosed && !isOver(target)) {
        const answered = hasAnswer ? peer.answer() : undefined
        await peer.send(frame)
        const answer = await answered
        if (answer !== undefined && api !== undefined && answer.length < 2_000_000) {
          target.outcome.note(errorCodes(decodeAnswer(api, version, answer)))
        }
      }
      peer.close()
    }
  }
  await Promise.all(Array.from({ length: connections }, one))
}

/** A value of this version that takes few bytes: nothing in its arrays, zero and empty elsewhere. */
export function smallest(table: Message, version: number): Record<string, unknown> {
  return smallestOf(table.fields, version)
}

function smallestOf(fields: Fields, version: number): Record<string, unknown> {
  const present = Object.entries(fields).filter(([, { versions }]) => includes(versions, version))
  return Object.fromEntries(present.map(([name, field]) => [name, smallestField(field, version)]))
}

function smallestField(field: Field, version: number): unknown {
  const { type } = field
  if (field.tag !== null) return field.default
  return type.kind === 'array' ? [] : smallestValue(type, version)
}

function smallestValue(type: Type<Fields>, version: number): unknown {
  if (type.kind === 'struct') return smallestOf(type.fields, version)
  if (type.kind === 'array') return []
  if (type.name === 'string') return ''
  if (type.name === 'bytes') return Buffer.alloc(0)
  if (type.name === 'records') return []
  if (type.name === 'uuid') return 'AAAAAAAAAAAAAAAAAAAAAA'
  return type.name === 'bool' ? false : 0
}

/** A frame of at most `bytes` whose first array holds as many of the smallest elements as fit. */
export function crowded(api: ApiRow, version: number, bytes: number): Buffer | undefined {
  const found = Object.entries(api.request.fields).find(
    ([, { type, versions, tag }]) =>
      type.kind === 'array' && tag === null && includes(versions, version),
  )
  if (found === undefined) return undefined
  const [name, { type }] = found
  if (type.kind !== 'array') return undefined
  const value = smallest(api.request, version)
  const sized = (count: number) => {
    const elements = new Array(count).fill(smallestValue(type.element, version))
    return frameOf(api, version, { ...value, [name]: elements } as never)
  }
  const each = (sized(1001).length - sized(1).length) / 1000
  return sized(Math.floor((bytes - sized(0).length - 16) / each))
}

/** The tables of the APIs that the broker says it serves, with their newest versions. */
export async function servedApis({ port }: { port: number }): Promise<[ApiRow, number][]> {
  const peer = await Peer.open(port, new Outcome())
  const answer = await peer?.call(apis.apiVersions, 0, {})
  peer?.close()
  const rows = Object.values<ApiRow>(apis)
  return (answer?.apiKeys ?? []).flatMap(({ apiKey, maxVersion }): [ApiRow, number][] => {
    const api = rows.find(({ key }) => key === apiKey)
    return api === undefined ? [] : [[api, Math.min(maxVersion, api.request.valid.max)]]
  })
}

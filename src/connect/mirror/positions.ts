/**
 * Parts of the source and offsets as the connectors keep them, and as somebody may write them who moves offsets by REST:
 * names and forms are MirrorMaker 2's, so that it goes on where we stopped, and we where it did.
 *
 *     {"cluster": "a", "partition": 0, "topic": "orders"} : {"offset": 41}    the last that was mirrored
 */
import type { TopicPartition } from '../../client/topic-partition.ts'
import { ConnectException } from '../failures.ts'
import type { SourcePosition } from '../records.ts'

export function partitionPosition(alias: string, { topic, partition }: TopicPartition) {
  return new Map<string, unknown>([
    ['cluster', alias],
    ['partition', BigInt(partition)],
    ['topic', topic],
  ])
}

export function offsetPosition(offset: number): SourcePosition {
  return new Map([['offset', BigInt(offset)]])
}

/** Of connectors that keep none, and write again and again what they find. */
export const noOffset = offsetPosition(0)

/** Null: none is kept. */
export function offsetIn(position: SourcePosition | null): number | null {
  const offset = position?.get('offset')
  return typeof offset === 'bigint' || typeof offset === 'number' ? Number(offset) : null
}

/** Looks at what somebody moves. Throws ConnectException; anything may be forgotten. */
export function checkPositions(
  texts: readonly string[],
  { hasPartition, isZero }: { readonly hasPartition: boolean; readonly isZero: boolean },
): (
  settings: unknown,
  offsets: readonly (readonly [SourcePosition, SourcePosition | null])[],
) => boolean {
  return (_settings, offsets) => {
    for (const [partition, offset] of offsets) {
      if (offset === null) continue
      for (const name of texts)
        if (typeof partition.get(name) !== 'string') throw wrong('partition', name, 'a string')
      if (hasPartition)
        requireNumber('partition', partition, { name: 'partition', max: 2 ** 31 - 1 })
      requireNumber('offset', offset, {
        name: 'offset',
        max: isZero ? 0 : Number.MAX_SAFE_INTEGER,
      })
    }
    return true
  }
}

function requireNumber(
  of: 'partition' | 'offset',
  position: SourcePosition,
  { name, max }: { readonly name: string; readonly max: number },
): void {
  const value = position.get(name)
  const isInteger = typeof value === 'bigint' || Number.isInteger(value)
  if (isInteger && Number(value) >= 0 && Number(value) <= max) return
  throw wrong(of, name, max === 0 ? '0' : `an integer from 0 to ${max}`)
}

function wrong(of: 'partition' | 'offset', name: string, expected: string): ConnectException {
  return new ConnectException(`The '${name}' key of a source ${of} must be ${expected}`)
}

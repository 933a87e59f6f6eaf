/**
 * The largest requests that are allowed: for each array of each API one whose array holds as many elements
 * as fit into the limits, each with a name of its own. Made from the tables; what a field means is told
 * from its name.
 */
import type { ApiRow } from '../../protocol/apis.ts'
import { decodeRequest, decodeRequestHeader } from '../../protocol/frame.ts'
import { Reader } from '../../protocol/reader.ts'
import type { Field, Fields } from '../../protocol/schema.ts'
import { includes, type Type, zeroUuid } from '../../protocol/types.ts'
import { defaultLimits } from '../../src/server/limits.ts'
import { frameOf } from './peer.ts'

export interface LargestRequest {
  readonly api: ApiRow
  readonly version: number
  /** The array, from the request inwards, as `topics.partitions`. */
  readonly array: string
  readonly elements: number
  readonly frame: Buffer
}

/** What there is in the broker to ask for. */
export interface Known {
  /** Names of topics of one partition each, which exist. */
  readonly topics: readonly string[]
  readonly topicIds: readonly string[]
  readonly groups: readonly string[]
}

/** Names that nothing has. */
export const nothingKnown: Known = { topics: [], topicIds: [], groups: [] }

const frameBytesMax = 16 * 1024 * 1024

export function* largestRequests(
  api: ApiRow,
  version: number,
  known: Known,
): IterableIterator<LargestRequest> {
  for (const path of arraysIn(api.request.fields, version)) {
    const sized = (count: number) => {
      const filled = new Filled(version, known, path, count)
      return frameOf(api, version, filled.struct(api.request.fields, []) as never)
    }
    const cost = (frame: Buffer) => {
      const reader = new Reader(frame, 4)
      decodeRequestHeader(reader)
      decodeRequest(api.request, version, reader)
      return reader.decodedBytes
    }
    const sample = 1000
    const [few, many] = [sized(0), sized(sample)]
    const decodedEach = (cost(many) - cost(few)) / sample
    const bytesEach = (many.length - few.length) / sample + 4
    const elements = Math.floor(
      Math.min((defaultLimits.decodedBytesMax - 4096) / decodedEach, frameBytesMax / bytesEach),
    )
    yield { api, version, array: path.join('.'), elements, frame: sized(elements) }
  }
}

/** The ways to all arrays. */
function arraysIn(fields: Fields, version: number): string[][] {
  return Object.entries(fields).flatMap(([name, { type, versions }]) => {
    if (!includes(versions, version)) return []
    const { isArray, inner } = structure(type)
    const deeper = inner === undefined ? [] : arraysIn(inner, version)
    return [...(isArray ? [[name]] : []), ...deeper.map((path) => [name, ...path])]
  })
}

function structure(type: Type<Fields>): { isArray: boolean; inner: Fields | undefined } {
  const isArray = type.kind === 'array'
  const element = type.kind === 'array' ? type.element : type
  return { isArray, inner: element.kind === 'struct' ? element.fields : undefined }
}

/** Numbers that are no numbers of partitions, where zero would be refused at once. */
const numbers: Readonly<Record<string, number>> = {
  acks: 1,
  timeoutMs: 30_000,
  numPartitions: 1,
  replicationFactor: 1,
  count: 2,
  timestamp: 1,
  generationId: -1,
  generationIdOrMemberEpoch: -1,
  memberEpoch: -1,
  replicaId: -1,
  currentLeaderEpoch: -1,
  responsePartitionLimit: 2000,
  maxBytes: 60_000_000,
  partitionMaxBytes: 100_000,
  sessionEpoch: -1,
  // Topics.
  resourceType: 2,
  resourceTypeFilter: 2,
  patternTypeFilter: 3,
  resourcePatternType: 3,
  operation: 3,
  permissionType: 3,
  iterations: 4096,
  mechanism: 1,
  producerId: 1,
}

const ofGroups = /group|coordinatorKeys|^key$/i
const ofPartitions = /partition/i

/** One value of a request, its array at `path` filled. */
class Filled {
  readonly #version: number
  readonly #known: Known
  readonly #path: readonly string[]
  readonly #count: number

  constructor(version: number, known: Known, path: readonly string[], count: number) {
    this.#version = version
    this.#known = known
    this.#path = path
    this.#count = count
  }

  /** `index`: of the element of the filled array that this is in. */
  struct(fields: Fields, at: readonly string[], index = 0): Record<string, unknown> {
    const present = Object.entries(fields).filter(([, { versions }]) =>
      includes(versions, this.#version),
    )
    const values = Object.fromEntries(
      present.map(([name, field]) => [name, this.#field(name, field, [...at, name], index)]),
    )
    // Requests that name a topic in two ways are refused.
    return 'name' in values && 'topicId' in values ? { ...values, topicId: zeroUuid } : values
  }

  #field(name: string, field: Field, at: readonly string[], index: number): unknown {
    const { type } = field
    const isOnPath = at.every((part, depth) => this.#path[depth] === part)
    if (type.kind === 'array') {
      const isFilled = isOnPath && at.length === this.#path.length
      if (!isOnPath && includes(field.nullable, this.#version)) return null
      // An element of the filled array has something in it, but not much.
      const count = isFilled ? this.#count : isOnPath || this.#isInside(at) ? 1 : 0
      return Array.from({ length: count }, (_, n) =>
        this.#value(name, type.element, at, isFilled ? n : index),
      )
    }
    if (field.tag !== null && !isOnPath) return field.default
    const mayBeNull = !isOnPath && includes(field.nullable, this.#version)
    if (mayBeNull && (type.kind === 'struct' || at.length === 1)) return null
    return this.#value(name, type, at, index)
  }

  #isInside(at: readonly string[]): boolean {
    return this.#path.every((part, depth) => at[depth] === part)
  }

  #value(name: string, type: Type<Fields>, at: readonly string[], index: number): unknown {
    if (type.kind === 'struct') return this.struct(type.fields, at, index)
    if (type.kind === 'array') return []
    switch (type.name) {
      case 'string':
        return this.#text(name, at, index)
      case 'bytes':
        return Buffer.alloc(0)
      case 'records':
        return []
      case 'uuid':
        return this.#uuid(at, index)
      case 'bool':
        return false
      case 'float64':
        return 1
      case 'int64Exact':
        return 1n
      default:
        return this.#number(name, at, index)
    }
  }

  #number(name: string, at: readonly string[], index: number): number {
    const isPartition = ofPartitions.test(name) || ofPartitions.test(at.at(-1) ?? '')
    if (isPartition && numbers[name] === undefined) {
      // Some are of two bytes.
      return ofPartitions.test(this.#path.at(-1) ?? '') ? index % 0x8000 : 0
    }
    return numbers[name] ?? 0
  }

  #text(name: string, at: readonly string[], index: number): string {
    const { topics, groups } = this.#known
    if (at.some((part) => /config|^ops$/i.test(part))) {
      return name === 'value' ? '100000' : 'retention.ms'
    }
    if (name === 'memberId' || /error|host|rack|assignor/i.test(name)) return ''
    if (ofGroups.test(name)) return groups[index % groups.length] ?? `unknown-group-${index}`
    return topics[index % topics.length] ?? `unknown-${index}`
  }

  #uuid(at: readonly string[], index: number): string {
    if (!/topic/i.test(at.at(-1) ?? '')) return zeroUuid
    const { topicIds } = this.#known
    const unknown = Buffer.alloc(16, 1)
    unknown.writeInt32BE(index)
    return topicIds[index % topicIds.length] ?? unknown.toString('base64url')
  }
}

/**
 * `/connectors/{name}/offsets` (KIP-875): how far a connector is, and going elsewhere. A sink's offsets
 * are those of its group, a source's what it made of its partitions. Both are changed only while the
 * connector is stopped.
 *
 * A sink that keeps offsets elsewhere begins to read where those say. It is asked first whether it can move them, then
 * the group's are changed, which is refused while a task is left, and at last its own: whatever is refused, and whenever
 * all ends in between, its own are as they were, or moved as was asked for. Asking again completes it.
 */
import { deleteGroupOffsets, deleteGroups } from '../../client/admin/groups.ts'
import { isAnswer } from '../../client/failures.ts'
import { commitOffsets, fetchCommitted } from '../../client/offsets.ts'
import { nameOf } from '../../client/topic-partition.ts'
import {
  HttpError,
  json,
  jsonText,
  type Route,
  type RoutedRequest,
  route,
} from '../../http/routes.ts'
import { ConnectException, DataException } from '../failures.ts'
import { javaPattern } from '../java-pattern.ts'
import { type Json, type JsonObject, parseJson, writeJson } from '../json-text.ts'
import type { ConnectorPlugin, TopicPartition } from '../plugin.ts'
import type { SourcePosition } from '../records.ts'
import { sinkConsumerSettings } from '../runtime/client-settings.ts'
import type { Herder } from '../runtime/herder.ts'
import { positionOf, toJson } from '../storage/offset-state.ts'
import { askPlugin } from '../threads/plugin-questions.ts'
import { topicsOf } from '../validation.ts'

export function offsetRoutes(herder: Herder): Route[] {
  return [
    route('GET', '/connectors/{name}/offsets', ({ parameters: { name = '' } }) =>
      offsets(herder, name),
    ),
    route('PATCH', '/connectors/{name}/offsets', (request) => alter(herder, request)),
    route('DELETE', '/connectors/{name}/offsets', ({ parameters: { name = '' } }) =>
      herder.whileStopped(name, async (plugin) => {
        const isReset = plugin.type === 'sink' ? resetSink : resetSource
        return done('reset', await isReset(herder, name, plugin as never))
      }),
    ),
  ]
}

async function offsets(herder: Herder, name: string) {
  const settings = herder.resolved(name)
  if (herder.typeOf(settings) === 'sink') {
    const committed = await fetchCommitted(herder.cluster, groupIdOf(herder, name), null)
    return json(200, {
      offsets: committed.map(({ topic, partition, offset }) => ({
        partition: { kafka_topic: topic, kafka_partition: partition },
        offset: { kafka_offset: offset },
      })),
    })
  }
  const rows = (await herder.offsetsOf(name)).all().map(
    ({ partition, offset }): JsonObject =>
      new Map([
        ['partition', toJson(partition)],
        ['offset', toJson(offset)],
      ]),
  )
  // With all digits, which JavaScript's own numbers have not.
  return jsonText(200, writeJson(new Map([['offsets', rows]])))
}

interface Row {
  readonly partition: JsonObject | null
  readonly offset: JsonObject | null
}

async function alter(herder: Herder, { parameters: { name = '' }, body }: RoutedRequest) {
  const rows = rowsOf(body)
  return herder.whileStopped(name, async (plugin) => {
    const isAltered =
      plugin.type === 'sink'
        ? await alterSink(herder, name, plugin, rows)
        : await alterSource(herder, name, plugin, rows)
    return done('altered', isAltered)
  })
}

/** Throws HttpError 400. */
function rowsOf(body: Buffer | null): Row[] {
  let parsed: Json = null
  try {
    parsed = parseJson(body?.toString('utf8') ?? '')
  } catch (error) {
    if (!(error instanceof DataException)) throw error
    throw new HttpError(400, error.message)
  }
  const list = parsed instanceof Map ? (parsed.get('offsets') ?? null) : null
  if (!Array.isArray(list) || list.length === 0)
    throw new HttpError(
      400,
      'Partitions / offsets need to be provided for an alter offsets request',
    )
  return list.map((row) => {
    if (!(row instanceof Map)) throw new HttpError(400, 'Each of the offsets must be an object')
    return { partition: objectIn(row, 'partition'), offset: objectIn(row, 'offset') }
  })
}

function objectIn(row: JsonObject, member: string): JsonObject | null {
  const value = row.get(member) ?? null
  if (value !== null && !(value instanceof Map))
    throw new HttpError(400, `The ${member} of an offset must be an object or null`)
  return value
}

function done(how: 'altered' | 'reset', isComplete: boolean) {
  const message = isComplete
    ? `The offsets for this connector have been ${how} successfully`
    : `The Connect framework-managed offsets for this connector have been ${how} successfully. ` +
      'However, if this connector manages offsets externally, they will need to be manually ' +
      `${how} in the system that the connector uses.`
  return json(200, { message })
}

type Of<Type> = Extract<ConnectorPlugin, { readonly type: Type }>
type SinkOffset = TopicPartition & { readonly offset: number | null }

async function alterSink(
  herder: Herder,
  name: string,
  plugin: Of<'sink'>,
  rows: readonly Row[],
): Promise<boolean> {
  // The last counts of those that name one partition.
  const given = rows.map(sinkOffset)
  const parsed = [...new Map(given.map((offset) => [nameOf(offset), offset])).values()]
  const known = new Set((await partitionsOf(herder, () => true)).map(nameOf))
  const unknown = parsed.find((offset) => !known.has(nameOf(offset)))
  if (unknown !== undefined) {
    const { topic, partition } = unknown
    throw new HttpError(400, `There is no partition ${partition} of a topic ${topic}`)
  }
  const groupId = groupIdOf(herder, name)
  const committer = { groupId, memberId: '', generationId: -1, groupInstanceId: null }
  const moved = parsed.flatMap(({ offset, ...at }) => (offset === null ? [] : [{ ...at, offset }]))
  const forgotten = parsed.filter(({ offset }) => offset === null)
  return moveSink(herder, name, plugin, parsed, async () => {
    await commitOffsets(herder.cluster, committer, moved)
    if (forgotten.length === 0) return
    for (const { error } of await deleteGroupOffsets(herder.cluster, groupId, forgotten))
      if (error !== null) throw error
  })
}

async function resetSink(herder: Herder, name: string, plugin: Of<'sink'>): Promise<boolean> {
  const settings = herder.resolved(name)
  const groupId = groupIdOf(herder, name)
  const pattern = (settings.get('topics.regex') ?? '').trim()
  const matches = pattern === '' ? null : javaPattern(pattern)
  const topics = topicsOf(settings)
  const ofTopics = await partitionsOf(
    herder,
    (topic) => matches?.test(topic) ?? topics.includes(topic),
  )
  const committed = await fetchCommitted(herder.cluster, groupId, null)
  const all = new Map([...committed, ...ofTopics].map((at) => [nameOf(at), at]))
  const forgotten = Array.from(all.values(), ({ topic, partition }) => {
    return { topic, partition, offset: null }
  })
  return moveSink(herder, name, plugin, forgotten, async () => {
    // It was reset before.
    for (const { error } of await deleteGroups(herder.cluster, [groupId]))
      if (error !== null && !isAnswer(error, 'GROUP_ID_NOT_FOUND')) throw error
  })
}

/** `moveGroup` rejects, and changes nothing, where the group has members. */
async function moveSink(
  herder: Herder,
  name: string,
  plugin: Of<'sink'>,
  offsets: readonly SinkOffset[],
  moveGroup: () => Promise<void>,
): Promise<boolean> {
  const settings = herder.resolved(name)
  const { worker } = herder
  const question = { className: plugin.className, settings, offsets }
  await asked(() => askPlugin(worker, { kind: 'checkOffsets', ...question }))
  await whileUnused(name, moveGroup)
  try {
    return await askPlugin(worker, { kind: 'alterSinkOffsets', ...question })
  } catch (cause) {
    const message = `The offsets of the group of connector ${name} are changed, but not yet those that it keeps itself, from which it goes on. Try again: ${(cause as Error).message}`
    throw new HttpError(500, message, { cause })
  }
}

async function partitionsOf(
  herder: Herder,
  isMeant: (topic: string) => boolean,
): Promise<TopicPartition[]> {
  return (await herder.cluster.allTopics()).flatMap(({ name: topic, partitions }) =>
    isMeant(topic) ? partitions.map(({ index }) => ({ topic, partition: index })) : [],
  )
}

async function alterSource(
  herder: Herder,
  name: string,
  plugin: Of<'source'>,
  rows: readonly Row[],
): Promise<boolean> {
  const moves = rows.map(({ partition, offset }): [SourcePosition, SourcePosition | null] => {
    if (partition === null) throw new HttpError(400, 'The partition of an offset cannot be null')
    return [position(partition), offset === null ? null : position(offset)]
  })
  return moveSource(herder, name, plugin, moves)
}

async function resetSource(herder: Herder, name: string, plugin: Of<'source'>): Promise<boolean> {
  const all = (await herder.offsetsOf(name)).all()
  return moveSource(
    herder,
    name,
    plugin,
    all.map(({ partition }) => [partition, null]),
  )
}

async function moveSource(
  herder: Herder,
  name: string,
  plugin: Of<'source'>,
  moves: readonly (readonly [SourcePosition, SourcePosition | null])[],
): Promise<boolean> {
  const settings = herder.resolved(name)
  const question = { className: plugin.className, settings, offsets: moves }
  const isMoved = await asked(() =>
    askPlugin(herder.worker, { kind: 'alterSourceOffsets', ...question }),
  )
  const offsets = await herder.offsetsOf(name)
  await offsets.put(moves.map(([partition, offset]) => ({ partition, offset })))
  return isMoved
}

/** A connector that refuses says why. */
async function asked<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof ConnectException) throw new HttpError(400, error.message)
    throw error
  }
}

function position(given: JsonObject): SourcePosition {
  try {
    // Read and written once: what the state will hold.
    const read = positionOf(given)
    toJson(read)
    return read
  } catch (error) {
    if (error instanceof DataException) throw new HttpError(400, error.message)
    throw error
  }
}

async function whileUnused(name: string, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    const busy = ['UNKNOWN_MEMBER_ID', 'GROUP_SUBSCRIBED_TO_TOPIC', 'NON_EMPTY_GROUP']
    if (!isAnswer(error, ...busy)) throw error
    throw new HttpError(
      500,
      `Failed to change the offsets of the group of connector ${name}: its tasks have not stopped completely yet. Try again.`,
      { cause: error },
    )
  }
}

function groupIdOf(herder: Herder, name: string): string {
  const { worker } = herder
  return sinkConsumerSettings(herder.resolved(name), name, worker.settings).options.groupId
}

/** Numbers may be texts. Throws HttpError 400 in Kafka's words. */
function sinkOffset({ partition, offset }: Row): SinkOffset {
  if (partition === null)
    throw new HttpError(400, 'The partition for a sink connector offset cannot be null or missing')
  if (!partition.has('kafka_topic') || !partition.has('kafka_partition'))
    throw new HttpError(
      400,
      "The partition for a sink connector offset must contain the keys 'kafka_topic' and 'kafka_partition'",
    )
  const topic = partition.get('kafka_topic') ?? null
  const index = partition.get('kafka_partition') ?? null
  if (topic === null)
    throw new HttpError(400, 'Kafka topic names must be valid strings and may not be null')
  if (index === null)
    throw new HttpError(400, 'Kafka partitions must be valid numbers and may not be null')
  const at = { topic: textOf(topic), partition: numberOf('partition', index, 2 ** 31) }
  if (offset === null) return { ...at, offset: null }
  const told = offset.get('kafka_offset')
  if (told === undefined)
    throw new HttpError(
      400,
      "The offset for a sink connector should either be null or contain the key 'kafka_offset'",
    )
  const position = numberOf('offset', told, Number.MAX_SAFE_INTEGER)
  if (position < 0) throw new HttpError(400, `An offset cannot be negative: ${position}`)
  return { ...at, offset: position }
}

function numberOf(what: 'partition' | 'offset', given: Json, limit: number): number {
  const text = textOf(given)
  const value = /^[+-]?\d{1,19}$/.test(text) ? Number(text) : Number.NaN
  if (Number.isInteger(value) && Math.abs(value) < limit) return value
  const name = what === 'partition' ? 'Partition' : 'Offset'
  throw new HttpError(
    400,
    `Failed to parse the following Kafka ${what} value in the provided offsets: '${text}'. ${name} values for sink connectors need to be integers.`,
  )
}

function textOf(given: Json): string {
  return typeof given === 'string' ? given : writeJson(given)
}

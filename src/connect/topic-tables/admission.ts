/**
 * Which of several topics may have its table where both want theirs: at one place, or one within the other. The rows
 * of the one would be changed by the other's keys, or its files taken for files that the other no longer needs. The topic
 * whose rows lie there keeps its table, as the table itself says it; else the one that is running; else, so that it is
 * always the same one, that with the lower id. The other is told why it is refused; so is a topic whose dead letters would
 * come back to it, by way of others or at once, as their own dead letters without end.
 */
import path from 'node:path'
import type { TopicTable } from '../../config/table-configs.ts'
import { snapshotOf } from '../delta/landing-table.ts'
import type { TablesEnvironment } from '../delta/move-offsets.ts'
import { keptIn } from '../storage/kept-in.ts'
import { deadLettersOf, topicsOf } from './table-settings.ts'

/** Each takes connections of its own, and memory for records that wait. */
const tablesMax = 500

export interface AdmissionOptions {
  readonly tables: TablesEnvironment
  /** Whether the topic's records land in that very table now. */
  readonly isRunning: (table: TopicTable) => boolean
}

/** As they were given, with what speaks against each. Never rejects. */
export async function admitted(
  wanted: readonly TopicTable[],
  options: AdmissionOptions,
): Promise<TopicTable[]> {
  const byTopic = new Map(wanted.map((table) => [table.topic, table]))
  const counted = wanted.map((table, at) => {
    const tooMany = at < tablesMax ? null : `A node keeps at most ${tablesMax} topics as tables`
    return { ...table, refusal: table.refusal ?? tooMany ?? loopOf(table, byTopic) }
  })
  const rivals = contested(counted.filter(({ refusal }) => refusal === null))
  const refusals = refusalsOf(await firstFirst(rivals, options))
  return counted.map((table) => {
    return { ...table, refusal: table.refusal ?? refusals.get(table.topic) ?? null }
  })
}

/** How the dead letters of a topic come back to it; null: they do not. */
function loopOf(table: TopicTable, byTopic: ReadonlyMap<string, TopicTable>): string | null {
  const way = [table.topic]
  for (let at: TopicTable | undefined = table; at !== undefined && way.length <= tablesMax; ) {
    const next: string = deadLettersOf(at)
    if (next === '') return null
    if (next === table.topic) {
      if (way.length === 1) return 'It is its own table.dead.letter.topic'
      return `Its dead letters come back to it: ${[...way, next].join(' → ')} (table.dead.letter.topic)`
    }
    // They go round without it.
    if (way.includes(next)) return null
    way.push(next)
    at = byTopic.get(next)
  }
  return null
}

/** The directory itself, and all that it lies in. */
function* upwards(location: string): Generator<string> {
  let at = location
  for (; at !== path.dirname(at); at = path.dirname(at)) yield at
  yield at
}

/** Those that do not have their place for themselves. */
function contested(tables: readonly TopicTable[]): TopicTable[] {
  const byLocation = new Map<string, TopicTable[]>()
  for (const table of tables) keptIn(byLocation, table.location, (): TopicTable[] => []).push(table)
  const found = new Set<TopicTable>()
  for (const table of tables) {
    for (const up of upwards(table.location)) {
      for (const other of byLocation.get(up) ?? []) {
        if (other !== table) found.add(table).add(other)
      }
    }
  }
  return [...found]
}

async function firstFirst(
  rivals: readonly TopicTable[],
  { tables, isRunning }: AdmissionOptions,
): Promise<TopicTable[]> {
  const ranked: { readonly table: TopicTable; readonly rank: number }[] = []
  for (const table of rivals) {
    const rank = ((await hasRows(table, tables)) ? 2 : 0) + (isRunning(table) ? 1 : 0)
    ranked.push({ table, rank })
  }
  ranked.sort((a, b) => b.rank - a.rank || (a.table.topicId < b.table.topicId ? -1 : 1))
  return ranked.map(({ table }) => table)
}

/** A table that cannot be read now is nobody's to take: it is as good as its topic's. */
async function hasRows(
  { topic, location }: TopicTable,
  { clock, random, storageAt }: TablesEnvironment,
): Promise<boolean> {
  try {
    const storage = storageAt(location)
    const snapshot = await snapshotOf({ clock, random, storage })
    return snapshot !== null && topicsOf(snapshot.transactions.keys()).has(topic)
  } catch {
    return true
  }
}

/** By topic; those that come first keep their places. */
function refusalsOf(tables: readonly TopicTable[]): Map<string, string> {
  const refusals = new Map<string, string>()
  const at = new Map<string, TopicTable>()
  /** By the directories that they lie in. */
  const within = new Map<string, TopicTable>()
  for (const table of tables) {
    const { topic, location } = table
    const refusal = refusalOf(location, at, within)
    if (refusal !== null) {
      refusals.set(topic, refusal)
      continue
    }
    at.set(location, table)
    for (const up of upwards(location)) within.set(up, table)
  }
  return refusals
}

function refusalOf(
  location: string,
  at: ReadonlyMap<string, TopicTable>,
  within: ReadonlyMap<string, TopicTable>,
): string | null {
  const same = at.get(location)
  if (same !== undefined) return `${location} is the table of ${same.topic}`
  const inner = within.get(location)
  if (inner !== undefined) {
    return `${location} has ${inner.location} in it, the table of ${inner.topic}`
  }
  for (const up of upwards(location)) {
    const outer = at.get(up)
    if (outer !== undefined) return `${location} lies within ${up}, the table of ${outer.topic}`
  }
  return null
}

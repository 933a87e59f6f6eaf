/**
 * Looks up what the regular expressions of a group stand for, in turns with all else that the broker does
 * (`environment/in-turns.ts`): there may be many of them, of many steps each, and very many topics.
 *
 *   heartbeat committed --due--> looking up, in slices --found--> recorded, if the group is still there
 *                                        \--the group ended, or its shard: dropped
 *
 * A group has one lookup at a time. An expression stands for those topics only that the member may know of
 * with whose heartbeat it began. What is found counts once it is recorded: then the group's epoch grows, and
 * heartbeats go by it. What could not be recorded is looked up anew with the next of them.
 */
import { Pattern } from '../../../config/pattern.ts'
import { PatternError } from '../../../config/pattern-syntax.ts'
import { inTurns, NobodyWaits, type Steps } from '../../../environment/in-turns.ts'
import type { SubscribingCaller } from '../group.ts'
import type { ConsumerGroup } from './consumer-group.ts'
import { isLookupDue, type ResolvedRegex } from './regexes.ts'
import { noteResolved } from './subscription.ts'

/** Begins a lookup, unless there is one or none is due. The group is the shard's. */
export function lookUpIfDue(group: ConsumerGroup, caller: SubscribingCaller): void {
  if (group.regexLookup !== null || !isLookupDue(group, group.context.now())) return
  void runLookup(group, caller)
}

/** Never rejects. */
async function runLookup(group: ConsumerGroup, caller: SubscribingCaller): Promise<void> {
  const { groupId, context } = group
  const lookup = {}
  group.regexLookup = lookup
  const isWanted = () => group.regexLookup === lookup && group.regexCounts.size > 0
  const end = () => {
    if (group.regexLookup === lookup) group.regexLookup = null
  }
  try {
    const resolved = await inTurns(context.turns, lookUp(group, caller), isWanted)
    if (!isWanted()) return end()
    end()
    context.write(() => noteResolved(group, resolved, context.now()))
  } catch (err) {
    end()
    if (err instanceof NobodyWaits) return
    context.log.error('regular expressions could not be looked up', { groupId, err })
  }
}

/** Stops at least with each topic and expression, and within one that takes many steps. */
function* lookUp(
  { groupId, regexCounts, context }: ConsumerGroup,
  caller: SubscribingCaller,
): Steps<Map<string, ResolvedRegex>> {
  const { version } = context.topics
  const resolvedAtMs = context.now()
  const names = context.topics.names()
  const patterns: { readonly pattern: Pattern; readonly topics: Set<string> }[] = []
  const resolved = new Map<string, ResolvedRegex>()
  for (const regex of [...regexCounts.keys()]) {
    const topics = new Set<string>()
    resolved.set(regex, { topics, version, resolvedAtMs })
    try {
      patterns.push({ pattern: new Pattern(regex), topics })
    } catch (err) {
      // It was checked when a member came with it: one that another broker let in stands for nothing.
      if (!(err instanceof PatternError)) throw err
      context.log.error('not a valid regular expression', { groupId, regex, err })
    }
    yield
  }
  for (const name of names) {
    let mayKnow: boolean | undefined
    for (const { pattern, topics } of patterns) {
      if (yield* pattern.matching(name)) {
        mayKnow ??= caller.mayDescribe(name)
        if (mayKnow) topics.add(name)
      }
      yield
    }
  }
  return resolved
}

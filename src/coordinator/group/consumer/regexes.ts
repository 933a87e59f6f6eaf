/**
 * Regular expressions to which members are subscribed (KIP-848): what each stands for is looked up in
 * the topics and recorded, so that all members, and the next coordinator, go by the same.
 *
 * All of a group's are looked up together (`regex-lookup.ts`): when one is new, when there are new topics,
 * and every so often, but not more often than every ten seconds.
 */
import { errors, KafkaError } from '../../../../protocol/errors.ts'
import { Pattern } from '../../../config/pattern.ts'
import { PatternError } from '../../../config/pattern-syntax.ts'
import type { Milliseconds } from '../../../environment/environment.ts'
import type { ConsumerGroup } from './consumer-group.ts'
import { addTo } from './consumer-group.ts'
import { type ConsumerMember, regexOf } from './member.ts'

export interface ResolvedRegex {
  readonly topics: ReadonlySet<string>
  /** Of the metadata in which the topics were found. */
  readonly version: number
  readonly resolvedAtMs: Milliseconds
}

const refreshIntervalMsMin = 10_000
/** In a group. */
const regexesMax = 100

/** Throws KafkaError INVALID_REGULAR_EXPRESSION. */
function checkRegex(regex: string): void {
  try {
    new Pattern(regex)
  } catch (failure) {
    if (!(failure instanceof PatternError)) throw failure
    throw new KafkaError(
      errors.INVALID_REGULAR_EXPRESSION,
      `SubscribedTopicRegex \`${regex}\` is not a valid regular expression: ${failure.message}.`,
    )
  }
}

/** How many members will be subscribed to each expression. Throws KafkaError. */
export function regexCountsWith(
  group: ConsumerGroup,
  before: ConsumerMember,
  after: ConsumerMember,
): ReadonlyMap<string, number> {
  const [old, regex] = [regexOf(before), regexOf(after)]
  if (old === regex) return group.regexCounts
  const counts = new Map(group.regexCounts)
  if (old !== null) addTo(counts, old, -1)
  if (regex === null) return counts
  if (!counts.has(regex)) {
    checkRegex(regex)
    if (counts.size >= regexesMax) {
      throw new KafkaError(
        errors.INVALID_REGULAR_EXPRESSION,
        `The group has ${regexesMax} regular expressions already.`,
      )
    }
  }
  addTo(counts, regex, 1)
  return counts
}

/** Whether the regular expressions of the group are to be looked up now. */
export function isLookupDue(group: ConsumerGroup, nowMs: Milliseconds): boolean {
  const wanted = [...group.regexCounts.keys()]
  if (wanted.length === 0) return false
  const [last] = group.regexes.values()
  if (last === undefined) return true
  // Where the clock was set back, the time since is not known.
  const sinceMs = Math.abs(nowMs - last.resolvedAtMs)
  if (sinceMs <= refreshIntervalMsMin) return false
  const { newTopics, config } = group.context
  return (
    wanted.some((regex) => group.regexes.get(regex) === undefined) ||
    last.version < newTopics.version ||
    sinceMs > config().groupConsumerRegexRefreshIntervalMs
  )
}

/**
 * Which metrics are wanted of whom: the client metrics subscriptions of the cluster (KIP-714), each with
 * the prefixes of metrics' names that it wants, how often, and of which clients.
 */
import { Pattern } from '../config/pattern.ts'
import { PatternError } from '../config/pattern-syntax.ts'
import type { Milliseconds } from '../environment/environment.ts'
import { type ConfigTexts, configResource, type MetadataImage } from '../metadata/image.ts'

/** interval.ms, where no subscription says it. */
const pushIntervalMs: Milliseconds = 300_000

/** The prefix that all names have. */
const allMetrics = '*'

/** By the names that `match` has for them; null: the client does not say. */
export type ClientAttributes = Readonly<Record<string, string | null>>

export interface Wanted {
  /** Prefixes of names, sorted; `*` alone for all metrics. */
  readonly metrics: readonly string[]
  readonly intervalMs: Milliseconds
}

interface Subscription extends Wanted {
  /** By attribute; null: the stored expression is not one, and no client matches. */
  readonly match: ReadonlyMap<string, Pattern | null>
}

type SubscriptionTexts = ReadonlyMap<string, ConfigTexts>
const noTexts: SubscriptionTexts = new Map()

export class Subscriptions {
  readonly #image: () => MetadataImage
  #texts: SubscriptionTexts = noTexts
  #subscriptions: readonly Subscription[] = []

  constructor(image: () => MetadataImage) {
    this.#image = image
  }

  /** Another one after each change of any subscription. */
  get version(): object {
    const texts = this.#image().configs.get(configResource.CLIENT_METRICS) ?? noTexts
    if (texts !== this.#texts) {
      this.#texts = texts
      this.#subscriptions = [...texts.values()].map(subscriptionOf)
    }
    return this.#texts
  }

  /** What all subscriptions together want of such a client. */
  wantedOf(client: ClientAttributes): Wanted {
    const metrics = new Set<string>()
    let intervalMs = pushIntervalMs
    for (const subscription of this.#subscriptions) {
      if (!isMeant(subscription, client)) continue
      for (const prefix of subscription.metrics) metrics.add(prefix)
      intervalMs = Math.min(intervalMs, subscription.intervalMs)
    }
    return { metrics: metrics.has(allMetrics) ? [allMetrics] : [...metrics].sort(), intervalMs }
  }
}

function subscriptionOf(texts: ConfigTexts): Subscription {
  const match = new Map<string, Pattern | null>()
  for (const rule of listOf(texts.get('match'))) {
    const [name = '', expression = ''] = rule.split('=')
    match.set(name.trim(), patternOf(expression.trim()))
  }
  const interval = texts.get('interval.ms')
  return {
    metrics: listOf(texts.get('metrics')),
    intervalMs: interval === undefined ? pushIntervalMs : Number(interval),
    match,
  }
}

function listOf(text: string | undefined): readonly string[] {
  return (text ?? '').split(',').flatMap((part) => part.trim() || [])
}

function patternOf(text: string): Pattern | null {
  try {
    return new Pattern(text)
  } catch (error) {
    if (error instanceof PatternError) return null
    throw error
  }
}

function isMeant({ match }: Subscription, client: ClientAttributes): boolean {
  return [...match].every(([name, pattern]) => {
    const attribute = client[name] ?? null
    return attribute !== null && pattern?.matches(attribute) === true
  })
}

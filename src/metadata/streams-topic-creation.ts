/**
 * Topics that streams applications need for themselves (KIP-1071): made because a heartbeat found them
 * missing. Nobody waits for them; a later heartbeat finds them. What failed is not tried again for a while,
 * during which the members can be told why.
 */
import { errors, KafkaError } from '../../protocol/errors.ts'
import type { CreateTopicsRequest } from '../../protocol/messages/create-topics.ts'
import type { Environment, Milliseconds } from '../environment/environment.ts'
import type { Controller } from './controller/controller.ts'
import type { CountMutations } from './controller/decision.ts'

export interface StreamsTopic {
  readonly name: string
  readonly partitions: number
  /** 0: the broker's default. */
  readonly replicationFactor: number
  readonly topicConfigs: readonly { readonly key: string; readonly value: string }[]
}

type CreatableTopic = CreateTopicsRequest['topics'][number]

interface Failure {
  readonly message: string
  readonly untilMs: Milliseconds
}

/** Remembered failures; the oldest go first. */
const failuresMax = 1000

export class StreamsTopicCreation {
  readonly #controller: Pick<Controller, 'createTopics'>
  readonly #environment: Pick<Environment, 'clock' | 'log'>
  readonly #inFlight = new Set<string>()
  readonly #failures = new Map<string, Failure>()

  constructor(
    controller: Pick<Controller, 'createTopics'>,
    environment: Pick<Environment, 'clock' | 'log'>,
  ) {
    this.#controller = controller
    this.#environment = environment
  }

  /**
   * Makes those that are not being made and did not fail lately; a failure counts for `failureMs`, and
   * one that `countMutations` refuses is a failure.
   */
  begin(
    topics: readonly StreamsTopic[],
    failureMs: Milliseconds,
    countMutations: CountMutations,
  ): void {
    const due = topics.filter(
      ({ name }) => !this.#inFlight.has(name) && this.#failureOf(name) === undefined,
    )
    if (due.length > 0) void this.#create(due, failureMs, countMutations)
  }

  /** Why topics could not be made, as `name (reason)`. */
  failures(topics: readonly StreamsTopic[]): string[] {
    return topics.flatMap(({ name }) => {
      const failure = this.#failureOf(name)
      return failure === undefined ? [] : [`${name} (${failure.message})`]
    })
  }

  #failureOf(name: string): Failure | undefined {
    const failure = this.#failures.get(name)
    if (failure === undefined || this.#environment.clock.monotonic() < failure.untilMs) {
      return failure
    }
    this.#failures.delete(name)
    return undefined
  }

  async #create(
    topics: readonly StreamsTopic[],
    failureMs: Milliseconds,
    countMutations: CountMutations,
  ): Promise<void> {
    for (const { name } of topics) this.#inFlight.add(name)
    try {
      const request = { topics: topics.map(creatable), validateOnly: false }
      for (const result of await this.#controller.createTopics(request, countMutations)) {
        const { name, errorCode, errorMessage } = result
        if (errorCode === errors.NONE.code) continue
        if (errorCode === errors.TOPIC_ALREADY_EXISTS.code) continue
        this.#note(name, errorMessage ?? `error ${errorCode}`, failureMs)
      }
    } catch (err) {
      const message = err instanceof KafkaError ? err.message : 'the controller failed'
      for (const { name } of topics) this.#note(name, message, failureMs)
      if (!(err instanceof KafkaError)) {
        this.#environment.log.error('topics of a streams application were not made', { err })
      }
    } finally {
      for (const { name } of topics) this.#inFlight.delete(name)
    }
  }

  #note(topic: string, message: string, failureMs: Milliseconds): void {
    const [oldest] = this.#failures.keys()
    if (oldest !== undefined && this.#failures.size >= failuresMax) this.#failures.delete(oldest)
    const { clock, log } = this.#environment
    this.#failures.set(topic, { message, untilMs: clock.monotonic() + failureMs })
    log.warn('a topic of a streams application was not made', { topic, reason: message })
  }
}

function creatable(topic: StreamsTopic): CreatableTopic {
  const { name, partitions, replicationFactor, topicConfigs } = topic
  return {
    name,
    numPartitions: partitions,
    replicationFactor: replicationFactor === 0 ? -1 : replicationFactor,
    assignments: [],
    configs: topicConfigs.map(({ key, value }) => ({ name: key, value })),
  }
}

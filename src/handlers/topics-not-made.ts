/**
 * What the log is told of topics of the broker's own that cannot be made. Every client that looks for its coordinator asks
 * for them again, several times a second: each cause is told once, until the topic is made.
 */
import { type ErrorRow, errors } from '../../protocol/errors.ts'
import type { BrokerConfig } from '../config/broker-config.ts'
import type { Logger } from '../environment/environment.ts'
import { replicasSettingOf } from '../metadata/auto-topic-creation.ts'

export class TopicsNotMade {
  readonly #log: Pick<Logger, 'warn'>
  readonly #config: BrokerConfig
  readonly #told = new Map<string, ErrorRow>()

  constructor(log: Pick<Logger, 'warn'>, config: BrokerConfig) {
    this.#log = log
    this.#config = config
  }

  tell(name: string, error: ErrorRow, brokers: number): void {
    if (error === errors.NONE) {
      this.#told.delete(name)
      return
    }
    if (this.#told.get(name) === error) return
    this.#told.set(name, error)
    const setting = replicasSettingOf(name)
    const reason =
      error === errors.INVALID_REPLICATION_FACTOR && setting !== undefined
        ? `${setting}=${this.#config.get(setting)} asks for more replicas than there are brokers, ${brokers}`
        : error.message
    const message = `${name} could not be made, and clients that need it wait: ${reason}`
    this.#log.warn(message, { error: error.name })
  }
}

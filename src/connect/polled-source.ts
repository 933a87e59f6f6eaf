/**
 * What sources that are asked again and again have in common. Their connector hands its settings to its task as they
 * are, and looks at offsets one by one before somebody moves them. Their task is made when it starts, so that it has
 * all it needs from its first line on, and ends whatever it waits for when it is stopped.
 */
import type { Settings } from './config-def.ts'
import { Idle } from './idle.ts'
import type {
  Awaitable,
  SourceConnector,
  SourceTask,
  SourceTaskContext,
  Support,
} from './plugin.ts'
import type { SourcePosition, SourceRecord } from './records.ts'

export interface PolledConnectorOptions {
  /** Throws ConfigError, ConnectException for settings that nothing can be read with. */
  readonly check: (settings: Settings) => unknown
  /** Throws ConnectException for what no task could go on from. */
  readonly checkOffset: (offset: SourcePosition, partition: SourcePosition) => unknown
  /** Whether each record of the source has an offset of its own, to go on behind. */
  readonly hasOffsets: (settings: Settings) => boolean
  /** One task, unless said otherwise. */
  readonly taskConfigs?: (settings: Settings, tasksMax: number) => Settings[]
}

export class PolledConnector implements SourceConnector {
  readonly #options: PolledConnectorOptions
  #settings: Settings = new Map()

  constructor(options: PolledConnectorOptions) {
    this.#options = options
  }

  start(settings: Settings): void {
    this.#options.check(settings)
    this.#settings = settings
  }

  taskConfigs(tasksMax: number): Settings[] {
    return this.#options.taskConfigs?.(this.#settings, tasksMax) ?? [this.#settings]
  }

  exactlyOnceSupport(settings: Settings): Support {
    return this.#options.hasOffsets(settings) ? 'SUPPORTED' : 'UNSUPPORTED'
  }

  canDefineTransactionBoundaries(): Support {
    return 'UNSUPPORTED'
  }

  alterOffsets(
    _settings: Settings,
    offsets: readonly (readonly [SourcePosition, SourcePosition | null])[],
  ): boolean {
    // Anything may be forgotten, what nobody understands above all.
    for (const [partition, offset] of offsets)
      if (offset !== null) this.#options.checkOffset(offset, partition)
    return true
  }
}

/** What a task does between its start and its end. */
export interface Poller {
  poll(): Awaitable<readonly SourceRecord[] | null>
  close?(): Awaitable<void>
}

/** `begin` throws what fails the task; with `idle` it waits. */
export function polledTask(begin: (context: SourceTaskContext, idle: Idle) => Poller): SourceTask {
  const idle = new Idle()
  let poller: Poller | null = null
  return {
    start: (_settings, context) => {
      poller = begin(context, idle)
    },
    poll: () => poller?.poll() ?? null,
    stop: () => {
      idle.stop()
      return poller?.close?.()
    },
  }
}

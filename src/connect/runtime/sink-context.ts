/** What a sink task may ask of the loop that runs it; wishes are kept until the loop comes by. */

import { nameOf } from '../../client/topic-partition.ts'
import type { Environment, Logger, Milliseconds } from '../../environment/environment.ts'
import type { Settings } from '../config-def.ts'
import type {
  ErrantRecordReporter,
  PartitionOffset,
  SinkTaskContext,
  TopicPartition,
} from '../plugin.ts'
import { logOf, type TaskOptions } from './task.ts'

interface Loop {
  assignment(): readonly TopicPartition[]
  wake(): void
  setPaused(partition: TopicPartition, isPaused: boolean): void
  reporter(): ErrantRecordReporter | null
}

export class SinkContext implements SinkTaskContext {
  readonly environment: Environment
  readonly log: Logger
  readonly settings: Settings
  readonly #loop: Loop
  readonly #paused = new Set<string>()
  #offsets: readonly PartitionOffset[] = []
  #timeoutMs: Milliseconds | null = null
  #isCommitRequested = false

  constructor(options: TaskOptions, loop: Loop) {
    this.environment = options.worker.environment
    this.log = logOf(options)
    this.settings = options.settings
    this.#loop = loop
  }

  get errantRecordReporter(): ErrantRecordReporter | null {
    return this.#loop.reporter()
  }

  assignment(): readonly TopicPartition[] {
    return this.#loop.assignment()
  }

  offset(offsets: readonly PartitionOffset[]): void {
    this.#offsets = [...this.#offsets, ...offsets]
  }

  pause(...partitions: TopicPartition[]): void {
    for (const partition of partitions) {
      this.#paused.add(nameOf(partition))
      this.#loop.setPaused(partition, true)
    }
  }

  resume(...partitions: TopicPartition[]): void {
    for (const partition of partitions) {
      this.#paused.delete(nameOf(partition))
      this.#loop.setPaused(partition, false)
    }
  }

  timeout(timeoutMs: Milliseconds): void {
    this.#timeoutMs = timeoutMs
  }

  requestCommit(): void {
    this.#isCommitRequested = true
    this.#loop.wake()
  }

  takeOffsets(): readonly PartitionOffset[] {
    const offsets = this.#offsets
    this.#offsets = []
    return offsets
  }

  takeTimeout(): Milliseconds | null {
    const timeoutMs = this.#timeoutMs
    this.#timeoutMs = null
    return timeoutMs !== null && timeoutMs > 0 ? timeoutMs : null
  }

  takeCommitRequest(): boolean {
    const isRequested = this.#isCommitRequested
    this.#isCommitRequested = false
    return isRequested
  }

  isPausedByTask(partition: TopicPartition): boolean {
    return this.#paused.has(nameOf(partition))
  }

  forgetPauses(names: Iterable<string>): void {
    for (const name of names) this.#paused.delete(name)
  }
}

/** The connector that lands topics in Delta tables: each task takes its share of the partitions. */
import type { ConfigValue, Settings } from '../config-def.ts'
import type { SinkConnector, SinkPlugin, TopicPartition } from '../plugin.ts'
import { connectVersion } from '../version.ts'
import { deltaSinkConfig, parseDeltaSink, validateDeltaSink } from './delta-sink-config.ts'
import { DeltaSinkTask, type LandingWatch } from './delta-sink-task.ts'
import { moveOffsets, planMoves, type TablesEnvironment } from './move-offsets.ts'

class DeltaSinkConnector implements SinkConnector {
  readonly #environment: TablesEnvironment
  #settings: Settings = new Map()

  constructor(environment: TablesEnvironment) {
    this.#environment = environment
  }

  start(settings: Settings): void {
    parseDeltaSink(settings)
    this.#settings = settings
  }

  taskConfigs(tasksMax: number): Settings[] {
    return new Array(tasksMax).fill(this.#settings)
  }

  validate(settings: Settings, values: readonly ConfigValue[]): readonly ConfigValue[] {
    return validateDeltaSink(settings, values)
  }

  async checkOffsets(
    settings: Settings,
    offsets: readonly (TopicPartition & { readonly offset: number | null })[],
  ): Promise<void> {
    await planMoves(settings, offsets, this.#environment)
  }

  async alterOffsets(
    settings: Settings,
    offsets: readonly (TopicPartition & { readonly offset: number | null })[],
  ): Promise<boolean> {
    await moveOffsets(settings, offsets, this.#environment)
    return true
  }
}

export function deltaSink(environment: TablesEnvironment, watch?: LandingWatch): SinkPlugin {
  return {
    type: 'sink',
    className: 'millrace.connect.delta.DeltaSinkConnector',
    version: connectVersion,
    config: deltaSinkConfig,
    connector: () => new DeltaSinkConnector(environment),
    task: () => new DeltaSinkTask(environment.storageAt, watch),
  }
}

/** The connector that lands topics in Delta tables: each task takes its share of the partitions. */
import type { ConfigValue, Settings } from '../config-def.ts'
import type { SinkConnector, SinkPlugin } from '../plugin.ts'
import { connectVersion } from '../version.ts'
import { deltaSinkConfig, parseDeltaSink, validateDeltaSink } from './delta-sink-config.ts'
import { DeltaSinkTask, type StorageAt } from './delta-sink-task.ts'

class DeltaSinkConnector implements SinkConnector {
  #settings: Settings = new Map()

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
}

export function deltaSink(storageAt: StorageAt): SinkPlugin {
  return {
    type: 'sink',
    className: 'millrace.connect.delta.DeltaSinkConnector',
    version: connectVersion,
    config: deltaSinkConfig,
    connector: () => new DeltaSinkConnector(),
    task: () => new DeltaSinkTask(storageAt),
  }
}

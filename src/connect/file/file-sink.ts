/** Kafka's file sink: each record's value as a line of text at the end of a file. */
import { string } from '../../config/definition.ts'
import type { DiskFile } from '../../environment/disk.ts'
import { ConfigDef, key, type Settings } from '../config-def.ts'
import { ConnectException } from '../failures.ts'
import type { SinkConnector, SinkPlugin, SinkTask, SinkTaskContext } from '../plugin.ts'
import type { SinkRecord } from '../records.ts'
import { textOf } from '../value-text.ts'
import { connectVersion } from '../version.ts'

const config = new ConfigDef({
  file: key(string(null), 'HIGH', 'The file to append to; without one, lines go to the log.'),
})

class FileStreamSinkConnector implements SinkConnector {
  #settings: Settings = new Map()

  start(settings: Settings): void {
    this.#settings = settings
  }

  taskConfigs(tasksMax: number): Settings[] {
    return new Array(tasksMax).fill(this.#settings)
  }

  /** No offsets are kept with the file. */
  alterOffsets(): boolean {
    return true
  }
}

class FileStreamSinkTask implements SinkTask {
  #context: SinkTaskContext | null = null
  #file: DiskFile | null = null

  start(settings: Settings, context: SinkTaskContext): void {
    this.#context = context
    const { file } = config.parse(settings)
    if (file === null || file === '') return
    try {
      this.#file = context.environment.disk.open(file, 'create')
    } catch (cause) {
      const message = `Couldn't find or create file '${file}' for FileStreamSinkTask`
      throw new ConnectException(message, { cause })
    }
  }

  put(records: readonly SinkRecord[]): void {
    if (records.length === 0) return
    const lines = records.map(({ valueSchema, value }) => textOf(valueSchema, value))
    const file = this.#file
    // The end is looked up anew: tasks may share a file, and somebody may have cut it.
    if (file !== null) file.write([Buffer.from(`${lines.join('\n')}\n`)], file.size())
    else for (const line of lines) this.#context?.log.info(line)
  }

  /** What is committed must survive what the log survives. */
  async flush(): Promise<void> {
    await this.#file?.sync()
  }

  stop(): void {
    this.#file?.close()
    this.#file = null
  }
}

export const fileSink: SinkPlugin = {
  type: 'sink',
  className: 'org.apache.kafka.connect.file.FileStreamSinkConnector',
  version: connectVersion,
  config,
  connector: () => new FileStreamSinkConnector(),
  task: () => new FileStreamSinkTask(),
}

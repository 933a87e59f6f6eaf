/** Workers of one distributed group of Connect, each a process of its own that dies and comes back. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { propertiesOf } from '../connect/worker-process.ts'
import { freePort } from '../free-port.ts'
import type { Chance } from './chance.ts'
import { KillableProcess } from './killable-process.ts'

export interface ConnectGroupOptions {
  /** The command line, in a bundle. */
  readonly millrace: string
  readonly bootstrap: string
  /** Where settings and logs are written. */
  readonly directory: string
  readonly count: number
}

const settings = {
  'group.id': 'storm',
  'key.converter': 'org.apache.kafka.connect.storage.StringConverter',
  'value.converter': 'org.apache.kafka.connect.json.JsonConverter',
  ...{ 'config.storage.topic': 'configs', 'config.storage.replication.factor': '1' },
  ...{ 'offset.storage.topic': 'offsets', 'offset.storage.replication.factor': '1' },
  ...{ 'status.storage.topic': 'statuses', 'status.storage.replication.factor': '1' },
  ...{ 'offset.storage.partitions': '1', 'status.storage.partitions': '1' },
  'offset.flush.interval.ms': '5000',
  // Who was killed is missed soon, so that its tasks are not idle through most of the storm.
  ...{ 'session.timeout.ms': '1500', 'heartbeat.interval.ms': '300' },
  ...{ 'scheduled.rebalance.max.delay.ms': '300', 'consumer.session.timeout.ms': '1500' },
  'consumer.heartbeat.interval.ms': '300',
}

export class ConnectGroup {
  readonly #workers: readonly KillableProcess[]
  /** Of their REST interfaces. */
  readonly ports: readonly number[]

  static async make({
    millrace,
    bootstrap,
    directory,
    count,
  }: ConnectGroupOptions): Promise<ConnectGroup> {
    const ports = await Promise.all(Array.from({ length: count }, freePort))
    const workers = ports.map((port, at) => {
      const file = join(directory, `worker-${at}.properties`)
      const listeners = `http://127.0.0.1:${port}`
      writeFileSync(file, propertiesOf({ 'bootstrap.servers': bootstrap, listeners, ...settings }))
      return new KillableProcess({
        name: `worker ${at}`,
        command: [millrace, 'connect-distributed', file],
        logFile: join(directory, `worker-${at}.log`),
        readySign: /Kafka Connect worker started/,
        variables: {},
      })
    })
    return new ConnectGroup(workers, ports)
  }

  private constructor(workers: readonly KillableProcess[], ports: readonly number[]) {
    this.#workers = workers
    this.ports = ports
  }

  get starts(): number {
    return this.#workers.reduce((sum, { starts }) => sum + starts, 0)
  }

  launch(): void {
    for (const worker of this.#workers) worker.launch()
  }

  async ready(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.ready()))
  }

  /** Kills one of them, whose end is answered with how to bring it back. Throws where one has ended by itself. */
  async kill(chance: Chance): Promise<() => void> {
    const gone = this.#workers.findIndex((worker) => !worker.isRunning)
    if (gone >= 0) throw new Error(`worker ${gone} ended by itself`)
    const victim = chance.pick(this.#workers)
    await victim.end('SIGKILL')
    return () => victim.launch()
  }

  async end(): Promise<void> {
    for (const worker of this.#workers) if (worker.isRunning) await worker.end('SIGKILL')
  }
}

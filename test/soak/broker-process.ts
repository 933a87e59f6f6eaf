/** The real broker as a process that dies and comes back on the same port and directory. */
import { KillableProcess } from './killable-process.ts'

export interface BrokerOptions {
  /** The compiled `main.js` or the bundle. */
  readonly program: string
  readonly port: number
  readonly directory: string
  readonly logFile: string
  readonly overrides: readonly string[]
  readonly variables: Readonly<Record<string, string>>
}

export class BrokerProcess extends KillableProcess {
  constructor({ program, port, directory, logFile, overrides, variables }: BrokerOptions) {
    const settings = [
      `listeners=PLAINTEXT://127.0.0.1:${port}`,
      `log.dirs=${directory}`,
      'http.listeners=',
      'auto.create.topics.enable=false',
      'group.initial.rebalance.delay.ms=100',
      // Members that were killed are noticed between two kills of the broker.
      'group.min.session.timeout.ms=1000',
      ...overrides,
    ]
    super({
      name: 'the broker',
      command: [program, ...settings.flatMap((setting) => ['--override', setting])],
      readySign: /is ready on /,
      logFile,
      variables,
    })
  }
}

/** The way from a command line to a cluster: addresses, client settings, and one `Cluster` for the command. */
import { parseAddress, splitAddresses } from '../client/addresses.ts'
import { Cluster } from '../client/cluster.ts'
import { readSecurity, type Security } from '../client/security.ts'
import { ConfigError } from '../config/definition.ts'
import { parseProperties } from '../config/properties.ts'
import { namedText } from '../environment/disk.ts'
import type { Environment } from '../environment/environment.ts'
import type { Endpoint } from '../environment/network.ts'
import { NodeDisk } from '../environment/node/disk.ts'
import { stayAlive } from '../environment/node/program.ts'
import { createCommandEnvironment } from './environment.ts'
import { UsageError } from './failure.ts'

const defaultBootstrap = 'localhost:9092'

export interface SessionOptions {
  readonly bootstrap?: string | undefined
  /** A properties file. */
  readonly commandConfig?: string | undefined
  readonly verbose: boolean
}

export class Session {
  readonly environment: Environment
  readonly bootstrap: readonly Endpoint[]
  readonly #settings: ReadonlyMap<string, string>
  readonly #security: Security
  #cluster: Cluster | null = null
  #letGo: () => void = () => undefined

  /** Throws UsageError for addresses or settings that cannot be used. */
  constructor(options: SessionOptions) {
    this.environment = createCommandEnvironment({ verbose: options.verbose })
    this.#settings = readSettings(options.commandConfig)
    this.#security = securityOf(this.#settings)
    const text =
      options.bootstrap ??
      this.#settings.get('bootstrap.servers') ??
      process.env['MILLRACE_BOOTSTRAP'] ??
      defaultBootstrap
    this.bootstrap = parseAddresses(text)
  }

  /** A setting of --command-config. */
  setting(name: string): string | undefined {
    return this.#settings.get(name)
  }

  get cluster(): Cluster {
    if (this.#cluster !== null) return this.#cluster
    this.#cluster = new Cluster(this.environment, {
      bootstrap: this.bootstrap,
      clientId: this.setting('client.id') ?? 'millrace-cli',
      security: this.#security,
      connectTimeoutMs: this.#milliseconds('socket.connection.setup.timeout.ms', 5_000),
      requestTimeoutMs: this.#milliseconds('request.timeout.ms', 30_000),
      operationTimeoutMs: this.#milliseconds('default.api.timeout.ms', 30_000),
      bootstrapTimeoutMs: 0,
    })
    this.#letGo = stayAlive()
    return this.#cluster
  }

  close(): void {
    this.#cluster?.close()
    this.#letGo()
  }

  #milliseconds(name: string, otherwise: number): number {
    const text = this.setting(name)
    if (text === undefined) return otherwise
    const number = Number(text)
    if (!Number.isInteger(number) || number <= 0)
      throw new UsageError(`${name} needs milliseconds, but is "${text}"`)
    return number
  }
}

/** As `parseAddress` reads each. Throws UsageError. */
export function parseAddresses(text: string): Endpoint[] {
  const addresses = splitAddresses(text)
  if (addresses.length === 0)
    throw new UsageError('no bootstrap server was given', 'Write --bootstrap-server HOST:PORT.')
  return addresses.map((address) => {
    const endpoint = parseAddress(address)
    if (endpoint === null)
      throw new UsageError(
        `"${address}" is no address of a broker`,
        'Write HOST:PORT, several with commas between them.',
      )
    return endpoint
  })
}

function readSettings(path: string | undefined): Map<string, string> {
  if (path === undefined) return new Map()
  let text: string
  try {
    text = namedText(new NodeDisk(), path)
  } catch (error) {
    throw new UsageError(`--command-config: ${(error as Error).message}`)
  }
  return parseProperties(text)
}

function securityOf(settings: ReadonlyMap<string, string>): Security {
  try {
    return readSecurity(settings, new NodeDisk())
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    throw new UsageError(`--command-config: ${error.message}`)
  }
}

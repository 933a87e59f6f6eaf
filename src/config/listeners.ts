/**
 * `listeners`, `advertised.listeners` and `listener.security.protocol.map`: where the broker listens, and
 * what it tells its clients. Checked as Kafka checks them.
 */
import type { BrokerConfig } from './broker-config.ts'
import { ConfigError } from './definition.ts'

export interface ListenerAddress {
  /** The listener's name, such as PLAINTEXT or INTERNAL. */
  readonly name: string
  /** Empty: every interface. */
  readonly host: string
  readonly port: number
}

export interface Listeners {
  /** Where clients connect. */
  readonly client: readonly ListenerAddress[]
  /** What clients of a listener are told; a listener that is missing tells each client the address it came by. */
  readonly advertised: ReadonlyMap<string, ListenerAddress>
}

/**
 * Reads and checks the addresses. Controller listeners are left out: a quorum of one talks to itself
 * without a socket. Throws ConfigError.
 */
export function readListeners(config: BrokerConfig): Listeners {
  const controllerNames = config.get('controller.listener.names') ?? []
  const protocols = protocolMap(config.get('listener.security.protocol.map'))
  const all = config.get('listeners').map((text) => parseListener('listeners', text))
  const client = all.filter((listener) => !controllerNames.includes(listener.name))
  refuseDoubles(client)
  if (client.length === 0) {
    throw new ConfigError('listeners', 'listeners names no address for clients')
  }
  for (const { name } of client) {
    const protocol = protocols.get(name)
    if (protocol === undefined) {
      throw new ConfigError(
        'listener.security.protocol.map',
        `No security protocol is given for listener ${name} in listener.security.protocol.map`,
      )
    }
    if (protocol !== 'PLAINTEXT') {
      throw new ConfigError(
        'listeners',
        `Listener ${name} asks for ${protocol}, which this version does not offer; use PLAINTEXT`,
      )
    }
  }
  checkInterBroker(config, client, protocols)
  return { client, advertised: readAdvertised(config, client, controllerNames) }
}

/** No other broker uses it here, but a name that means no listener was meant otherwise. */
function checkInterBroker(
  config: BrokerConfig,
  client: readonly ListenerAddress[],
  protocols: ReadonlyMap<string, string>,
): void {
  const setting = 'inter.broker.listener.name'
  const name = config.text(setting)?.trim().toUpperCase()
  if (name === undefined) return
  if (!protocols.has(name)) {
    const where = 'listener.security.protocol.map'
    const message = `Listener with name ${name} defined in ${setting} not found in ${where}.`
    throw new ConfigError(setting, message)
  }
  const told = config.get('advertised.listeners')?.map((text) => {
    return parseListener('advertised.listeners', text).name
  })
  const names = client.flatMap((one) => (told?.includes(one.name) === false ? [] : one.name))
  if (names.includes(name)) return
  throw new ConfigError(
    setting,
    `${setting} must be a listener name defined in advertised.listeners. ` +
      `The valid options based on currently configured listeners are ${names.join(',')}`,
  )
}

function readAdvertised(
  config: BrokerConfig,
  client: readonly ListenerAddress[],
  controllerNames: readonly string[],
): ReadonlyMap<string, ListenerAddress> {
  const advertised = new Map<string, ListenerAddress>()
  for (const text of config.get('advertised.listeners') ?? []) {
    const address = parseListener('advertised.listeners', text)
    if (controllerNames.includes(address.name)) continue
    if (!client.some((listener) => listener.name === address.name)) {
      throw new ConfigError(
        'advertised.listeners',
        `advertised.listeners names ${address.name}, which is not among listeners`,
      )
    }
    if (address.host === '0.0.0.0' || address.host === '::') {
      throw new ConfigError(
        'advertised.listeners',
        `advertised.listeners cannot be ${address.host}: clients cannot connect to it`,
      )
    }
    // An address without a host is as good as none: each client is told the one it came by.
    if (address.host !== '') advertised.set(address.name, address)
  }
  return advertised
}

/** `NAME://host:port`, where the host may be empty, a name, an IPv4 address or `[IPv6]`. */
export function parseListener(setting: string, text: string): ListenerAddress {
  const match = /^([A-Za-z0-9_.-]+):\/\/(\[[0-9a-fA-F:.%]+\]|[^:/[\]]*):(\d{1,5})$/.exec(
    text.trim(),
  )
  const port = Number(match?.[3])
  if (match === null || port > 65535) {
    throw new ConfigError(
      setting,
      `Invalid value ${text} for configuration ${setting}: expected NAME://host:port, such as PLAINTEXT://:9092`,
    )
  }
  const host = (match[2] ?? '').replace(/^\[|\]$/g, '')
  return { name: (match[1] ?? '').toUpperCase(), host, port }
}

function protocolMap(text: string): Map<string, string> {
  const protocols = new Map<string, string>()
  for (const pair of text.split(',')) {
    const [name, protocol] = pair.split(':').map((part) => part.trim().toUpperCase())
    if (name && protocol) protocols.set(name, protocol)
  }
  // Controller listeners need an entry in Kafka too, but ours is not opened, so none is asked for.
  return protocols
}

function refuseDoubles(listeners: readonly ListenerAddress[]): void {
  const names = new Set<string>()
  const ports = new Set<string>()
  for (const { name, host, port } of listeners) {
    if (names.has(name)) {
      throw new ConfigError(
        'listeners',
        `Each listener must have a different name, ${name} is twice`,
      )
    }
    const address = `${host}:${port}`
    if (port !== 0 && ports.has(address)) {
      throw new ConfigError(
        'listeners',
        `Each listener must have a different port, ${port} is twice`,
      )
    }
    names.add(name)
    ports.add(address)
  }
}

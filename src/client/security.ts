/**
 * How a client shows who it is, and sees to whom it speaks: settings of TLS and SASL by Kafka's names. Certificates
 * and keys are PEM, in files or in the settings themselves (KIP-651); what is named and cannot be used is
 * refused, so that nobody speaks in the clear by mistake.
 */
import {
  ConfigError,
  type Definition,
  list,
  oneOf,
  oneOfInAnyCase,
  parseSetting,
  password,
  string,
  type ValueOf,
} from '../config/definition.ts'
import { type Disk, namedText } from '../environment/disk.ts'
import type { ClientTls, TlsVersion } from '../environment/network.ts'
import { parseJaas } from './jaas.ts'
import { isSaslMechanism, type Sasl, saslMechanisms } from './sasl.ts'

export interface Security {
  /** Null: not encrypted. */
  readonly tls: ClientTls | null
  /** Null: whoever connects is nobody, or whom its certificate names. */
  readonly sasl: Sasl | null
}

export const plaintext: Security = { tls: null, sasl: null }

const protocols = ['PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL']
const stores = ['JKS', 'PKCS12', 'PEM']
const versions: readonly TlsVersion[] = ['TLSv1.2', 'TLSv1.3']

export const securityConfigs = {
  'security.protocol': string('PLAINTEXT', oneOfInAnyCase(...protocols)),
  'sasl.mechanism': string('GSSAPI'),
  'sasl.jaas.config': password(),
  'ssl.truststore.type': string('JKS', oneOf(...stores)),
  'ssl.truststore.location': string(null),
  'ssl.truststore.password': password(),
  'ssl.truststore.certificates': password(),
  'ssl.keystore.type': string('JKS', oneOf(...stores)),
  'ssl.keystore.location': string(null),
  'ssl.keystore.password': password(),
  'ssl.keystore.certificate.chain': password(),
  'ssl.keystore.key': password(),
  'ssl.key.password': password(),
  'ssl.enabled.protocols': list(['TLSv1.2', 'TLSv1.3']),
  'ssl.endpoint.identification.algorithm': string('https'),
} satisfies Readonly<Record<string, Definition>>

type Name = keyof typeof securityConfigs
type Value = <N extends Name>(name: N) => ValueOf<(typeof securityConfigs)[N]>
type Files = Pick<Disk, 'readFile'>

/** Reads the files that are named. Throws ConfigError. */
export function readSecurity(settings: ReadonlyMap<string, string>, files: Files): Security {
  const value: Value = (name) => {
    const definition = securityConfigs[name] as Definition
    const text = settings.get(name) ?? definition.defaultText
    return (text === null ? null : parseSetting(name, definition, text)) as never
  }
  const protocol = value('security.protocol').toUpperCase()
  if (protocol === 'PLAINTEXT') return plaintext
  return {
    tls: protocol.endsWith('SSL') ? tlsOf(value, files) : null,
    sasl: protocol.startsWith('SASL') ? saslOf(value) : null,
  }
}

function saslOf(value: Value): Sasl {
  const mechanism = value('sasl.mechanism')
  if (!isSaslMechanism(mechanism))
    throw new ConfigError(
      'sasl.mechanism',
      `sasl.mechanism=${mechanism} is not offered here: it is one of ${saslMechanisms.join(', ')}`,
    )
  const text = value('sasl.jaas.config')
  if (text === null)
    throw new ConfigError(
      'sasl.jaas.config',
      `sasl.jaas.config is missing: with ${mechanism} it says username and password`,
    )
  const options = parseJaas(text, mechanism)
  const [username, secret] = ['username', 'password'].map((name) => options.get(name))
  if (username === undefined || secret === undefined)
    throw new ConfigError('sasl.jaas.config', 'sasl.jaas.config needs username and password')
  return { mechanism, username, password: secret, isToken: options.get('tokenauth') === 'true' }
}

function tlsOf(value: Value, files: Files): ClientTls {
  const [chain, key] = identityTexts(value, files)
  const enabled = versions.filter((version) => value('ssl.enabled.protocols').includes(version))
  const [versionMin] = enabled
  if (versionMin === undefined)
    throw new ConfigError(
      'ssl.enabled.protocols',
      `ssl.enabled.protocols names none of ${versions.join(', ')}`,
    )
  const algorithm = value('ssl.endpoint.identification.algorithm').toLowerCase()
  if (algorithm !== '' && algorithm !== 'https')
    throw new ConfigError(
      'ssl.endpoint.identification.algorithm',
      `ssl.endpoint.identification.algorithm=${algorithm} is unknown: it is https, or empty`,
    )
  return {
    authorities: authoritiesOf(value, files),
    identity: chain === null || key === null ? null : { chain, key },
    keyPassword: value('ssl.key.password'),
    checksHost: algorithm === 'https',
    versionMin,
    versionMax: enabled.at(-1) ?? versionMin,
  }
}

function authoritiesOf(value: Value, files: Files): string | null {
  const within = value('ssl.truststore.certificates')
  const location = value('ssl.truststore.location')
  if (within === null && location === null) return null
  requirePem('ssl.truststore.type', value('ssl.truststore.type'))
  if (within !== null && location !== null) throw givenTwice('ssl.truststore.certificates')
  return certificate('ssl.truststore', within ?? textAt('ssl.truststore.location', location, files))
}

/** The certificates and the key that this side shows, both or neither. */
function identityTexts(value: Value, files: Files): readonly [string | null, string | null] {
  const chain = value('ssl.keystore.certificate.chain')
  const key = value('ssl.keystore.key')
  const location = value('ssl.keystore.location')
  if (chain === null && key === null && location === null) return [null, null]
  requirePem('ssl.keystore.type', value('ssl.keystore.type'))
  if (location !== null) {
    if (chain !== null || key !== null) throw givenTwice('ssl.keystore.key')
    const text = textAt('ssl.keystore.location', location, files)
    return [certificate('ssl.keystore', text), privateKey(text)]
  }
  if (chain === null || key === null)
    throw new ConfigError(
      'ssl.keystore.key',
      'ssl.keystore.certificate.chain and ssl.keystore.key are given both, or neither',
    )
  return [certificate('ssl.keystore', chain), privateKey(key)]
}

function requirePem(name: string, type: string): void {
  if (type === 'PEM') return
  throw new ConfigError(
    name,
    `${name}=${type} cannot be read here: write ${name}=PEM, and give certificates and keys as PEM`,
  )
}

function givenTwice(name: string): ConfigError {
  const [store] = name.split(/\.(?=[a-z.]+$)/)
  return new ConfigError(name, `${store}.location and ${name} are not given together`)
}

function textAt(name: string, location: string | null, files: Files): string {
  try {
    return namedText(files, location ?? '')
  } catch (error) {
    throw new ConfigError(name, `${name}: ${(error as Error).message}`)
  }
}

function certificate(store: string, text: string): string {
  if (text.includes('-----BEGIN CERTIFICATE-----')) return text
  throw new ConfigError(store, `There is no certificate in PEM in ${store}`)
}

function privateKey(text: string): string {
  if (/-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----/.test(text)) return text
  throw new ConfigError('ssl.keystore.key', 'There is no private key in PEM in ssl.keystore')
}

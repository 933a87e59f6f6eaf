/**
 * `sasl.jaas.config`: one login module with its options, as Java writes it. Only what the options say is of
 * use here; the module must be the one that belongs to the mechanism.
 *
 *     org.apache.kafka.common.security.plain.PlainLoginModule required username="alice" password="secret";
 */
import { ConfigError } from '../config/definition.ts'
import type { SaslMechanism } from './sasl.ts'

const name = 'sasl.jaas.config'
const modules: Readonly<Record<SaslMechanism, string>> = {
  PLAIN: 'org.apache.kafka.common.security.plain.PlainLoginModule',
  'SCRAM-SHA-256': 'org.apache.kafka.common.security.scram.ScramLoginModule',
  'SCRAM-SHA-512': 'org.apache.kafka.common.security.scram.ScramLoginModule',
}
const flags = ['required', 'requisite', 'sufficient', 'optional']

/** A quoted text with its escapes, a sign, or a word. */
const token = /\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([=;])|([^\s=;"']+))/gy

/** The options by their names. Throws ConfigError, whose message tells no secret. */
export function parseJaas(text: string, mechanism: SaslMechanism): Map<string, string> {
  const tokens = tokensOf(text.trim())
  const [module, flag, ...rest] = tokens
  if (module !== modules[mechanism])
    throw new ConfigError(name, `With ${mechanism}, ${name} begins with ${modules[mechanism]}`)
  if (flag === undefined || !flags.includes(flag.toLowerCase()))
    throw new ConfigError(name, `Behind its module, ${name} says one of ${flags.join(', ')}`)
  if (rest.pop() !== ';') throw new ConfigError(name, `${name} ends with a semicolon`)
  const options = new Map<string, string>()
  while (rest.length > 0) {
    const [option, equals, value] = rest.splice(0, 3)
    if (equals !== '=' || option === undefined || value === undefined)
      throw new ConfigError(name, `The options in ${name} have the form name="value"`)
    options.set(option, value)
  }
  return options
}

function tokensOf(text: string): string[] {
  const tokens: string[] = []
  token.lastIndex = 0
  while (token.lastIndex < text.length) {
    const found = token.exec(text)
    if (found === null) throw new ConfigError(name, `A quotation in ${name} has no end`)
    const [, double, single, sign, word] = found
    const quoted = double ?? single
    tokens.push(quoted === undefined ? (sign ?? word ?? '') : quoted.replace(/\\(.)/gs, '$1'))
  }
  return tokens
}

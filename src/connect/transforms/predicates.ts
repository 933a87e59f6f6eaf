/** Which records a transformation is for. */
import { matching, string } from '../../config/definition.ts'
import { ConfigDef, type ConfigKeys, type ParsedConfig, required } from '../config-def.ts'
import type { PredicatePlugin } from '../plugin.ts'
import type { ConnectRecord } from '../records.ts'
import { connectVersion } from '../version.ts'
import { transformPrefix } from './part.ts'
import { wholePattern } from './routes-and-headers.ts'

function predicate<Keys extends ConfigKeys>(
  name: string,
  keys: Keys,
  create: (config: ParsedConfig<Keys>) => (record: ConnectRecord) => boolean,
): PredicatePlugin {
  const config = new ConfigDef(keys)
  return {
    type: 'predicate',
    className: `${transformPrefix}.predicates.${name}`,
    version: connectVersion,
    config: config as ConfigDef,
    create: (settings) => create(config.parse(settings)),
  }
}

export const predicates: readonly PredicatePlugin[] = [
  predicate(
    'HasHeaderKey',
    {
      name: required(string(null, matching(/./, 'a non-empty string')), 'MEDIUM', 'The header.'),
    },
    ({ name }) =>
      ({ headers }) =>
        headers.some(({ key }) => key === name),
  ),
  predicate(
    'RecordIsTombstone',
    {},
    () =>
      ({ value }) =>
        value === null || value === undefined,
  ),
  predicate(
    'TopicNameMatches',
    {
      pattern: required(
        string(null, matching(/./, 'a non-empty string')),
        'MEDIUM',
        'A regular expression that whole names of topics match.',
      ),
    },
    ({ pattern: text }) => {
      const pattern = wholePattern('pattern', text)
      return ({ topic }) => pattern.test(topic)
    },
  ),
]

/**
 * What each converter may be told, as `/connector-plugins/…/config` shows it: written behind `key.converter.`,
 * `value.converter.` or `header.converter.`. The converters themselves read and check their options.
 */
import { boolean, int, list, string } from '../../config/definition.ts'
import { ConfigDef, type ConfigKey, type ConfigKeys, key, required } from '../config-def.ts'

const type = {
  'converter.type': required(
    string(null),
    'LOW',
    'Whether it converts keys, values or headers; set by the runtime.',
  ),
}

function shown(group: string | null, order: number, displayName: string): Partial<ConfigKey> {
  return { group, order, displayName, width: 'MEDIUM' }
}

const json = {
  ...type,
  'schemas.enable': key(
    boolean(true),
    'HIGH',
    'Whether each key or value is an envelope of its schema and its payload, or the payload alone.',
    shown('Schemas', 0, 'Enable Schemas'),
  ),
  'schemas.cache.size': key(
    int(1000),
    'HIGH',
    'How many schemas are kept in their read form.',
    shown('Schemas', 1, 'Schema Cache Size'),
  ),
  'schema.content': key(
    string(null),
    'HIGH',
    'A schema, in JSON, of all that is read; then records have none of their own. For sinks, where schemas.enable is true.',
    shown('Schemas', 2, 'Schema Content'),
  ),
  'decimal.format': key(
    string('BASE64'),
    'LOW',
    'How decimals are written: the bytes of their digits in BASE64, or as numbers (NUMERIC).',
    shown('Serialization', 0, 'Decimal Format'),
  ),
  'replace.null.with.default': key(
    boolean(true),
    'LOW',
    'Whether a null stands for the default of its field, where there is one.',
    shown('Serialization', 1, 'Replace null with default'),
  ),
}

const text = {
  ...type,
  'converter.encoding': key(
    string('UTF-8'),
    'HIGH',
    'The encoding of texts, as Java names it.',
    shown(null, -1, 'Encoding'),
  ),
}

const avro = {
  ...type,
  'schema.registry.url': required(
    list(null),
    'HIGH',
    'Where the schema registry is; several addresses of one are tried in turn.',
  ),
  'basic.auth.user.info': key(string(null), 'MEDIUM', 'USER:PASSWORD for the registry.'),
  'auto.register.schemas': key(
    boolean(true),
    'MEDIUM',
    'Whether a schema that the registry does not have yet is registered, or refused.',
  ),
  'normalize.schemas': key(
    boolean(false),
    'MEDIUM',
    'Whether schemas are compared and registered in their normal form.',
  ),
  'key.subject.name.strategy': key(
    string('TopicNameStrategy'),
    'MEDIUM',
    'The subject of a key’s schema: TopicNameStrategy, RecordNameStrategy or TopicRecordNameStrategy.',
  ),
  'value.subject.name.strategy': key(
    string('TopicNameStrategy'),
    'MEDIUM',
    'The subject of a value’s schema, likewise.',
  ),
  'enhanced.avro.schema.support': key(
    boolean(false),
    'MEDIUM',
    'Whether names of packages and symbols of enums outlive the way through Connect.',
  ),
  'connect.meta.data': key(
    boolean(true),
    'LOW',
    'Whether schemas that are written say what Connect knows beyond Avro.',
  ),
  'flatten.singleton.unions': key(
    boolean(true),
    'LOW',
    'Whether a union of one type is that type.',
  ),
}

const known: ReadonlyMap<string, ConfigKeys> = new Map<string, ConfigKeys>([
  ['org.apache.kafka.connect.json.JsonConverter', json],
  ['org.apache.kafka.connect.storage.StringConverter', text],
  ['org.apache.kafka.connect.storage.SimpleHeaderConverter', {}],
  ['io.confluent.connect.avro.AvroConverter', avro],
])

/** By its whole name; of a converter that takes no options it is `converter.type` alone. */
export function converterConfig(className: string): ConfigDef {
  return new ConfigDef(known.get(className) ?? type)
}

/** Transformations of what stands around the data: topics, headers, and whether there is a record at all. */
import { ConfigError, list, oneOf, string } from '../../config/definition.ts'
import { key, required } from '../config-def.ts'
import { valueOfText } from '../converters/header-text.ts'
import { Struct } from '../data.ts'
import { DataException } from '../failures.ts'
import { javaPattern, javaReplacement } from '../java-pattern.ts'
import { Instant } from '../logical.ts'
import { DateFormat } from './date-format.ts'
import {
  names,
  ofParts,
  once,
  replaceNull,
  requireMap,
  requireStruct,
  rowsOf,
  transformation,
  valueIn,
  withFields,
} from './part.ts'

export const filter = transformation('Filter', {}, () => () => null)

export const dropHeaders = transformation(
  'DropHeaders',
  { headers: required(names(), 'HIGH', 'The names of the headers to remove.') },
  ({ headers: dropped }) => {
    const gone = new Set(dropped)
    return (record) => ({
      ...record,
      headers: record.headers.filter(({ key: name }) => !gone.has(name)),
    })
  },
)

export const insertHeader = transformation(
  'InsertHeader',
  {
    header: required(string(null), 'HIGH', 'The name of the header.'),
    'value.literal': required(string(null), 'HIGH', 'Its value, whose type is found by looking.'),
  },
  ({ header, 'value.literal': literal }) => {
    const inserted = { key: header, ...valueOfText(literal) }
    return (record) => ({ ...record, headers: [...record.headers, inserted] })
  },
)

export const headerFrom = ofParts(
  'HeaderFrom',
  {
    fields: required(list([]), 'HIGH', 'The fields that become headers.'),
    headers: required(list([]), 'HIGH', 'The names of the headers, in the order of the fields.'),
    operation: required(
      string(null, oneOf('move', 'copy')),
      'HIGH',
      'Whether the fields are removed (move) or stay (copy).',
    ),
    'replace.null.with.default': replaceNull,
  },
  ({ fields, headers, operation, 'replace.null.with.default': withDefault }) => {
    if (fields.length === 0) throw new ConfigError('fields', 'fields must name a field')
    if (headers.length !== fields.length)
      throw new ConfigError(
        'headers',
        "'fields' config must have the same number of elements as 'headers' config.",
      )
    const isMoved = operation === 'move'
    const without = once((schema) =>
      withFields(schema, rowsOf(schema.fields.filter(({ name }) => !fields.includes(name)))),
    )
    return ({ schema, value }, record) => {
      if (schema === null) {
        const map = requireMap(value, `header ${operation}`)
        const added = fields.map((name, at) => ({
          key: headers[at]!,
          schema: null,
          value: map.get(name) ?? null,
        }))
        const kept = [...map].filter(([name]) => !isMoved || !fields.includes(name))
        return { schema, value: new Map(kept), headers: [...record.headers, ...added] }
      }
      const struct = requireStruct(value, `header ${operation}`)
      const added = fields.map((name, at) => {
        const field = schema.field(name)
        if (field === undefined) throw new DataException(`${name} is not a valid field name`)
        return {
          key: headers[at]!,
          schema: field.schema,
          value: valueIn(struct, name, withDefault),
        }
      })
      const all = [...record.headers, ...added]
      if (!isMoved) return { schema, value, headers: all }
      const rest = new Struct(without(schema))
      for (const { name } of rest.schema.fields) rest.put(name, valueIn(struct, name, withDefault))
      return { schema: rest.schema, value: rest, headers: all }
    }
  },
)

export const regexRouter = transformation(
  'RegexRouter',
  {
    regex: required(string(null), 'HIGH', 'A regular expression that a whole topic name matches.'),
    replacement: required(
      string(null),
      'HIGH',
      'The new name; $1 is what the first group matched.',
    ),
  },
  ({ regex, replacement }) => {
    const pattern = wholePattern('regex', regex)
    const target = replacementOf(replacement, pattern)
    return (record) => {
      const match = pattern.exec(record.topic)
      return match === null ? record : { ...record, topic: target(match) }
    }
  },
)

/** Throws ConfigError where it is no pattern. */
export function wholePattern(setting: string, text: string): RegExp {
  try {
    return javaPattern(text)
  } catch (cause) {
    throw invalid(setting, text, `Invalid regex: ${(cause as Error).message}`)
  }
}

/** Throws ConfigError where it names what the pattern has not. */
function replacementOf(text: string, pattern: RegExp) {
  try {
    return javaReplacement(text, pattern)
  } catch (cause) {
    throw invalid('replacement', text, (cause as Error).message)
  }
}

function invalid(setting: string, text: string, why: string): ConfigError {
  return new ConfigError(setting, `Invalid value ${text} for configuration ${setting}: ${why}`)
}

export const timestampRouter = transformation(
  'TimestampRouter',
  {
    'topic.format': key(
      string('${topic}-${timestamp}'),
      'HIGH',
      'The new name, with ${topic} and ${timestamp} in it.',
    ),
    'timestamp.format': key(string('yyyyMMdd'), 'HIGH', 'A pattern of SimpleDateFormat.'),
  },
  ({ 'topic.format': topicFormat, 'timestamp.format': pattern }) => {
    const format = dateFormat('timestamp.format', pattern)
    return (record) => {
      if (record.timestamp === null)
        throw new DataException(`Timestamp missing on record of topic ${record.topic}`)
      const time = format.format(new Instant(record.timestamp))
      const topic = topicFormat
        .replaceAll('${topic}', () => record.topic)
        .replaceAll('${timestamp}', () => time)
      return { ...record, topic }
    }
  },
)

function dateFormat(setting: string, pattern: string): DateFormat {
  try {
    return new DateFormat(pattern)
  } catch (cause) {
    throw invalid(setting, pattern, (cause as Error).message)
  }
}

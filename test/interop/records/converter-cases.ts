/** Converters of keys, values and headers, both ways. */
import { arrayOf, mapOf, primitive, type SchemaAndValue } from '../../../src/connect/data.ts'
import { Instant } from '../../../src/connect/logical.ts'
import type { Case, Config } from './cases.ts'
import { everything, int32, text } from './data-pool.ts'

const prefix = 'org.apache.kafka.connect.'
const json = `${prefix}json.JsonConverter`
const primitives = ['Boolean', 'Short', 'Integer', 'Long', 'Float', 'Double', 'ByteArray'].map(
  (name) => `${prefix}converters.${name}Converter`,
)
const string = `${prefix}storage.StringConverter`
const simple = `${prefix}storage.SimpleHeaderConverter`

const jsonConfigs: readonly Config[] = [
  ...['true', 'false'].flatMap((schemas) =>
    ['BASE64', 'NUMERIC', 'numeric'].flatMap((format) =>
      ['true', 'false'].map((replace) => ({
        'schemas.enable': schemas,
        'decimal.format': format,
        'replace.null.with.default': replace,
      })),
    ),
  ),
]

/** Of schemas that the text of a payload is read with. */
const schemaTexts = [
  ...['boolean', 'int8', 'int16', 'int32', 'int64', 'float', 'double', 'bytes', 'string'].flatMap(
    (type) => [`{"type":"${type}"}`, `{"type":"${type}","optional":true}`],
  ),
  '{"type":"array","items":{"type":"int32"}}',
  '{"type":"map","keys":{"type":"string"},"values":{"type":"int32"}}',
  '{"type":"map","keys":{"type":"int32"},"values":{"type":"int32"}}',
  '{"type":"struct","fields":[{"field":"a","type":"string"},{"field":"b","type":"int32","optional":true}]}',
  '{"type":"struct","fields":[{"field":"a","type":"string","default":"d"},{"field":"c","type":"struct","optional":true,"fields":[{"field":"d","type":"int8"}]}],"name":"n","version":2,"doc":"what","parameters":{"p":"q"}}',
  '{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2"}}',
  '{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","version":1}',
  '{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"x"}}',
  '{"type":"int32","name":"org.apache.kafka.connect.data.Date","version":1}',
  '{"type":"int32","name":"org.apache.kafka.connect.data.Time"}',
  '{"type":"int64","name":"org.apache.kafka.connect.data.Timestamp","optional":true}',
  '{"type":"string","name":"org.apache.kafka.connect.data.Timestamp"}',
  '{"type":"boolean","default":true}',
  '{"type":"int32","default":"x"}',
  '{"type":"int8","default":300}',
  '{"type":"string","optional":true,"default":"d"}',
  '{"type":"string","optional":"true"}',
  '{"type":"string","version":"1"}',
  '{"type":"string","version":1.5}',
  '{"type":"string","name":5}',
  '{"type":"string","doc":5}',
  '{"type":"string","parameters":{"a":1}}',
  '{"type":"string","parameters":[]}',
  '{"type":"string","parameters":{}}',
  '{"type":"string","other":{}}',
  '{"type":"int7"}',
  '{"type":5}',
  '{"type":"INT8"}',
  '{"type":"array"}',
  '{"type":"array","items":null}',
  '{"type":"map"}',
  '{"type":"map","keys":{"type":"string"}}',
  '{"type":"struct"}',
  '{"type":"struct","fields":{}}',
  '{"type":"struct","fields":[]}',
  '{"type":"struct","fields":[{"type":"string"}]}',
  '{"type":"struct","fields":[{"field":"a"}]}',
  '{"type":"struct","fields":[{"field":"a","type":"string"},{"field":"a","type":"string"}]}',
  '{"type":"array","items":{"type":"array","items":{"type":"string","optional":true}}}',
  '{"type":"array","items":{"type":"int32"},"default":[1,2]}',
  ...['null', '{}', '[]', '5', '"string"'],
]
const payloads = [
  ...[
    'null',
    'true',
    'false',
    '0',
    '-0',
    '12',
    '127',
    '128',
    '-129',
    '70000',
    '2147483648',
    '9223372036854775807',
  ],
  ...['12.24', '-1.9', '1.0', '1.5e3', '1e400', '-0.0', '1.560', '0.1', '3.4e39', '1e-50'],
  ...[
    '"text"',
    '""',
    '"12"',
    '"NaN"',
    '"dGVzdA=="',
    '"AJw="',
    '"&&"',
    '"dGVzdA"',
    '"é\\u00e9\\n"',
    '"\\ud83d\\ude00"',
  ],
  ...[
    '[]',
    '[1,2]',
    '[1,"2",3]',
    '[null]',
    '[[1,12],[2,15]]',
    '[[1]]',
    '[[1,2,3]]',
    '[[]]',
    '[["a"],[null]]',
  ],
  ...[
    '{}',
    '{"a":1}',
    '{"a":"x"}',
    '{"a":"x","b":null}',
    '{"b":1}',
    '{"a":null,"b":5}',
    '{"a":"x","z":1}',
  ],
  ...['{"key1":12,"key2":15}', '{"c":{"d":5}}', '{"a":"x","c":{}}', '{"a":1,"a":2}'],
]
const jsonTexts = [
  ...schemaTexts.flatMap((schema) =>
    payloads.map((payload) => `{"schema":${schema},"payload":${payload}}`),
  ),
  ...[
    '{"payload":1,"schema":null}',
    '{"schema":null,"payload":1,"more":2}',
    '{"schema":null}',
    '{"payload":1}',
  ],
  ...['{"schema":{"type":"int8"}}', '{"schema":null,"payload":null}'],
]
/** What is JSON without an envelope, or none. */
const plainTexts = [
  ...payloads,
  ...[
    '',
    ' ',
    ' 1 ',
    '01',
    '007',
    '-01',
    '+1',
    '1.',
    '.5',
    '1e',
    '1E5',
    '1 2',
    '{"a":1}x',
    '[1,]',
    '{"a":1,}',
    '{a:1}',
    "{'a':1}",
  ],
  ...[
    'nul',
    'NaN',
    'Infinity',
    '-Infinity',
    'True',
    '"a',
    '"a\tb"',
    '"\\x"',
    '"\\u12"',
    '//c\n1',
    '/*c*/1',
    '#c\n1',
    '\u00a01',
    '\ufeff1',
  ],
  ...[
    '9223372036854775808',
    '123456789012345678901234567890',
    '1.123456789012345678901234567890',
    '4.9e-324',
    '1e-400',
    '0.30000000000000004',
  ],
  ...[
    '[1.0,2.5e10,100000000.0]',
    '{"a":{"b":[{"c":null}]}}',
    '{"":1}',
    '"\u2028"',
    '[[[[[[[[1]]]]]]]]',
    '{"a":9223372036854775808}',
  ],
]

const read = (className: string, config: Config, bytes: Buffer | null, isKey = false): Case => ({
  ...{ kind: 'read', className, config, bytes, isKey },
})
const write = (className: string, config: Config, datum: SchemaAndValue, isKey = false): Case => ({
  ...{ kind: 'write', className, config, isKey, ...datum },
})

const enveloped = { 'schemas.enable': 'true' }
const plain = { 'schemas.enable': 'false' }
const content = {
  'schema.content':
    '{"type":"struct","fields":[{"field":"a","type":"string"},{"field":"b","type":"int32","optional":true}]}',
}
const badConfigs: readonly Config[] = [
  ...[{ 'schemas.enable': 'yes' }, { 'decimal.format': 'TEXT' }, { 'schemas.cache.size': 'x' }],
  ...[{ 'schema.content': '{"type":"int7"}' }, { 'schema.content': '{' }, { 'schema.content': '' }],
  ...[
    { 'replace.null.with.default': 'x' },
    { 'schemas.enable': ' TRUE ' },
    { 'decimal.format': 'base64' },
  ],
]

/** A value that its schema does not know. */
const mismatched: readonly SchemaAndValue[] = [
  { schema: int32, value: 'x' },
  { schema: text, value: 5n },
  { schema: text, value: null },
  { schema: int32, value: null },
  { schema: primitive('BOOLEAN'), value: 1n },
  { schema: primitive('BYTES'), value: 'x' },
  { schema: arrayOf(text), value: [1n] },
  { schema: arrayOf(text), value: 'x' },
  { schema: mapOf(text, text), value: new Map([['a', 1n]]) },
  { schema: mapOf(text, text), value: [] },
  { schema: primitive('INT64'), value: new Instant(5) },
  { schema: primitive('INT32', { defaultValue: 5 }), value: null },
  { schema: primitive('STRING', { defaultValue: 'd' }), value: null },
]
const data = [...everything, ...mismatched]

const widths = [0, 1, 2, 3, 4, 5, 8, 9]
const raw = [
  ...widths.flatMap((width) => [
    Buffer.alloc(width),
    Buffer.alloc(width, 0xff),
    Buffer.alloc(width, 1),
  ]),
  ...[
    Buffer.from('text'),
    Buffer.from('é😀'),
    Buffer.from([0xc3, 0x28, 0x61, 0xff]),
    Buffer.from('7fc00001', 'hex'),
  ],
]

export const jsonCases: readonly Case[] = [
  ...jsonTexts.flatMap((given) => [
    read(json, enveloped, Buffer.from(given)),
    read(json, { 'replace.null.with.default': 'false' }, Buffer.from(given), true),
  ]),
  ...[...plainTexts, ...jsonTexts.slice(-6)].flatMap((given) => [
    read(json, {}, Buffer.from(given)),
    read(json, plain, Buffer.from(given)),
    read(json, { ...plain, 'decimal.format': 'NUMERIC' }, Buffer.from(given)),
    read(json, content, Buffer.from(given)),
    read(json, { ...content, ...plain }, Buffer.from(given)),
  ]),
  ...[enveloped, plain, content].map((config) => read(json, config, null)),
  ...badConfigs.map((config) => read(json, config, Buffer.from('{"schema":null,"payload":1}'))),
  ...jsonConfigs.flatMap((config) => data.map((datum) => write(json, config, datum))),
]

export const plainCases: readonly Case[] = [
  ...[string, ...primitives].flatMap((className) => [
    ...[...raw, null].map((bytes) => read(className, {}, bytes)),
    ...[...raw, null].map((bytes) => read(className, {}, bytes, true)),
    ...data.map((datum) => write(className, {}, datum)),
  ]),
  ...[
    'UTF-8',
    'utf8',
    'ISO-8859-1',
    'UTF-16LE',
    'UTF-16',
    'US-ASCII',
    'EBCDIC',
    'latin1',
    'UTF-16BE',
    'windows-1252',
  ].flatMap((encoding) => [
    ...raw.map((bytes) => read(string, { 'converter.encoding': encoding }, bytes)),
    ...['aé', '😀', '\u0000', ''].map((value) =>
      write(string, { 'converter.encoding': encoding }, { schema: text, value }),
    ),
  ]),
]

const headerTexts = [
  ...plainTexts,
  ...[
    'null',
    'NULL',
    'true',
    'false',
    'TRUE',
    'tru',
    ' true ',
    ' null',
    '"true"',
    'true,',
    'false]',
  ],
  ...[
    '127',
    '-128',
    '32767',
    '32768',
    '2147483648',
    '-9223372036854775808',
    '9223372036854775808',
    '-0',
    '+5',
    '00',
    '1_000',
  ],
  ...[
    '1.0',
    '1.5',
    '-2.25',
    '1e3',
    '1E3',
    '1.5e3',
    '3.4e38',
    '3.5e38',
    '1e308',
    '1e309',
    '0.1',
    '.5',
    '5.',
    '1e-50',
    '0.30000000000000004',
    '123456789.125',
    '1e40',
    '100.0',
    '16777217.0',
    '1e',
    '12abc',
    '1.2.3',
    '1,5',
    '١',
  ],
  ...[
    '2017-01-03',
    '2017-13-03',
    '2017-02-30',
    '2017-1-3',
    '06:30:01.864Z',
    '06:30:01Z',
    '2017-01-03T06:30:01.864Z',
    '2017-01-03T06:30:01Z',
    '2017-01-03T06:30:01.864+01:00',
    '2017-01-03 06:30:01.864Z',
    '10000-01-01',
    '0000-00-00',
  ],
  ...[
    '2019-08-23T14:34:54.346Z',
    '14:34:54.346Z',
    '14:34:54.346+0100',
    '-0044-03-15',
    '24:00:00.000Z',
  ],
  ...[
    '[]',
    '{}',
    '[1]',
    '[1,2,300]',
    '[1, 2 , 300 ]',
    '[1,"a"]',
    '["a","b"]',
    "['a']",
    '[a,b]',
    '[1,,2]',
    '[,]',
    '[null]',
    '[1,null]',
    '["a",null]',
    '[true,false]',
    '[true,1]',
    '[1.5,2]',
    '[1.5,2.5]',
    '[[1],[2]]',
    '[[1],["a"]]',
    '[{"a":1}]',
    '[1,2',
    '[1]x',
    '[[]]',
    '[1.0]',
    '[128,1]',
    '[99999999999,1]',
  ],
  ...[
    '{"a":1}',
    '{"a":1,"b":300}',
    '{"a":1,"b":"x"}',
    '{"a":null}',
    '{"a":"x","b":null}',
    '{a:1}',
    '{1:2}',
    '{1:"x"}',
    '{"a":}',
    '{:1}',
    '{"a"}',
    '{"a":1,}',
    '{"a" : 1 , "b" : 2}',
    '{"a":[1,2]}',
    '{"a":{"b":1}}',
    '{"a":1,"a":2}',
    '{"a":1',
    '{1:1,"a":2}',
    '{"a":true}',
    '{"2017-01-03":1}',
  ],
  ...[
    '["2017-01-03"]',
    '[2017-01-03]',
    '["06:30:01.864Z","a"]',
    '["a,b"]',
    '["a\\"b"]',
    '["a\\\\"]',
    '"a"',
    '"a\\"b"',
    '"1"',
    '"',
    '""',
    '"a"b',
    'a"b"',
    'a:b',
    'a,b',
    ':',
    ',',
    ']',
    '}',
    'a\\:b',
    '\\',
    '\\"',
    'text with spaces',
    ' leading',
    'trailing ',
    '\t',
    'a\nb',
    'é',
    '😀',
  ],
]

export const headerCases: readonly Case[] = [
  ...[...headerTexts, ...raw.map((bytes) => bytes.toString('latin1'))].map(
    (given): Case => ({
      ...{ kind: 'readHeader', className: simple, config: {}, isKey: false },
      bytes: Buffer.from(given),
    }),
  ),
  { kind: 'readHeader', className: simple, config: {}, isKey: false, bytes: null },
  ...data.map(
    (datum): Case => ({
      kind: 'writeHeader',
      className: simple,
      config: {},
      isKey: false,
      ...datum,
    }),
  ),
  ...[string, `${prefix}converters.ByteArrayConverter`, json].flatMap((className) => [
    ...[...raw, null].map(
      (bytes): Case => ({ kind: 'readHeader', className, config: {}, isKey: false, bytes }),
    ),
    ...data
      .filter((_, at) => at % 3 === 0)
      .map(
        (datum): Case => ({ kind: 'writeHeader', className, config: {}, isKey: false, ...datum }),
      ),
  ]),
]

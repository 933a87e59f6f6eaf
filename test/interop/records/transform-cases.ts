/** Every transformation and predicate of Kafka's, with settings that are valid and some that are not. */
import type { SchemaAndValue } from '../../../src/connect/data.ts'
import type { ConnectRecord } from '../../../src/connect/records.ts'
import type { Config, RecordCase } from './cases.ts'
import {
  everything,
  floats,
  fromSource,
  headersOfAll,
  integers,
  logicals,
  maps,
  nulls,
  sinkRecord,
  structs,
  texts,
} from './data-pool.ts'

const prefix = 'org.apache.kafka.connect.transforms.'

function transformed(name: string, config: Config, record: ConnectRecord): RecordCase {
  return { kind: 'transform', className: `${prefix}${name}`, config, record }
}

const sinking = ({ schema, value }: SchemaAndValue, more: Partial<ConnectRecord> = {}) =>
  sinkRecord({ valueSchema: schema, value, ...more } as object)
const sourcing = ({ schema, value }: SchemaAndValue) =>
  fromSource({ valueSchema: schema, value, timestamp: null })

/** With each of the settings, as a value of each datum; as a key of some, and of a source's record. */
function ofParts(name: string, configs: readonly Config[], data: readonly SchemaAndValue[]) {
  return configs.flatMap((config) =>
    data.flatMap(({ schema, value }, at): RecordCase[] => [
      transformed(`${name}$Value`, config, sinking({ schema, value })),
      ...(at % 5 === 0
        ? [
            transformed(`${name}$Key`, config, sinkRecord({ keySchema: schema, key: value })),
            transformed(`${name}$Value`, config, sourcing({ schema, value })),
          ]
        : []),
    ]),
  )
}

const withAndWithoutDefaults = (configs: readonly Config[]): Config[] =>
  configs.flatMap((config) => [config, { ...config, 'replace.null.with.default': 'false' }])

const shaped = [...structs, ...maps, ...nulls]
/** All that has fields, and something of every other kind. */
const mixed = [...shaped, ...everything.filter((_, at) => at % 9 === 0)]

const castTypes = ['int8', 'int16', 'int32', 'int64', 'float32', 'float64', 'boolean', 'string']

const casts: RecordCase[] = [
  ...ofParts(
    'Cast',
    castTypes.map((spec) => ({ spec })),
    everything,
  ),
  ...ofParts(
    'Cast',
    withAndWithoutDefaults([
      ...castTypes.map((type) => ({
        spec: ['i8', 'i16', 'i32', 'i64', 'f32', 'f64', 'bool', 'magic']
          .map((name) => `${name}:${type}`)
          .join(','),
      })),
      { spec: 'i8:string,str:string,dec:string,date:string,time:string,ts:string,bytes:string' },
      { spec: 'dec:float64,date:int32,time:int32,ts:int64,i64:boolean,f64:boolean,bool:int8' },
      { spec: 'dec:int8,str:int32' },
      ...['A:string', 'list:int8', 'none:int32', 'nothing:int32', ' i32 : INT8 ', 'm:string'].map(
        (spec) => ({ spec }),
      ),
    ]),
    shaped,
  ),
  ...ofParts(
    'Cast',
    [
      '',
      'int32,a:int8',
      'a:b:c',
      'a:bytes',
      'nothing',
      'a:',
      ':int8',
      'int8,int16',
      'a:int8,a:int16',
      'a:struct',
      ',',
    ]
      .map((spec) => ({ spec }))
      .concat([{}] as never),
    structs.slice(0, 1),
  ),
]

const fields: RecordCase[] = [
  ...ofParts(
    'ExtractField',
    withAndWithoutDefaults([
      ...['magic', 'str', 'A', 'ts', 'x.y', 'A.B', ''].map((field) => ({ field })),
      ...[
        'A.B.int8',
        'A.B.`b.c`.d',
        'A.c',
        'str',
        'magic',
        'a.b',
        'str.x',
        'm.k',
        'none.x',
        '`x.y`',
      ].map((field) => ({ field, 'field.syntax.version': 'V2' })),
      ...['`a', 'a.', '.a', 'a..b', '`a`b', 'a`b', '`a\\`.b`', '`A`.`c`', '``', '`', 'A.`c'].map(
        (field) => ({
          field,
          'field.syntax.version': 'v2',
        }),
      ),
      { field: 'A.c', 'field.syntax.version': 'V3' },
      {},
    ]),
    mixed,
  ),
  ...ofParts('HoistField', [{ field: 'magic' }, { field: '' }, {}], everything),
  ...ofParts(
    'InsertField',
    withAndWithoutDefaults([
      { 'topic.field': 'topic' },
      { 'topic.field': 'topic!', 'partition.field': 'p!', 'timestamp.field': 'at!' },
      { 'topic.field': 'topic?', 'partition.field': 'p?', 'timestamp.field': 'at?' },
      { 'offset.field': 'offset' },
      { 'offset.field': 'offset!', 'static.field': 's!', 'static.value': 'fixed' },
      { 'static.field': 's', 'static.value': '5' },
      { 'static.field': 's?', 'static.value': '' },
      { 'static.field': 'magic', 'static.value': 'again' },
      { 'static.field': 's' },
      { 'static.value': 's' },
      { 'topic.field': '' },
      { 'topic.field': '!' },
      { 'topic.field': 'a!?' },
      { 'topic.field': 'same', 'partition.field': 'same' },
      {},
    ]),
    mixed,
  ),
  ...ofParts(
    'MaskField',
    withAndWithoutDefaults([
      ...[
        'magic',
        'i8,i16,i32,i64',
        'f32,f64,bool',
        'str',
        'dec,date,time,ts',
        'list',
        'm,e',
        'A',
        'bytes',
        'none',
        'nothing',
      ].map((fields) => ({ fields })),
      ...['7', '300', '-1.5', 'x', '', '8589934592', ' 7', '1e3'].flatMap((replacement) =>
        ['magic', 'i8', 'i16', 'i32', 'i64', 'f32', 'f64', 'str', 'dec', 'bool', 'ts', 'list'].map(
          (fields) => ({
            ...{ fields, replacement },
          }),
        ),
      ),
      ...[{ fields: '' }, { fields: 'a,a' }, { fields: 'a,,b' }, {}],
    ]),
    shaped,
  ),
  ...ofParts('MaskField', [{ fields: 'magic' }], everything),
  ...ofParts(
    'ReplaceField',
    withAndWithoutDefaults([
      { exclude: 'i32' },
      { exclude: 'i32,str,magic,nothing' },
      { include: 'str,magic' },
      { include: 'str,magic', exclude: 'str' },
      { renames: 'str:text' },
      { renames: 'str:i32,i32:str', include: 'str,i32' },
      { renames: 'str:i32' },
      { renames: 'str:a,str:b' },
      { renames: 'str:a,i32:a' },
      { exclude: 'str', renames: 'str:x' },
      ...['a', 'a:b:c', ':b', 'a:', '', 'a:b,'].map((renames) => ({ renames })),
      { include: 'nothing' },
      { include: '' },
      { include: 'str,str' },
      {},
    ]),
    mixed,
  ),
  ...[
    { fields: 'str' },
    { fields: 'str,i32' },
    { fields: 'magic,str' },
    { fields: 'nothing' },
    { fields: '' },
    { fields: 'str,str' },
    { fields: 'A' },
    {},
  ]
    .flatMap((config) => withAndWithoutDefaults([config as Config]))
    .flatMap((config) => mixed.map((datum) => transformed('ValueToKey', config, sinking(datum)))),
]

const shapes: RecordCase[] = [
  ...ofParts('Flatten', [{}, { delimiter: '#' }, { delimiter: '' }], everything),
  ...ofParts(
    'SetSchemaMetadata',
    withAndWithoutDefaults([
      { 'schema.name': 'foo' },
      { 'schema.version': '42' },
      { 'schema.name': 'foo', 'schema.version': '42' },
      ...[{ 'schema.version': 'x' }, { 'schema.version': '-1' }, { 'schema.name': '' }, {}],
    ]),
    everything,
  ),
]

const headerConfigs: readonly Config[] = [
  { fields: 'str', headers: 'x', operation: 'move' },
  { fields: 'str,i32', headers: 'x,y', operation: 'move' },
  { fields: 'str,i32', headers: 'x,x', operation: 'copy' },
  { fields: 'magic,list', headers: 'x,one', operation: 'copy' },
  { fields: 'nothing', headers: 'x', operation: 'move' },
  { fields: 'nothing', headers: 'x', operation: 'copy' },
  { fields: 'str', headers: 'x,y', operation: 'move' },
  { fields: '', headers: '', operation: 'move' },
  { fields: 'str', headers: 'x', operation: 'MOVE' },
  { fields: 'str', headers: 'x', operation: 'drop' },
  { fields: 'str', headers: 'x' },
  { fields: 'str,str', headers: 'x,y', operation: 'move' },
]
const literals = [
  ...[
    'text',
    '',
    ' x ',
    '300',
    '7',
    '-129',
    '1.5',
    '1e3',
    'true',
    'TRUE',
    'null',
    '[1,2]',
    '[1,"a"]',
    '{"a":1}',
  ],
  ...[
    '2017-01-03',
    '2017-01-03T06:30:01.864Z',
    '06:30:01.864Z',
    '"quoted"',
    '[',
    '{',
    '{}',
    '[]',
    'é',
  ],
]

const headers: RecordCase[] = [
  ...ofParts('HeaderFrom', withAndWithoutDefaults(headerConfigs), mixed),
  ...headerConfigs.map((config) =>
    transformed('HeaderFrom$Value', config, sinking(structs[0]!, { headers: headersOfAll })),
  ),
  ...['one', 'one,none', 'two', 'nothing', '', 'one,one', 'ONE', 'one,,two'].map((names) =>
    transformed('DropHeaders', { headers: names }, sinkRecord({ headers: headersOfAll })),
  ),
  transformed('DropHeaders', {}, sinkRecord({ headers: headersOfAll })),
  ...literals.flatMap((literal) =>
    [[], headersOfAll].map((given) =>
      transformed(
        'InsertHeader',
        { header: 'one', 'value.literal': literal },
        sinkRecord({ headers: given }),
      ),
    ),
  ),
  transformed('InsertHeader', { header: '', 'value.literal': 'x' }, sinkRecord({})),
  transformed('InsertHeader', { header: 'x' }, sinkRecord({})),
  transformed('InsertHeader', { 'value.literal': 'x' }, sinkRecord({})),
]

const topics = ['test', 'index-20160117', 'orig', 'a.b', 'prefix-a-b', 'A', 'x_1']
const regexes: readonly (readonly [string, string])[] = [
  ...([
    ['(.*)-(\\d{8})', '$1'],
    ['.*', 'static'],
    ['(.*)', 'prefix-$1'],
    ['foo', 'bar'],
  ] as const),
  ...([
    ['(?<name>.*)', '${name}-$0-\\$1'],
    ['(?i)a', 'b'],
    ['\\w+', 'word'],
    ['a|b', 'c'],
  ] as const),
  ...([
    ['(.)(.*)', '$2$1'],
    ['(.*)', '$3'],
    ['(.*)', '$12'],
    ['(.*)', '$'],
    ['(.*)', 'a\\'],
    ['(', 'x'],
  ] as const),
  ...([
    ['(.*)', '${none}'],
    ['.', '$0'],
    ['(.*)', '\\\\$1'],
    ['(.*)', ''],
    ['', 'x'],
    ['[', 'x'],
  ] as const),
  ...([
    ['(?:test|orig)', 'found'],
    ['\\p{Lower}+', 'lower'],
    ['\\Qa.b\\E', 'quoted'],
    ['.*+', 'p'],
  ] as const),
  ...([
    ['^test$', 'anchored'],
    ['[a-z&&[^t]]+', 'inter'],
    ['(?x) t e s t', 'x'],
    ['test\\z', 'z'],
    ['(.*)', "$'&$&"],
  ] as const),
  ...([
    ['(a)?.*', 'x$1y'],
    ['\\Atest\\Z', 'A'],
    ['\\p{Alpha}+', 'alpha'],
    ['\\h*test', 'h'],
    ['(?<n>t)est', '$1'],
  ] as const),
]
const dateFormats = [
  ...[
    'yyyyMMdd',
    'yyyy-MM-dd',
    "yyyy'Q'MM",
    'YYYY-ww',
    'EEE',
    'HH',
    'b',
    "'open",
    '',
    'yy',
    'y',
    'yyy',
  ],
  ...[
    'yyyyy',
    'MMM',
    'MMMM',
    'MMMMM',
    'L',
    'LLL',
    'w',
    'W',
    'F',
    'G',
    'D',
    'DDD',
    'k',
    'K',
    'h',
    'a',
    'S',
    'SSSS',
  ],
  ...[
    'u',
    'uu',
    'z',
    'zzzz',
    'Z',
    'X',
    'XX',
    'XXX',
    'XXXX',
    "''",
    "'a''b'",
    "h 'o''clock' a",
    'n',
    'E',
    'EEEE',
    'Y',
    'YY',
  ],
]
const times = [
  0, 1_483_425_001_864, -1, 1_709_226_306_078, 951_782_400_000, 253_402_300_800_000,
  -62_135_596_800_001, 1_735_689_599_999, -70_000_000_000_000,
]

const routes: RecordCase[] = [
  ...regexes.flatMap(([regex, replacement]) =>
    topics.map((topic) =>
      transformed('RegexRouter', { regex, replacement }, sinkRecord({ topic })),
    ),
  ),
  transformed('RegexRouter', { regex: '.*' }, sinkRecord({})),
  transformed('RegexRouter', { replacement: '.*' }, sinkRecord({})),
  ...dateFormats.flatMap((format) =>
    times.map((timestamp) =>
      transformed('TimestampRouter', { 'timestamp.format': format }, sinkRecord({ timestamp })),
    ),
  ),
  ...[
    '${topic}-${timestamp}',
    '${timestamp}.${topic}',
    'x',
    '${topic}${topic}',
    '',
    '${other}',
    '$1',
    '\\',
  ].map((format) => transformed('TimestampRouter', { 'topic.format': format }, sinkRecord({}))),
  transformed('TimestampRouter', {}, sinkRecord({ timestamp: null })),
  transformed('TimestampRouter', {}, sinkRecord({ topic: 'a$1b\\' })),
  transformed('Filter', {}, sinkRecord({})),
]

const pattern = 'yyyy-MM-dd HH:mm:ss.SSS z'
const targets = ['string', 'unix', 'Date', 'Time', 'Timestamp']
const precisions = ['seconds', 'milliseconds', 'microseconds', 'nanoseconds']
/** A pattern, and texts that do and do not begin as it says. */
const dated: readonly (readonly [string, readonly string[]])[] = [
  [
    'yyyy-MM-dd',
    [
      '2017-01-03',
      '2023-13-01 and more',
      '2017-1-3',
      ' 2017-01-03',
      '17-01-03',
      '-2017-01-03',
      '2017-01-',
      '2017-00-00',
      '2017-02-30',
    ],
  ],
  ['yyMMdd', ['170103', '490101', '500101', '990101', '1701', '7-0-1', '46-1-1']],
  ['yy/M/d', ['17/1/3', '2017/1/3', '1/1/1', '99/12/31', '047/1/1', '106/1/1', '105/1/1']],
  ['yyyy/M/d', ['17/1/3', '2017/1/3', '02017/1/3']],
  [
    'EEE, d MMM yyyy HH:mm:ss Z',
    [
      'Tue, 3 Jan 2017 06:30:01 +0000',
      'tue, 3 jan 2017 06:30:01 -0530',
      'Wed, 3 January 2017 6:30:1 GMT+1:00',
      'Tue, 3 Jan 2017 06:30:01 Z',
    ],
  ],
  ['MMMM d, yyyy', ['January 3, 2017', 'Jan 3, 2017', 'May 3, 2017', 'Foo 3, 2017']],
  [
    'HH:mm:ss.SSS',
    ['06:30:01.864', '24:00:00.000', '6:3:1.8', '06:30:01.8640', '-6:30:01.864', '06:30'],
  ],
  ['hh:mm a', ['06:30 AM', '12:00 am', '12:00 PM', '06:30 pm', '13:00 PM', '06:30']],
  ['kk:mm', ['24:00', '01:00', '00:00']],
  ['KK:mm a', ['00:00 PM', '11:59 AM']],
  [
    'HH:mm z',
    [
      '01:00 UTC',
      '01:00 GMT+02:00',
      '01:00 PST',
      '01:00 EST',
      '01:00 +0200',
      '01:00 Europe/Berlin',
      '01:00 CET',
    ],
  ],
  ['HH:mm X', ['01:00 Z', '01:00 +02', '01:00 +0200', '01:00 -02:30']],
  ['HH:mm XX', ['01:00 Z', '01:00 +02', '01:00 +0200']],
  ['HH:mm XXX', ['01:00 Z', '01:00 +02:00', '01:00 +0200']],
  ['HH:mm Z', ['01:00 +02:00', '01:00 +0200', '01:00 UTC', '01:00 GMT']],
  [
    "yyyy-MM-dd'T'HH:mm:ss.SSSX",
    ['2024-02-29T17:05:06.078Z', '2024-02-29T17:05:06.078+01', '2024-02-29 17:05:06.078Z'],
  ],
  ['yyyyMMddHHmmssSSS', ['20240229170506078', '2024022917050607', '20240229170506']],
  ['yyyy-DDD', ['2024-060', '2024-366', '2024-1']],
  ["h 'o''clock' a", ["5 o'clock PM"]],
  ['yyyy-MM-dd HH', ['2017-01-03 6', '2017-01-03  6', '2017-01-03']],
  ['d', ['3', '+3', '', 'x', '99999999999']],
  ['s', ['1483425001', '-5']],
  ['G yyyy', ['AD 2017', 'BC 1']],
  ["YYYY-'W'ww-u", ['2017-W01-2', '2020-W53-5']],
  ['EEE HH', ['Wed 06', 'Wednesday 06', 'xyz 06']],
]
const datedTexts = dated.flatMap(([format, list]) =>
  list.map((value) =>
    transformed(
      'TimestampConverter$Value',
      { 'target.type': 'Timestamp', format },
      sinkRecord({ value }),
    ),
  ),
)

const conversions: RecordCase[] = [
  ...ofParts(
    'TimestampConverter',
    targets.flatMap((target) => [
      { 'target.type': target, format: pattern },
      { 'target.type': target },
    ]),
    everything,
  ),
  ...ofParts(
    'TimestampConverter',
    targets.flatMap((target) =>
      precisions.map((precision) => ({
        ...{ 'target.type': target, format: pattern, 'unix.precision': precision },
      })),
    ),
    [...integers, ...logicals, ...nulls],
  ),
  ...ofParts(
    'TimestampConverter',
    withAndWithoutDefaults(
      targets.flatMap((target) =>
        ['ts', 'when', 'str', 'nothing', 'none', 'date', 'ts2'].map((field) => ({
          ...{ 'target.type': target, format: pattern, field },
        })),
      ),
    ),
    mixed,
  ),
  ...ofParts(
    'TimestampConverter',
    [
      { 'target.type': 'odd' },
      { 'target.type': 'DATE' },
      { 'target.type': 'unix', 'unix.precision': 'days' },
      { 'target.type': 'string', format: 'b' },
      { 'target.type': 'unix', format: "'open" },
      { 'target.type': 'string', format: ' ' },
      {},
    ],
    structs.slice(0, 1),
  ),
  ...datedTexts,
  ...dateFormats.flatMap((format) =>
    times.map((timestamp) =>
      transformed(
        'TimestampConverter$Value',
        { 'target.type': 'string', format },
        sinkRecord({ value: BigInt(timestamp) }),
      ),
    ),
  ),
]

const predicateOf = (name: string, config: Config, record: ConnectRecord): RecordCase => ({
  ...{ kind: 'predicate', className: `${prefix}predicates.${name}`, config, record },
})

export const predicateCases: readonly RecordCase[] = [
  ...everything.map((datum) => predicateOf('RecordIsTombstone', {}, sinking(datum))),
  ...['one', 'two', 'none', 'nothing', '', 'ONE', ' one '].map((name) =>
    predicateOf('HasHeaderKey', { name }, sinkRecord({ headers: headersOfAll })),
  ),
  predicateOf('HasHeaderKey', {}, sinkRecord({})),
  predicateOf('TopicNameMatches', {}, sinkRecord({})),
  predicateOf('TopicNameMatches', { pattern: '' }, sinkRecord({})),
  ...regexes.flatMap(([regex]) =>
    topics.map((topic) =>
      predicateOf('TopicNameMatches', { pattern: regex }, sinkRecord({ topic })),
    ),
  ),
]

const drop = { transforms: 'drop', 'transforms.drop.type': `${prefix}Filter` }
const dropWhere = (more: Config): Config => ({
  ...drop,
  ...{ predicates: 'p', 'transforms.drop.predicate': 'p', ...more },
})
const tombstones = { 'predicates.p.type': `${prefix}predicates.RecordIsTombstone` }
const two = {
  transforms: 'hoist, route',
  ...{ 'transforms.hoist.type': `${prefix}HoistField$Value`, 'transforms.hoist.field': 'line' },
  'transforms.route.type': `${prefix}RegexRouter`,
  ...{ 'transforms.route.regex': '(.*)', 'transforms.route.replacement': 'to-$1' },
}
const chains: readonly Config[] = [
  ...[{}, drop, two, dropWhere(tombstones)],
  dropWhere({ ...tombstones, 'transforms.drop.negate': 'true' }),
  dropWhere({ ...tombstones, 'transforms.drop.negate': 'false' }),
  dropWhere({ ...tombstones, 'transforms.drop.negate': 'maybe' }),
  dropWhere({
    'predicates.p.type': `${prefix}predicates.HasHeaderKey`,
    'predicates.p.name': 'one',
  }),
  dropWhere({ 'predicates.p.type': `${prefix}predicates.HasHeaderKey` }),
  dropWhere({
    ...{
      'predicates.p.type': `${prefix}predicates.TopicNameMatches`,
      'predicates.p.pattern': 'te.*',
    },
  }),
  dropWhere({ 'predicates.p.type': `${prefix}predicates.Nothing` }),
  dropWhere({}),
  { ...drop, 'transforms.drop.predicate': 'q' },
  { ...drop, 'transforms.drop.negate': 'true' },
  { ...drop, transforms: 'drop,drop' },
  { transforms: 'a' },
  { transforms: 'a', 'transforms.a.type': 'Nope' },
  { transforms: 'a', 'transforms.a.type': `${prefix}HoistField$Value` },
  { ...two, predicates: 'p', ...tombstones, 'transforms.hoist.predicate': 'p' },
  {
    ...two,
    predicates: 'p',
    ...tombstones,
    'transforms.hoist.predicate': 'p',
    'transforms.hoist.negate': 'true',
  },
]

export const chainCases: readonly RecordCase[] = chains.flatMap((config) =>
  [
    sinkRecord({}),
    sinkRecord({ value: 'x', headers: headersOfAll }),
    sinkRecord({ topic: 'other', ...structs[0], valueSchema: structs[0]!.schema } as object),
  ].map((record): RecordCase => ({ kind: 'chain', className: '', config, record })),
)

export const transformCases: readonly RecordCase[] = [
  ...[...casts, ...fields, ...shapes, ...headers, ...routes, ...conversions],
  ...ofParts('Cast', [{ spec: 'string' }], [...texts, ...floats]),
]

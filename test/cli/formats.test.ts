/** How the command line reads and writes text: lines, records, tables, addresses, settings. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import t from 'tap'
import { parseArguments } from '../../src/cli/arguments.ts'
import { verb } from '../../src/cli/command.ts'
import { readLines } from '../../src/cli/line-reader.ts'
import {
  decodeBytes,
  encodeBytes,
  parseRecord,
  printRecord,
  unescaped,
} from '../../src/cli/record-text.ts'
import { parseAddresses, Session } from '../../src/cli/session.ts'
import { bytes, count, pairs, plural, table } from '../../src/cli/table.ts'

async function linesOf(chunks: string[]): Promise<string[]> {
  const lines: string[] = []
  for await (const group of readLines(Readable.from(chunks.map((chunk) => Buffer.from(chunk)))))
    lines.push(...group.map((line) => line.toString()))
  return lines
}

t.test('lines, however the chunks fall', async (t) => {
  const text = 'one\ntwo\r\n\nfour\r\nlast'
  const expected = ['one', 'two', '', 'four', 'last']
  for (let size = 1; size <= text.length; size++) {
    const chunks: string[] = []
    for (let at = 0; at < text.length; at += size) chunks.push(text.slice(at, at + size))
    t.same(await linesOf(chunks), expected, `chunks of ${size}`)
  }
  t.same(await linesOf([]), [])
  t.same(await linesOf(['\n']), [''])
})

t.test('records as JSON', async (t) => {
  const record = {
    offset: 7,
    timestamp: 5,
    key: Buffer.from([0x80]),
    value: Buffer.from('v'),
    headers: [
      { key: 'h', value: null },
      { key: 'h', value: Buffer.from([0xff]) },
    ],
  }
  const text = printRecord('t', 3, record)
  t.equal(
    text,
    '{"topic":"t","partition":3,"offset":7,"timestamp":5,"keyBase64":"gA==","value":"v",' +
      '"headers":[{"key":"h","value":null},{"key":"h","valueBase64":"/w=="}]}',
  )
  const { key, value, headers, timestamp } = record
  t.same(parseRecord(text), { key, value, headers, timestamp, partition: 3 }, 'and back')
  t.same(parseRecord('{"value":5,"headers":{"a":"b"}}'), {
    key: null,
    value: Buffer.from('5'),
    headers: [{ key: 'a', value: Buffer.from('b') }],
  })
  for (const wrong of [
    '[]',
    '7',
    'null',
    '{}',
    '{"value":1,"partition":1.5}',
    '{"value":1,"headers":[{}]}',
    '{"valueBase64":"*"}',
  ])
    t.throws(() => parseRecord(wrong), RangeError, wrong)
  t.throws(() => parseRecord('{'), SyntaxError)
})

t.test('bytes as text', async (t) => {
  const some = Buffer.from([0, 1, 254])
  for (const encoding of ['base64', 'hex'] as const)
    t.same(decodeBytes(encodeBytes(some, encoding), encoding), some)
  t.throws(() => decodeBytes(Buffer.from('abc'), 'hex'), /is no hex/)
  t.equal(unescaped('\\t|\\n|\\x1f|\\\\|a'), '\t|\n|\x1f|\\|a')
})

t.test('tables', async (t) => {
  t.equal(
    table(
      ['NAME', 'N', 'WHY'],
      [
        ['a', 1, null],
        ['long one', 22, 'x'],
      ],
    ),
    'NAME       N  WHY\na          1  -\nlong one  22  x\n',
  )
  t.equal(table(['A'], []), '')
  t.equal(
    pairs([
      ['One', 1],
      ['Three', undefined],
    ]),
    'One    1\nThree  -\n',
  )
  t.same([0, 1023, 1536, 5 * 1024 ** 3, -1].map(bytes), [
    '0 B',
    '1023 B',
    '1.5 KiB',
    '5.0 GiB',
    '-',
  ])
  t.equal(count(1234567), '1,234,567')
  t.same([plural(1, 'topic'), plural(0, 'topic')], ['1 topic', '0 topics'])
})

t.test('arguments', async (t) => {
  const sample = verb({
    summary: '',
    positionals: [
      { name: 'A', summary: '' },
      { name: 'B', summary: '', optional: true },
    ],
    options: {
      flag: { kind: 'flag', short: 'f', summary: '' },
      text: { kind: 'text', summary: '' },
      number: { kind: 'number', short: 'n', summary: '' },
      list: { kind: 'list', summary: '' },
    },
    examples: [],
    run: async () => 0,
  })
  const parse = (line: string) => parseArguments(line.split(' '), sample, 'sample')
  const { values, positionals } = parse('x -f --text=a=b -n -5 --list 1 --list -2 y')
  t.match(values, { flag: true, text: 'a=b', number: -5, list: ['1', '-2'] })
  t.same(positionals, ['x', 'y'])
  t.match(parse('x').values, { flag: false, text: undefined, number: undefined, list: [] })
  t.same(parse('-- -x').positionals, ['-x'])
  t.throws(() => parse('x --toString'), /unknown option --toString/)
})

t.test('where the cluster is', async (t) => {
  t.same(parseAddresses('a, b:1,[::1]:2,PLAINTEXT://c:3'), [
    { host: 'a', port: 9092 },
    { host: 'b', port: 1 },
    { host: '::1', port: 2 },
    { host: 'c', port: 3 },
  ])
  for (const wrong of ['', ',', 'a:b', 'a:0', ':1']) t.throws(() => parseAddresses(wrong), wrong)
  const path = join(t.testdir(), 'client.properties')
  const session = (text: string, bootstrap?: string) => {
    writeFileSync(path, text)
    return new Session({ commandConfig: path, bootstrap, verbose: false })
  }
  t.match(session('bootstrap.servers=x:1\nclient.id=me').bootstrap, [{ host: 'x', port: 1 }])
  t.match(session('bootstrap.servers=x:1', 'y:2').bootstrap, [{ host: 'y', port: 2 }])
  t.throws(() => session('security.protocol=SASL_SSL'), /sasl.mechanism=GSSAPI is not offered/)
  t.throws(() => session('request.timeout.ms=soon').cluster, /needs milliseconds/)
  t.throws(() => new Session({ commandConfig: `${path}.none`, verbose: false }), /cannot read/)
})

/**
 * The edges: what null and empty are in each encoding, lengths that lie, tags, the ends of ranges.
 */
import t from 'tap'
import { apis } from '../../protocol/apis.ts'
import { codec, decode, encode } from '../../protocol/codec.ts'
import {
  decodeRequest,
  decodeRequestHeader,
  decodeResponse,
  decodeResponseHeader,
  encodeRequest,
  encodeResponse,
} from '../../protocol/frame.ts'
import { fetchResponse } from '../../protocol/messages/fetch.ts'
import { heartbeatRequest } from '../../protocol/messages/heartbeat.ts'
import { metadataRequest } from '../../protocol/messages/metadata.ts'
import { produceRequest } from '../../protocol/messages/produce.ts'
import { MalformedError, Reader } from '../../protocol/reader.ts'
import {
  array,
  bytes,
  float64,
  int8,
  int16,
  int32,
  int64,
  message,
  nullable,
  nullableSince,
  since,
  string,
  struct,
  tagged,
  uint16,
  uint32,
  until,
  uuid,
  versions,
  withDefault,
} from '../../protocol/schema.ts'
import {
  decodeCoordinatorRecord,
  encodeCoordinatorKey,
  encodeCoordinatorValue,
} from '../../protocol/state/coordinator-frame.ts'
import { decodeMetadataRecord, encodeMetadataRecord } from '../../protocol/state/metadata-frame.ts'
import {
  offsetCommitKey,
  offsetCommitValue,
  offsetsTopicRecords,
} from '../../protocol/state/offset-records.ts'
import { int64Max, int64Min, parseVersions, zeroUuid } from '../../protocol/types.ts'
import { Writer, WriterFull } from '../../protocol/writer.ts'

function written(write: (writer: Writer) => void): string {
  const writer = new Writer()
  write(writer)
  return Buffer.concat(writer.finish()).toString('hex')
}

const hex = (text: string) => Buffer.from(text, 'hex')

t.test('unsigned varints', async (t) => {
  const cases: [number, string][] = [
    [0, '00'],
    [127, '7f'],
    [128, '8001'],
    [300, 'ac02'],
    [16_383, 'ff7f'],
    [2 ** 31, '8080808008'],
    [2 ** 32 - 1, 'ffffffff0f'],
  ]
  for (const [value, encoded] of cases) {
    t.equal(
      written((w) => w.uvarint(value)),
      encoded,
    )
    t.equal(new Reader(hex(encoded)).uvarint(), value)
  }
  t.throws(() => new Reader(hex('ffffffffff01')).uvarint(), MalformedError, 'six bytes')
  t.throws(() => new Reader(hex('ff')).uvarint(), MalformedError, 'cut')
  t.throws(() => written((w) => w.uvarint(-1)), TypeError)
})

t.test('int64 keeps its ends and rounds beyond 2^53', async (t) => {
  const cases: [number, string][] = [
    [0, '0000000000000000'],
    [-1, 'ffffffffffffffff'],
    [2 ** 53, '0020000000000000'],
    [-(2 ** 53) + 1, 'ffe0000000000001'],
    [int64Max, '7fffffffffffffff'],
    [int64Min, '8000000000000000'],
  ]
  for (const [value, encoded] of cases) {
    t.equal(
      written((w) => w.int64(value)),
      encoded,
    )
    t.equal(new Reader(hex(encoded)).int64(), value)
  }
  t.equal(
    written((w) => w.int64(1e30)),
    '7fffffffffffffff',
    'saturates',
  )
  t.equal(
    written((w) => w.int64(-1e30)),
    '8000000000000000',
    'saturates',
  )
  t.equal(new Reader(hex('0020000000000001')).int64(), 2 ** 53, 'the nearest double')
  for (const wrong of [0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    t.throws(() => written((w) => w.int64(wrong)), TypeError)
  }
})

t.test('a number that its type cannot hold is a bug and throws', async (t) => {
  const wrong: [string, (w: Writer) => void][] = [
    ['int8', (w) => w.int8(128)],
    ['int16', (w) => w.int16(-32_769)],
    ['uint16', (w) => w.uint16(-1)],
    ['int32', (w) => w.int32(2 ** 31)],
    ['uint32', (w) => w.uint32(2 ** 32)],
    ['int32 undefined', (w) => w.int32(undefined as unknown as number)],
    ['float64 undefined', (w) => w.float64(undefined as unknown as number)],
    ['uuid', (w) => w.uuid('too-short')],
    ['uuid', (w) => w.uuid('!'.repeat(22))],
  ]
  for (const [name, write] of wrong) t.throws(() => written(write), TypeError, name)
})

const everything = message(
  1,
  'Everything',
  { valid: '0-9', flexible: '5+' },
  {
    text: string,
    maybeText: nullable(string),
    blob: bytes,
    maybeBlob: nullable(bytes),
    list: array(int16),
    maybeList: nullable(array({ id: int32 })),
    maybePoint: nullable(struct({ x: int8, y: int8 })),
  },
)
const nothingGiven = { text: '', blob: Buffer.alloc(0), list: [] }

t.test('null and empty differ, compact or not', async (t) => {
  const plain = encode(everything, 0, nothingGiven)
  t.equal(
    plain.toString('hex'),
    '0000 ffff 00000000 ffffffff 00000000 ffffffff ff'.replaceAll(' ', ''),
  )
  const compact = encode(everything, 5, nothingGiven)
  t.equal(compact.toString('hex'), '01 00 01 00 01 00 ff 00'.replaceAll(' ', ''))
  for (const version of [0, 5]) {
    const value = decode(everything, version, encode(everything, version, nothingGiven))
    t.same(value, {
      ...nothingGiven,
      maybeText: null,
      maybeBlob: null,
      maybeList: null,
      maybePoint: null,
    })
    const full = {
      text: 'größe',
      maybeText: '',
      blob: Buffer.from([1]),
      maybeBlob: Buffer.alloc(0),
      list: [1, -2],
      maybeList: [],
      maybePoint: { x: 1, y: -1 },
    }
    t.same(decode(everything, version, encode(everything, version, full)), full)
  }
})

t.test('null where a value must be is malformed', async (t) => {
  const cases: [number, string][] = [
    [0, 'ffff'],
    [0, 'fffe'],
    [0, '0000 ffff ffffffff'],
    [0, '0000 ffff 00000000 fffffffe'],
    [0, '0000 ffff 00000000 ffffffff ffffffff'],
    [5, '00'],
    [5, '01 00 00'],
    [5, '01 00 01 00 00'],
  ]
  for (const [version, bytes] of cases) {
    const reader = new Reader(hex(bytes.replaceAll(' ', '')))
    t.throws(() => codec(everything, version).read(reader), MalformedError, bytes)
  }
})

t.test('lengths and counts that lie are refused before anything is allocated', async (t) => {
  const numbers = message(1, 'Numbers', { valid: '0-1', flexible: '1+' }, { list: array(int64) })
  const huge: [number, string][] = [
    [0, '7fffffff'],
    [0, '000000020000000000000001'],
    [1, 'ffffffff0f'],
  ]
  for (const [version, bytes] of huge)
    t.throws(() => decode(numbers, version, hex(bytes)), MalformedError)

  const empties = message(1, 'Empties', { valid: '0', flexible: 'none' }, { list: array({}) })
  t.equal(decode(empties, 0, hex('00000003')).list.length, 3)
  t.throws(() => decode(empties, 0, hex('7fffffff')), /more than 536870912 bytes once decoded/)

  const flags = message(
    1,
    'Flags',
    { valid: '0', flexible: 'none' },
    { a: array(int8), b: array(int8) },
  )
  const half = Buffer.alloc(4 + 60_000)
  half.writeInt32BE(60_000)
  const both = Buffer.concat([half, half])
  const read = (decodedBytesMax: number) =>
    codec(flags, 0).read(new Reader(both, 0, both.length, decodedBytesMax))
  t.equal(read(9_000_000).b.length, 60_000)
  t.throws(() => read(8_000_000), /more than 8000000 bytes once decoded/, 'arrays share a budget')

  const long = Buffer.alloc(2 + 40_000, 0x61)
  const texts = message(1, 'Texts', { valid: '0', flexible: '0+' }, { text: string })
  Buffer.from([0xc1, 0xb8, 0x02]).copy(long)
  t.throws(() => decode(texts, 0, long), /string of 40000 bytes/, 'longer than an int16 can say')
  t.throws(() => encode(texts, 0, { text: 'x'.repeat(40_000) }), RangeError)
  t.throws(() => decode(texts, 0, hex('026100ff')), /1 bytes left over/)
})

t.test('strings of all lengths and alphabets', async (t) => {
  const texts = message(
    1,
    'Texts',
    { valid: '0-1', flexible: '1+' },
    { first: string, second: string },
  )
  for (const unit of ['a', 'é', '\u6c34', '\u{1f6b0}', 'aé']) {
    for (const times of [0, 1, 20, 39, 40, 41, 62, 63, 64, 65, 125, 126, 127, 128, 700, 3000]) {
      const value = { first: unit.repeat(times), second: 'end' }
      for (const version of [0, 1]) {
        for (const round of [1, 2]) {
          const same = t.same(decode(texts, version, encode(texts, version, value)), value)
          if (!same) t.comment({ unit, times, version, round })
        }
      }
    }
  }
})

t.test('uuids are 16 bytes in base64', async (t) => {
  const ids = message(1, 'Ids', { valid: '0', flexible: 'none' }, { id: uuid })
  for (const id of [zeroUuid, '_____________________w', 'AAECAwQFBgcICQoLDA0ODw']) {
    const bytes = encode(ids, 0, { id })
    t.equal(bytes.length, 16)
    t.equal(bytes.toString('base64url'), id)
    for (const round of [1, 2]) t.equal(decode(ids, 0, bytes).id, id, `round ${round}`)
  }
})

const tags = message(
  1,
  'Tags',
  { valid: '0-2', flexible: '1+' },
  {
    name: string,
    second: since(1, tagged(1, nullable(array(string)))),
    first: since(1, tagged(0, withDefault(-1, int32))),
    third: since(2, tagged(9, struct({ id: withDefault(-1, int32), blob: bytes }))),
  },
)

t.test('tagged fields', async (t) => {
  t.equal(encode(tags, 0, { name: 'a', first: 7 }).toString('hex'), '000161', 'v0 lacks them')
  t.equal(encode(tags, 1, { name: 'a' }).toString('hex'), '026100', 'defaults are left out')
  const bytes = encode(tags, 1, { name: 'a', first: 7, second: [] })
  t.equal(bytes.toString('hex'), '0261 02 00 04 00000007 01 01 01'.replaceAll(' ', ''), 'in order')
  t.same(decode(tags, 1, bytes), {
    name: 'a',
    second: [],
    first: 7,
    third: { id: -1, blob: Buffer.alloc(0) },
  })
  t.same(decode(tags, 1, hex('026101' + '6302abcd')).name, 'a', 'an unknown tag is passed over')
  t.throws(() => decode(tags, 1, hex('026101' + '000500000007ff')), MalformedError, 'too long')
  t.throws(() => decode(tags, 1, hex('026101' + '000300000007')), MalformedError, 'too short')
  t.throws(() => decode(tags, 1, hex('026101' + '63ff01ab')), MalformedError, 'beyond the end')
  t.throws(() => decode(tags, 1, hex('0261' + 'ffffffff0f')), MalformedError, 'too many')

  for (const size of [0, 1, 100, 127, 200, 20_000, 3_000_000]) {
    const value = { name: 'x', third: { id: 1, blob: Buffer.alloc(size, 7) } }
    t.same(decode(tags, 2, encode(tags, 2, value)).third, value.third, `${size} bytes in a tag`)
  }
})

t.test('versions', async (t) => {
  const ranges = message(
    1,
    'Ranges',
    { valid: '1-4', flexible: 'none' },
    {
      old: until(2, int8),
      middle: versions('2-3', int8),
      late: since(4, withDefault(5, uint16)),
      name: nullableSince(3, string),
      big: since(4, withDefault(1, uint32)),
      share: since(4, withDefault(0.5, float64)),
    },
  )
  const encoded = [1, 2, 3, 4].map((version) =>
    encode(ranges, version, { old: 1, middle: 2, late: 3, name: '', big: 2 ** 31, share: 1 }),
  )
  t.same(
    encoded.map((bytes) => bytes.length),
    [3, 4, 3, 16],
  )
  t.same(decode(ranges, 2, encoded[1] as Buffer), {
    old: 1,
    middle: 2,
    late: 5,
    name: '',
    big: 1,
    share: 0.5,
  })
  t.throws(() => encode(ranges, 2, { name: null }), TypeError, 'not nullable yet')
  t.equal(decode(ranges, 3, encode(ranges, 3, { name: null })).name, null)
  t.throws(() => codec(ranges, 0), RangeError)
  t.throws(() => codec(ranges, 5), RangeError)
  t.throws(() => parseVersions('1-'), TypeError)
})

t.test('large values pass by reference, small ones are gathered', async (t) => {
  const batches = [Buffer.alloc(5000, 1), Buffer.alloc(10, 2), Buffer.alloc(9000, 3)]
  const partition = { partitionIndex: 0, errorCode: 0, highWatermark: 9, records: batches }
  const chunks = encodeResponse(fetchResponse, 12, 42, {
    responses: [{ topic: 'orders', partitions: [partition] }],
  })
  t.ok(chunks.includes(batches[0] as Buffer) && chunks.includes(batches[2] as Buffer))
  t.equal(chunks.length, 5)
  const frame = Buffer.concat(chunks)
  t.equal(frame.readInt32BE(0), frame.length - 4, 'the length in front')
  const reader = new Reader(frame, 4)
  t.equal(decodeResponseHeader(reader, fetchResponse, 12), 42)
  const [decoded] = decodeResponse(fetchResponse, 12, reader).responses[0]?.partitions ?? []
  t.same(decoded?.records, [Buffer.concat(batches)])
  t.equal(decoded?.records?.[0]?.buffer, frame.buffer, 'a slice, not a copy')

  const empty = encodeResponse(fetchResponse, 4, 1, {
    responses: [{ topic: 'orders', partitions: [{ ...partition, records: [] }] }],
  })
  const again = new Reader(Buffer.concat(empty), 4)
  decodeResponseHeader(again, fetchResponse, 4)
  const none = decodeResponse(fetchResponse, 4, again).responses[0]?.partitions[0]
  t.same(none?.records, [Buffer.alloc(0)], 'empty is not null')
})

t.test('a large answer is chunks that never grew: what is full stays where it is', async (t) => {
  const names = Array.from({ length: 30_000 }, (_, index) => `größe-${'x'.repeat(index % 90)}`)
  const results = names.map((groupId) => ({ groupId, errorCode: 69 }))
  for (const version of [1, 2]) {
    const chunks = encodeResponse(apis.deleteGroups.response, version, 42, { results })
    t.ok(chunks.length > 5, `${chunks.length} chunks`)
    for (const chunk of chunks) t.ok(chunk.length <= 256 * 1024)
    const frame = Buffer.concat(chunks)
    t.equal(frame.readInt32BE(0), frame.length - 4)
    const reader = new Reader(frame, 4)
    decodeResponseHeader(reader, apis.deleteGroups.response, version)
    const decoded = decodeResponse(apis.deleteGroups.response, version, reader)
    t.same(
      decoded.results.map(({ groupId }) => groupId),
      names,
    )
  }
  const full = () => encodeResponse(apis.deleteGroups.response, 1, 42, { results }, 400_000)
  t.throws(full, WriterFull, 'what is full counts against the limit')
})

t.test('request headers', async (t) => {
  const head = { correlationId: 7, clientId: 'größe' }
  const member = { groupId: 'g', generationId: 1, memberId: 'm' }
  for (const version of [0, 4]) {
    const reader = new Reader(
      Buffer.concat(encodeRequest(heartbeatRequest, version, head, member)),
      4,
    )
    const { api, ...rest } = decodeRequestHeader(reader)
    t.equal(api, apis.heartbeat)
    t.same(rest, { ...head, apiKey: 12, apiVersion: version })
    t.same(decodeRequest(heartbeatRequest, version, reader), { ...member, groupInstanceId: null })
  }
  const anonymous = encodeRequest(metadataRequest, 9, { ...head, clientId: null }, { topics: null })
  t.equal(decodeRequestHeader(new Reader(Buffer.concat(anonymous), 4)).clientId, null)

  // What librdkafka 2.16 sends for all topics: a count of four bytes where one would do.
  const tooLong = new Reader(hex('0003000d00000003000772646b61666b610000000000010000'))
  decodeRequestHeader(tooLong)
  t.equal(decodeRequest(metadataRequest, 13, tooLong).topics, null)
  t.equal(tooLong.remaining, 3)

  const tooNew = decodeRequestHeader(
    new Reader(hex('0012 0063 00000005 0001 61 00'.replaceAll(' ', ''))),
  )
  t.same([tooNew.apiVersion, tooNew.correlationId, tooNew.clientId], [99, 5, 'a'])
  const unknown = decodeRequestHeader(new Reader(hex('0fff000000000005')))
  t.same([unknown.api, unknown.apiKey, unknown.correlationId], [undefined, 0x0fff, 5])
  t.throws(() => decodeRequestHeader(new Reader(hex('0012'))), MalformedError)

  const versionsAnswer = encodeResponse(apis.apiVersions.response, 3, 5, {
    errorCode: 0,
    apiKeys: [],
  })
  t.equal(
    Buffer.concat(versionsAnswer).toString('hex'),
    '0000000c00000005' + '00000100000000' + '00',
  )
})

t.test('produce decodes to slices of the frame', async (t) => {
  const records = [Buffer.alloc(100, 9)]
  const topicData = [{ name: 'orders', partitionData: [{ index: 3, records }] }]
  const frame = encode(produceRequest, 9, { acks: -1, timeoutMs: 30_000, topicData })
  const decoded = decode(produceRequest, 9, frame)
  t.equal(decoded.topicData[0]?.partitionData[0]?.records?.[0]?.buffer, frame.buffer)
  t.equal(decoded.transactionalId, null)
})

t.test('metadata records', async (t) => {
  const record = {
    type: 'TopicRecord',
    version: 0,
    value: { name: 'orders', topicId: 'AAECAwQFBgcICQoLDA0ODw' },
  } as const
  const encoded = encodeMetadataRecord(record)
  t.equal(encoded.toString('hex'), '010200076f7264657273000102030405060708090a0b0c0d0e0f00')
  t.same(decodeMetadataRecord(encoded), record)
  t.throws(() => decodeMetadataRecord(hex('020200')), /frame of version 2/)
  t.throws(() => decodeMetadataRecord(hex('016300')), /type 99, version 0/)
  t.throws(() => decodeMetadataRecord(hex('010209')), /type 2, version 9/)
  t.throws(() => decodeMetadataRecord(Buffer.concat([encoded, hex('00')])), MalformedError)
})

t.test('coordinator records', async (t) => {
  const key = { group: 'g', topic: 'orders', partition: 3 }
  const value = { offset: 42, leaderEpoch: 1, metadata: '', commitTimestamp: 1000 }
  const keyBytes = encodeCoordinatorKey(offsetCommitKey, key)
  t.equal(keyBytes.toString('hex'), '0001000167' + '00066f7264657273' + '00000003')
  const valueBytes = encodeCoordinatorValue(offsetCommitValue, 3, value)
  t.equal(valueBytes.readInt16BE(0), 3)
  t.same(decodeCoordinatorRecord(offsetsTopicRecords, keyBytes, valueBytes), {
    type: 'OffsetCommit',
    key,
    value: { ...value, expireTimestamp: -1, topicId: zeroUuid },
  })
  t.equal(decodeCoordinatorRecord(offsetsTopicRecords, keyBytes, null)?.value, null)
  t.equal(decodeCoordinatorRecord(offsetsTopicRecords, hex('0063'), null), null, 'unknown kind')
  t.throws(
    () => decodeCoordinatorRecord(offsetsTopicRecords, keyBytes, hex('0063')),
    /OffsetCommitValue of version 99/,
  )
})

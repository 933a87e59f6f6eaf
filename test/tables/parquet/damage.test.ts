/**
 * Damaged files: whatever bytes are flipped, cut out or put in, reading ends with rows or with a
 * ParquetError, soon and within bounds. `SEED=n` repeats one run, `ROUNDS=n` takes longer.
 */
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { rowPrinter } from '../../../src/tables/columns/json-text.ts'
import type { Predicate } from '../../../src/tables/columns/predicate.ts'
import {
  type FileMetaData,
  fileMetaData,
  pageHeader,
} from '../../../src/tables/parquet/metadata.ts'
import { ParquetError } from '../../../src/tables/parquet/parquet-error.ts'
import { ParquetFile } from '../../../src/tables/parquet/parquet-file.ts'
import { readThrift, writeThrift } from '../../../src/tables/parquet/thrift.ts'
import { inMemory } from '../../../src/tables/random-access.ts'
import { SeededRandom } from '../../simulator/random.ts'
import { goldenBytes, goldenNames } from './golden.ts'

const seed = Number(process.env['SEED'] ?? 1)
const rounds = Number(process.env['ROUNDS'] ?? 120)
/** A small file can say that it has 2^40 rows of nulls, and that is no lie to be found out. */
const rowsMax = 2000
const cpuMillisMax = 5000

/** Half of the damage is done to the footer, which is read first and says where all else is. */
function damage(bytes: Buffer, random: SeededRandom): Buffer {
  const damaged = Buffer.from(bytes)
  const footerBytes = bytes.readUInt32LE(bytes.length - 8)
  for (let left = random.between(1, 4); left > 0; left--) {
    const footerAt = bytes.length - 8 - footerBytes
    const at = random.between(random.chance(0.5) ? footerAt : 0, bytes.length - 1)
    const flipped = damaged[at]! ^ (1 << random.between(0, 7))
    damaged[at] = random.pick([random.between(0, 255), flipped, 255, 0])
  }
  const cut = random.between(0, bytes.length)
  const end = cut + random.between(-40, 40)
  switch (random.between(0, 11)) {
    case 0:
      return damaged.subarray(0, cut)
    case 1:
      // Some bytes are missing, or there twice.
      return Buffer.concat([damaged.subarray(0, cut), damaged.subarray(Math.max(end, 0))])
    default:
      return damaged
  }
}

async function readSome(bytes: Buffer): Promise<number> {
  const file = await ParquetFile.open(inMemory(bytes))
  await file.rangesIn(file.rowGroups[0] ?? { columns: [], numRows: 0 }, filterOn(file))
  let rows = 0
  for await (const batch of file.batches({ batchRows: 100 })) {
    const print = rowPrinter(batch.fields)
    for (let row = 0; row < batch.rowCount; row++) print(batch, row)
    rows += batch.rowCount
    if (rows >= rowsMax) break
  }
  return rows
}

/** Whatever there is of statistics, indexes and filters is looked at. */
function filterOn(file: ParquetFile): Predicate {
  const columns = file.schema.leaves.map(({ path }) => path)
  return { op: 'or', of: columns.map((column) => ({ op: 'in', column, values: [5, 'a', true] })) }
}

t.test(`files damaged at random, seed ${seed}`, async (t) => {
  const random = new SeededRandom(seed)
  const ends = { read: 0, refused: 0 }
  const wrong: string[] = []
  for (const name of goldenNames) {
    const bytes = goldenBytes(name)
    for (let round = 0; round < rounds; round++) {
      const damaged = damage(bytes, random)
      const before = process.cpuUsage()
      try {
        await readSome(damaged)
        ends.read++
      } catch (error) {
        if (error instanceof ParquetError) ends.refused++
        else wrong.push(`${name}, round ${round}: ${(error as Error).stack}`)
      }
      const { user, system } = process.cpuUsage(before)
      if ((user + system) / 1000 > cpuMillisMax) wrong.push(`${name}, round ${round}: slow`)
    }
  }
  t.strictSame(wrong, [])
  t.ok(ends.refused > 0 && ends.read > 0, JSON.stringify(ends))
  const residentMiB = process.resourceUsage().maxRSS / 1024
  t.ok(residentMiB < 1500, `${Math.round(residentMiB)} MiB at most`)
})

t.test('a file cut anywhere is refused', async (t) => {
  const bytes = goldenBytes('nested-v2')
  for (let length = 0; length < bytes.length; length += 37) {
    await t.rejects(readSome(bytes.subarray(0, length)), { name: 'ParquetError' })
  }
})

/** The page bytes, and behind them a footer that says what is told. */
function withFooter(pages: Uint8Array, metadata: FileMetaData): Buffer {
  const footer = writeThrift(fileMetaData, metadata)
  const trailer = Buffer.alloc(8, 'xxxxPAR1')
  trailer.writeUInt32LE(footer.length)
  return Buffer.concat([Buffer.from('PAR1'), pages, footer, trailer])
}

/** A file of one column (or of lists of it), INT32 unless told otherwise, with one page, all of it made up. */
function madeUp({
  body,
  type = 1,
  pageType = 0,
  compressedPageSize = body.length,
  numValues,
  numRows = numValues,
  isList = false,
  encoding = 0,
  codec = 0,
  uncompressedPageSize = body.length,
}: {
  body: Uint8Array
  type?: number
  pageType?: number
  compressedPageSize?: number
  numValues: number
  numRows?: number
  isList?: boolean
  encoding?: number
  codec?: number
  uncompressedPageSize?: number
}): Buffer {
  const header = writeThrift(pageHeader, {
    type: pageType,
    uncompressedPageSize,
    compressedPageSize,
    dataPageHeader: {
      numValues,
      encoding,
      definitionLevelEncoding: 3,
      repetitionLevelEncoding: 3,
    },
  })
  const leaf = { type, repetitionType: isList ? 2 : 1, name: 'a' }
  const metaData = {
    type,
    encodings: [encoding],
    pathInSchema: ['a'],
    codec,
    numValues,
    totalUncompressedSize: 100,
    totalCompressedSize: header.length + body.length,
    dataPageOffset: 4,
  }
  return withFooter(Buffer.concat([header, body]), {
    version: 1,
    schema: [{ name: 'root', numChildren: 1 }, leaf],
    numRows,
    rowGroups: [{ columns: [{ metaData }], numRows }],
  })
}

/** Levels of one value, as a run of 2^31 - 1 of them. */
function endlessRun(level: number): Buffer {
  return Buffer.from([6, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff, 0x0f, level])
}

t.test('a few bytes that stand for a great many', async (t) => {
  const many = 2 ** 31 - 1
  const nulls = madeUp({ body: endlessRun(0), numValues: many })
  t.equal(await readSome(nulls), rowsMax, 'rows of nulls come as they are asked for')

  const values = madeUp({ body: endlessRun(1), numValues: many })
  await t.rejects(readSome(values), { reason: 'corrupt', message: /fewer values than it says/ })

  const oneRow = Buffer.concat([endlessRun(1), endlessRun(0)])
  const list = madeUp({ body: oneRow, numValues: many, numRows: 1, isList: true })
  await t.rejects(readSome(list), { reason: 'corrupt', message: /begins with a repetition/ })

  const levels = Buffer.from([8, 0, 0, 0, 2, 0, 0xfe, 0xff, 0xff, 0xff, 0x0f, 1])
  const longRow = madeUp({
    body: Buffer.concat([levels, endlessRun(0)]),
    numValues: many,
    numRows: 1,
    isList: true,
  })
  await t.rejects(readSome(longRow), { reason: 'limit', message: /values in 1 rows/ })

  // Blocks of 2^20 lengths in 0 bits, all of one miniblock; the first length is in the header.
  const blocks = Buffer.alloc(2 * 2048)
  const lengths = Buffer.from([0x80, 0x80, 0x40, 1, 0xff, 0xff, 0xff, 0xff, 0x07, 0, ...blocks])
  const present = Buffer.concat([endlessRun(1), lengths])
  const texts = madeUp({ body: present, type: 6, encoding: 6, numValues: many })
  t.equal(await readSome(texts), rowsMax, 'lengths come as they are asked for')
  const shared = madeUp({
    ...{ body: Buffer.concat([present, lengths]), type: 6, encoding: 7, numValues: many },
  })
  t.equal(await readSome(shared), rowsMax)
  const cut = madeUp({ body: present.subarray(0, -1), type: 6, encoding: 6, numValues: many })
  await t.rejects(readSome(cut), { reason: 'corrupt', message: /ends within its deltas/ })

  const beyond = { body: Buffer.alloc(100), pageType: 1, compressedPageSize: 2 ** 28 }
  await t.rejects(readSome(madeUp({ ...beyond, numValues: 1 })), {
    reason: 'corrupt',
    message: /a page at/,
  })

  const huge = madeUp({ body: Buffer.alloc(4), numValues: 1, uncompressedPageSize: many, codec: 2 })
  await t.rejects(readSome(huge), { reason: 'limit', message: /a page of 2147483647 bytes/ })

  const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024))
  const lies = madeUp({ body: bomb, numValues: 10, uncompressedPageSize: 100, codec: 2 })
  await t.rejects(readSome(lies), { reason: 'corrupt', message: /more than 100 bytes/ })
  const boundless = madeUp({
    body: Buffer.from([0xff, 0xff, 0xff, 0xff, 0x07, 0]),
    numValues: 1,
    codec: 1,
    uncompressedPageSize: 2 ** 28,
  })
  await t.rejects(readSome(boundless), { name: 'ParquetError' })
})

t.test('schemas without an end', async (t) => {
  const nested = { name: 'root', numChildren: 1 }
  const deep = Array.from({ length: 100_000 }, () => ({ ...nested, repetitionType: 1 }))
  const file = (schema: FileMetaData['schema']): Buffer =>
    withFooter(Buffer.alloc(0), { version: 1, schema, numRows: 0, rowGroups: [] })
  await t.rejects(readSome(file(deep)), { reason: 'limit', message: /groups nested more than/ })
  await t.rejects(readSome(file([{ name: 'root', numChildren: 2 ** 31 - 1 }])), {
    name: 'ParquetError',
    reason: 'corrupt',
  })
  const elements = Buffer.from([0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x0f])
  const trailer = Buffer.from([elements.length, 0, 0, 0, ...Buffer.from('PAR1')])
  await t.rejects(readSome(Buffer.concat([Buffer.from('PAR1'), elements, trailer])), {
    name: 'ParquetError',
    reason: 'limit',
  })
  const within = Buffer.alloc(5000, 0x3c)
  t.throws(() => readThrift(fileMetaData, within), {
    reason: 'limit',
    message: /nested too deeply/,
  })
})

t.test('what is not supported is refused by its name', async (t) => {
  const lzo = madeUp({ body: endlessRun(1), numValues: 1, codec: 3 })
  await t.rejects(readSome(lzo), { reason: 'unsupported', message: /LZO/ })
  const alp = madeUp({ body: endlessRun(1), numValues: 1, encoding: 10 })
  await t.rejects(readSome(alp), { reason: 'unsupported', message: /ALP/ })
  const encrypted = Buffer.from('PAR1xxxxxxxxPARE')
  await t.rejects(readSome(encrypted), { reason: 'unsupported', message: /encrypted/ })
})

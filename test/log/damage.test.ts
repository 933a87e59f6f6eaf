/**
 * Every kind of file times every kind of damage, after a clean stop and after a kill: what can be
 * built again is, and of the records only those that were hit are gone.
 */
import t from 'tap'
import * as header from '../../protocol/records/batch.ts'
import { encodeBatch } from '../../protocol/records/record.ts'
import { SeededRandom } from '../simulator/random.ts'
import { Fixture, logPath } from './log-fixture.ts'

const config = { segmentBytes: 2500, indexIntervalBytes: 200, retentionMs: -1 }

function marker(isCommit: boolean): Buffer {
  return encodeBatch({
    records: [
      {
        timestamp: 1_767_225_600_000,
        key: Buffer.from([0, 0, 0, isCommit ? 1 : 0]),
        value: Buffer.from([0, 0, 0, 0, 0, 3]),
      },
    ],
    producerId: 7,
    producerEpoch: 0,
    isTransactional: true,
    isControl: true,
  })
}

/** Sixty batches in several segments: an idempotent producer, a transactional one, three epochs. */
async function filled(options: ConstructorParameters<typeof Fixture>[0] = {}) {
  const fixture = new Fixture({ config, ...options })
  const { log, world } = fixture
  const own = { producerId: 9, producerEpoch: 0 }
  for (let index = 0; index < 60; index++) {
    const epoch = Math.floor(index / 25)
    await fixture.append([`value ${index}`, 'second'], { ...own, baseSequence: index * 2 }, epoch)
    await world.runFor(1000)
    if (index % 6 !== 1) continue
    const sequence = (index - 1) / 6
    const batch = { producerId: 7, producerEpoch: 0, baseSequence: sequence }
    await fixture.append(['in a transaction'], { ...batch, isTransactional: true }, epoch)
    await world.run(log.append(marker(index % 12 === 1), epoch, 'coordinator').written)
  }
  log.updateHighWatermark(log.logEndOffset)
  return fixture
}

interface Seen {
  readonly bytes: Buffer
  readonly batches: readonly number[]
  readonly aborted: unknown
  readonly epochs: unknown
  readonly times: readonly unknown[]
  /** The batches that reads find which do not go on where another ended. */
  readonly found: readonly number[]
}

/** What a reader of the log can find out. */
async function look(fixture: Fixture): Promise<Seen> {
  const { log, world } = fixture
  const bytes = await fixture.readAll()
  const batches = [...header.batches(bytes)]
  const times: unknown[] = []
  for (const at of batches.filter((_, index) => index % 5 === 0)) {
    times.push(await world.run(log.reader.offsetForTimestamp(header.maxTimestamp(bytes, at))))
  }
  times.push(await world.run(log.reader.offsetOfMaxTimestamp()))
  const found: number[] = []
  for (const at of batches.toReversed()) {
    const offset = header.lastOffset(bytes, at)
    const limits = { maxBytes: 1, minOneBatch: true, upToOffset: log.logEndOffset }
    const read = Promise.resolve(log.reader.read({ offset, ...limits }))
    found.push((await world.run(read)).firstOffset)
  }
  const epochs = [0, 1, 2].map((epoch) => log.endOffsetFor(epoch))
  const aborted = log.reader.abortedTransactions(0, log.logEndOffset)
  return { bytes, batches, aborted, epochs, times, found }
}

type Change = (fixture: Fixture, path: string) => void

function rewrite(fixture: Fixture, path: string, bytes: Buffer): void {
  const file = fixture.disk.open(path, 'create')
  file.truncate(0)
  file.write([bytes], 0)
  file.close()
}

const rewritten =
  (change: (bytes: Buffer, random: SeededRandom) => Buffer): Change =>
  (fixture, path) =>
    rewrite(fixture, path, change(fixture.disk.readFile(path), new SeededRandom(path.length)))

const damages: Record<string, Change> = {
  missing: (fixture, path) => fixture.disk.remove(path),
  empty: rewritten(() => Buffer.alloc(0)),
  'a byte short': rewritten((bytes) => bytes.subarray(0, -1)),
  'an entry short': rewritten((bytes) => bytes.subarray(0, Math.max(0, bytes.length - 24))),
  zeros: rewritten((bytes) => Buffer.alloc(bytes.length)),
  'preallocated zeros behind': rewritten((bytes) => Buffer.concat([bytes, Buffer.alloc(2400)])),
  'garbage behind': rewritten((bytes, random) => Buffer.concat([bytes, random.bytes(240)])),
  garbage: rewritten((bytes, random) => random.bytes(bytes.length)),
  'all ones': rewritten((bytes) => Buffer.alloc(bytes.length, 0xff)),
  backwards: rewritten((bytes) => Buffer.from(bytes).reverse()),
  'one bit flipped': rewritten((bytes) => {
    const flipped = Buffer.from(bytes)
    const at = flipped.length >> 1
    if (flipped.length > 0) flipped[at] = (flipped[at] as number) ^ 0x20
    return flipped
  }),
  'far positions before the last': rewritten((bytes) => {
    const far = Buffer.from(bytes)
    for (let at = 5; at < far.length - 8; at += 8) far[at] = (far[at] as number) ^ 0x40
    return far
  }),
  text: rewritten(() => Buffer.from('0\nthree\n1 2 3\n')),
  'a directory in its place': (fixture, path) => {
    fixture.disk.remove(path)
    fixture.disk.makeDirectory(`${path}/within`)
  },
}

const rebuilt = ['.index', '.timeindex', '.txnindex', '.snapshot', 'leader-epoch-checkpoint']

/** A file of aborted transactions that lost whole entries, but not all, tells nothing of it. */
const isUnknowable = (kind: string, name: string): boolean =>
  kind === '.txnindex' && name === 'an entry short'

/** Whether a line names the partition; a loss of one entry hides among those that are never written. */
const isTold = (kind: string, name: string): boolean =>
  kind.endsWith('index') && !/^(an entry short|preallocated|one bit|far)/.test(name)

t.test('what can be built again serves the same, whatever is in the file', async (t) => {
  const expected = await look(await filled())
  t.equal((expected.aborted as unknown[]).length, 5)
  for (const kind of rebuilt) {
    for (const [name, damage] of Object.entries(damages)) {
      if (isUnknowable(kind, name)) continue
      for (const end of ['clean stop', 'kill']) {
        const what = `${kind}, ${name}, after a ${end}`
        const fixture = await filled()
        const hit = () => {
          const files = fixture.files(kind)
          t.ok(files.length > 0, `there is a ${kind}`)
          for (const file of files) damage(fixture, `${logPath}/${file}`)
        }
        if (end === 'kill') {
          await fixture.world.run(fixture.log.flush())
          fixture.directory.logs.writeCheckpoints()
          hit()
          fixture.kill()
        } else {
          await fixture.restart(hit)
        }
        fixture.log.updateHighWatermark(fixture.log.logEndOffset)
        t.strictSame(await look(fixture), expected, what)
        if (end === 'clean stop' && isTold(kind, name)) {
          t.match(fixture.lines.join('\n'), /(warn|error) .*orders-0/, `${what}: told`)
        }
        const again = { producerId: 9, producerEpoch: 0, baseSequence: 118 }
        const repeated = await fixture.append(['value 59', 'second'], again, 2)
        t.ok(repeated.isDuplicate, `${what}: producers are known`)
        await fixture.append(['next'], { ...again, baseSequence: 120 }, 3)
        t.equal(fixture.directory.failure, null, `${what}: the directory is well`)
        await fixture.restart()
        t.equal(
          (await look(fixture)).batches.length,
          expected.batches.length + 1,
          `${what}: goes on`,
        )
      }
    }
  }
})

/** Where the batches of one segment lie: position and bytes in the file, first and last offset. */
interface Place {
  readonly path: string
  readonly at: number
  readonly bytes: number
  readonly base: number
  readonly last: number
}

function placesIn(fixture: Fixture, file: string): Place[] {
  const path = `${logPath}/${file}`
  const content = fixture.disk.readFile(path)
  return [...header.batches(content)].map((at) => ({
    path,
    at,
    bytes: header.batchBytes(content, at),
    base: header.baseOffset(content, at),
    last: header.lastOffset(content, at),
  }))
}

function patch(fixture: Fixture, path: string, at: number, bytes: Buffer): void {
  const file = fixture.disk.open(path, 'write')
  file.write([bytes], at)
  file.close()
}

function flip(fixture: Fixture, { path, at }: Place, byte: number, mask = 0x11): void {
  const content = fixture.disk.readFile(path)
  patch(fixture, path, at + byte, Buffer.from([(content[at + byte] as number) ^ mask]))
}

interface LogDamage {
  readonly name: string
  /** Which segment: 0 the first, -1 the last. */
  readonly segment: number
  /** Does it, and tells which batches are hit. */
  readonly hit: (fixture: Fixture, places: Place[]) => Place[]
}

/** What was below the recovery point, hit in any way, and what is left of it. */
const logDamages: LogDamage[] = [
  ...[0, 2, 6, 7].map((byte) => header1(`base offset, byte ${byte}`, byte)),
  ...[8, 9, 10, 11].map((byte) => header1(`length, byte ${byte}`, byte)),
  ...[12, 13, 14, 15].map((byte) => header1(`leader epoch, byte ${byte}`, byte)),
  header1('magic', 16),
  {
    name: 'header all zeros before the CRC',
    segment: 1,
    hit: (fixture, places) => {
      const hit = places[2] as Place
      patch(fixture, hit.path, hit.at, Buffer.alloc(17))
      return []
    },
  },
  stretch('a batch of zeros', 1, 3, 1, (bytes) => Buffer.alloc(bytes)),
  stretch('three batches of zeros', 1, 2, 3, (bytes) => Buffer.alloc(bytes)),
  stretch('a batch of garbage', 1, 3, 1, (bytes) => new SeededRandom(3).bytes(bytes)),
  stretch('the first batch of a segment', 1, 0, 1, (bytes) => Buffer.alloc(bytes, 7)),
  stretch('the last batch of a closed segment', 1, -1, 1, (bytes) => Buffer.alloc(bytes, 2)),
  {
    name: 'bytes taken out',
    segment: 1,
    hit: (fixture, places) => {
      const [, , third, fourth] = places as [Place, Place, Place, Place]
      const content = fixture.disk.readFile(third.path)
      const [from, to] = [third.at + 30, fourth.at + 10]
      const left = [content.subarray(0, from), content.subarray(to)]
      rewrite(fixture, third.path, Buffer.concat(left))
      return [third, fourth]
    },
  },
  {
    name: 'bytes put in',
    segment: 1,
    hit: (fixture, places) => {
      const third = places[2] as Place
      const content = fixture.disk.readFile(third.path)
      const at = third.at + 40
      const parts = [content.subarray(0, at), Buffer.from('oops'), content.subarray(at)]
      rewrite(fixture, third.path, Buffer.concat(parts))
      return [third]
    },
  },
  {
    name: 'a closed segment cut',
    segment: 1,
    hit: (fixture, places) => {
      const sixth = places[5] as Place
      const content = fixture.disk.readFile(sixth.path)
      rewrite(fixture, sixth.path, content.subarray(0, sixth.at + 20))
      return places.slice(5)
    },
  },
  {
    name: 'a closed segment empty',
    segment: 1,
    hit: (fixture, places) => {
      rewrite(fixture, (places[0] as Place).path, Buffer.alloc(0))
      return places
    },
  },
  {
    name: 'a segment missing in the middle',
    segment: 1,
    hit: (fixture, places) => {
      const { path } = places[0] as Place
      for (const suffix of ['log', 'index', 'timeindex', 'txnindex', 'snapshot']) {
        fixture.disk.remove(path.replace(/log$/, suffix))
      }
      return places
    },
  },
  {
    name: 'the oldest segment missing',
    segment: 0,
    hit: (fixture, places) => {
      fixture.disk.remove((places[0] as Place).path)
      return places
    },
  },
  {
    name: 'a segment under a wrong name',
    segment: 1,
    hit: (fixture, places) => {
      const [{ path }] = places as [Place]
      fixture.disk.rename(path, `${logPath}/00000000000000000500.log`)
      return []
    },
  },
  {
    name: 'a copy of a segment under a wrong name',
    segment: 1,
    hit: (fixture, places) => {
      const [{ path }] = places as [Place]
      rewrite(fixture, `${logPath}/00000000000000000011.log`, fixture.disk.readFile(path))
      return []
    },
  },
  ...['log.swap', 'log.cleaned', 'log.deleted', 'log.damaged', 'txt'].map(
    (suffix): LogDamage => ({
      name: `an empty .${suffix} left over`,
      segment: 1,
      hit: (fixture, places) => {
        const [{ path }] = places as [Place]
        rewrite(fixture, path.replace(/log$/, suffix), Buffer.alloc(0))
        return []
      },
    }),
  ),
  {
    name: 'an empty segment far ahead',
    segment: -1,
    hit: (fixture) => {
      rewrite(fixture, `${logPath}/00000000000000090000.log`, Buffer.alloc(0))
      return []
    },
  },
  ...[Buffer.alloc(5000), new SeededRandom(1).bytes(3000), Buffer.from('x')].map(
    (more, index): LogDamage => ({
      name: `grown by ${['zeros', 'garbage', 'a byte'][index]}`,
      segment: -1,
      hit: (fixture, places) => {
        const { path } = places[0] as Place
        rewrite(fixture, path, Buffer.concat([fixture.disk.readFile(path), more]))
        return []
      },
    }),
  ),
  stretch('the last batch but one', -1, -2, 1, (bytes) => Buffer.alloc(bytes, 9)),
  stretch('the last batch', -1, -1, 1, (bytes) => Buffer.alloc(bytes, 9)),
  {
    name: 'base offset of the last batch of all',
    segment: -1,
    hit: (fixture, places) => {
      flip(fixture, places.at(-1) as Place, 7, 0x01)
      return []
    },
  },
  {
    name: 'the last batch but one, and the base offset of the last flipped far away',
    segment: -1,
    hit: (fixture, places) => {
      const [before, last] = places.slice(-2) as [Place, Place]
      patch(fixture, before.path, before.at, Buffer.alloc(before.bytes, 9))
      flip(fixture, last, 1, 0x10)
      return [before, last]
    },
  },
  {
    name: 'a batch twice',
    segment: 1,
    hit: (fixture, places) => {
      const { path, at, bytes } = places[3] as Place
      const content = fixture.disk.readFile(path)
      const end = at + bytes
      const parts = [content.subarray(0, end), content.subarray(at, end), content.subarray(end)]
      rewrite(fixture, path, Buffer.concat(parts))
      return []
    },
  },
  {
    name: 'a closed segment grown by garbage',
    segment: 1,
    hit: (fixture, places) => {
      const { path } = places[0] as Place
      const more = new SeededRandom(5).bytes(900)
      rewrite(fixture, path, Buffer.concat([fixture.disk.readFile(path), more]))
      return []
    },
  },
]

function header1(name: string, byte: number): LogDamage {
  const hit = (fixture: Fixture, places: Place[]) => {
    flip(fixture, places[3] as Place, byte)
    return []
  }
  return { name: `${name} flipped`, segment: 1, hit }
}

function stretch(
  name: string,
  segment: number,
  first: number,
  count: number,
  content: (bytes: number) => Buffer,
): LogDamage {
  const hit = (fixture: Fixture, places: Place[]) => {
    const from = first < 0 ? places.length + first : first
    const batches = places.slice(from, from + count)
    for (const { path, at, bytes } of batches) patch(fixture, path, at, content(bytes))
    return batches
  }
  return { name, segment, hit }
}

t.test('of durable records only those that were hit are gone', async (t) => {
  for (const { name, segment, hit } of logDamages) {
    for (const end of ['clean stop', 'kill']) {
      const what = `${name}, after a ${end}`
      const fixture = await filled()
      const all = fixture.files('.log').flatMap((file) => placesIn(fixture, file))
      const before = await fixture.readAll()
      const endOffset = fixture.log.logEndOffset
      let gone: Place[] = []
      const change = () => {
        const file = fixture.files('.log').at(segment) as string
        gone = hit(fixture, placesIn(fixture, file))
      }
      if (end === 'kill') {
        await fixture.world.run(fixture.log.flush())
        fixture.directory.logs.writeCheckpoints()
        change()
        fixture.kill()
      } else {
        await fixture.restart(change)
      }
      let wrong = ''
      let at = 0
      for (const { base, last, bytes } of all) {
        const expected = before.subarray(at, at + bytes)
        at += bytes
        const isGone = gone.some((one) => one.base === base)
        try {
          const found = await fixture.read(base, { maxBytes: bytes, upToOffset: last + 1 })
          const isSame = Buffer.concat([...found.chunks]).equals(expected)
          if (isSame === isGone) wrong += ` ${base}`
        } catch {
          if (!isGone) wrong += ` ${base}!`
        }
      }
      t.equal(wrong, '', what)
      const told = fixture.lines.filter((line) => / (warn|error) .*"orders-0"/.test(line))
      const isSilent = /txt|damaged left|cleaned left|deleted left|segment grown/.test(name)
      if (!isSilent) t.ok(told.length > 0 && told.length < 8, `${what}: said\n${told.join('\n')}`)
      t.equal(fixture.log.logEndOffset, endOffset, `${what}: the end`)
      t.equal((await fixture.append(['next'], {}, 3)).baseOffset, endOffset, `${what}: goes on`)
      await fixture.restart()
      t.equal((await fixture.read(endOffset)).firstOffset, endOffset, `${what}: and on`)
      t.equal(fixture.directory.failure, null)
    }
  }
})

t.test(
  'above the recovery point a log ends before damage, and says what went with it',
  async (t) => {
    const setup = async () => {
      const fixture = new Fixture()
      for (let index = 0; index < 6; index++) await fixture.append([`value ${index}`])
      const [file] = fixture.files('.log') as [string]
      return { fixture, places: placesIn(fixture, file) }
    }
    const torn = await setup()
    const last = torn.places.at(-1) as Place
    // A sector was written, the next one was not: what is left looks like a message of magic 0.
    patch(torn.fixture, last.path, last.at + 16, Buffer.alloc(last.bytes - 16))
    torn.fixture.kill()
    t.equal(torn.fixture.log.logEndOffset, 5)
    t.match(torn.fixture.lines.join('\n'), /warn log cut at the last whole batch .*orders-0/)

    const inside = await setup()
    flip(inside.fixture, inside.places[2] as Place, 70)
    inside.fixture.kill()
    t.equal(inside.fixture.log.logEndOffset, 2)
    t.match(
      inside.fixture.lines.join('\n'),
      /error log cut before a damaged batch, with .*orders-0/,
    )
    t.equal((await inside.fixture.readAll()).length, (inside.places[2] as Place).at)
  },
)

t.test('what concerns one partition only does not fence its directory', async (t) => {
  const fixture = await filled()
  const [, file] = fixture.files('.log') as [string, string]
  const hide = () => {
    fixture.disk.remove(`${logPath}/${file}`)
    fixture.disk.makeDirectory(`${logPath}/${file}`)
  }
  await t.rejects(fixture.restart(hide), { code: 'EDAMAGED' })
  t.equal(fixture.directory.failure, null)
})

t.test('after a sync that failed nothing counts as durable any more', async (t) => {
  const { log, world, disk, append } = await filled().then((fixture) => ({
    log: fixture.log,
    world: fixture.world,
    disk: fixture.disk,
    append: () => fixture.append(['more'], {}, 3),
  }))
  await world.run(log.flush())
  const durable = log.recoveryPoint
  await append()
  disk.fault = (operation) => (operation === 'sync' ? 'EIO' : undefined)
  await t.rejects(world.run(log.flush()), { code: 'EIO' })
  disk.fault = undefined
  await t.rejects(world.run(Promise.resolve().then(() => log.flush())))
  t.equal(log.recoveryPoint, durable)
})

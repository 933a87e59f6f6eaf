/** What a log is after it was closed, killed, robbed of power, or tampered with. */
import t from 'tap'
import * as header from '../../protocol/records/batch.ts'
import { encodeMessageSet } from '../../protocol/records/message-set.ts'
import { replaceFile } from '../../src/log/checkpoints.ts'
import { SeededRandom } from '../simulator/random.ts'
import { Fixture, filled, logPath, overwrite, small } from './log-fixture.ts'

const lastLog = (fixture: Fixture) => `${logPath}/${fixture.files('.log').at(-1)}`

t.test('a clean restart finds everything, and reads nothing to do so', async (t) => {
  const fixture = await filled()
  const bytes = await fixture.readAll()
  let reads = 0
  await fixture.restart(() => {
    t.strictSame(
      fixture.files('.index').length,
      fixture.files('.log').length,
      'every segment has its indexes',
    )
    t.equal(fixture.files('.timeindex').length, fixture.files('.log').length)
    t.equal(
      fixture.disk.readFile('/data/.kafka_cleanshutdown').toString(),
      '{"version":0,"brokerEpoch":7}',
    )
    const line = 'orders 0 24\n'
    t.equal(
      fixture.disk.readFile('/data/recovery-point-offset-checkpoint').toString(),
      `0\n1\n${line}`,
    )
  })
  t.equal(fixture.directory.cleanShutdownBrokerEpoch, 7)
  t.equal(fixture.log.logEndOffset, 24)
  t.equal(fixture.log.recoveryPoint, 24)
  t.ok((await fixture.readAll()).equals(bytes))
  fixture.disk.fault = () => {
    reads++
    return undefined
  }
  const { disk } = fixture
  t.notOk(disk.exists('/data/.kafka_cleanshutdown'), 'so that a second end counts as unclean')
  const next = { producerId: 9, producerEpoch: 0, baseSequence: 24 }
  t.equal((await fixture.append(['next'], next)).baseOffset, 24, 'in sequence')
  t.ok(reads < 50)
})

t.test(
  'an unclean end: what was written is found, indexes and producers are rebuilt',
  async (t) => {
    const fixture = await filled()
    const bytes = await fixture.readAll()
    fixture.kill()
    t.notOk(fixture.directory.isClean)
    t.equal(fixture.log.logEndOffset, 24)
    t.ok((await fixture.readAll()).equals(bytes))
    const again = { producerId: 9, producerEpoch: 0, baseSequence: 22 }
    t.match(await fixture.append(['value 11', 'second'], again), {
      isDuplicate: true,
      baseOffset: 22,
    })
    for (const damage of ['.index', '.timeindex', '.snapshot', 'leader-epoch-checkpoint']) {
      await fixture.restart(() => {
        for (const name of fixture.files(damage)) fixture.disk.remove(`${logPath}/${name}`)
      })
      t.ok((await fixture.readAll()).equals(bytes), `without ${damage}`)
      t.match(await fixture.append(['value 11', 'second'], again), { isDuplicate: true })
      t.strictSame(fixture.log.endOffsetFor(0), { leaderEpoch: 0, endOffset: 24 })
    }
    for (const suffix of ['.index', '.timeindex', '.snapshot']) {
      await fixture.restart(() => {
        for (const name of fixture.files(suffix)) {
          const file = fixture.disk.open(`${logPath}/${name}`, 'write')
          file.write([Buffer.alloc(file.size() + 5)], 0)
          file.close()
        }
      })
      t.ok((await fixture.readAll()).equals(bytes), `${suffix} full of zeros`)
      t.match(await fixture.append(['value 11', 'second'], again), { isDuplicate: true })
    }
  },
)

t.test(
  'leader epochs of which there are no batches, or that are none, are dropped, and told',
  async (t) => {
    for (const stored of ['0\n2\n0 0\n9000 3\n', '0\n2\n0 0\n1 99999\n', 'garbage']) {
      for (const end of ['kill', 'restart'] as const) {
        const fixture = await filled()
        const bytes = await fixture.readAll()
        const meddle = (): void => {
          const file = fixture.disk.open(`${logPath}/leader-epoch-checkpoint`, 'create')
          file.truncate(0)
          file.write([Buffer.from(stored)], 0)
          file.close()
        }
        if (end === 'restart') await fixture.restart(meddle)
        else {
          meddle()
          fixture.kill()
        }
        t.match(fixture.lines, [/leader epochs.*orders-0/], `${stored} after ${end}`)
        t.strictSame(fixture.log.endOffsetFor(0), { leaderEpoch: 0, endOffset: 24 })
        t.ok((await fixture.readAll()).equals(bytes))
      }
    }
  },
)

t.test('cut at any byte, the log is a prefix of whole batches', async (t) => {
  const tiny = { config: { segmentBytes: 420 } }
  const original = await filled(8, tiny)
  const bytes = await original.readAll()
  const starts = [...header.batches(bytes)]
  const size = original.disk.stat(lastLog(original)).size
  const inActive = bytes.length - size
  for (let cut = 0; cut < size; cut++) {
    const fixture = await filled(8, tiny)
    const file = fixture.disk.open(lastLog(fixture), 'write')
    file.truncate(cut)
    file.close()
    fixture.kill()
    const kept = starts.findLast((at) => at <= inActive + cut) as number
    const left = await fixture.readAll()
    if (!left.equals(bytes.subarray(0, kept))) t.fail(`cut at ${cut}`)
    if (fixture.disk.stat(lastLog(fixture)).size !== left.length - inActive)
      t.fail(`size at ${cut}`)
    const sequence = fixture.log.logEndOffset
    const next = { producerId: 9, producerEpoch: 0, baseSequence: sequence }
    const appended = await fixture.append(['goes', 'on'], next)
    if (appended.baseOffset !== sequence || appended.isDuplicate) t.fail(`append after ${cut}`)
  }
  t.pass(`${size} places`)
})

t.test('a flipped bit ends the log before its batch, and later segments go', async (t) => {
  const original = await filled(12)
  const bytes = await original.readAll()
  const starts = [...header.batches(bytes)]
  const first = original.files('.log')[0] as string
  const size = original.disk.stat(`${logPath}/${first}`).size
  for (let at = 0; at < size; at += 3) {
    // Offset and leader epoch lie outside the CRC: there only some flips can be noticed.
    const start = starts.findLast((batch) => batch <= at) as number
    const inBatch = at - start
    if (inBatch < 8 || (inBatch >= 12 && inBatch < 16)) continue
    const fixture = await filled(12)
    const file = fixture.disk.open(`${logPath}/${first}`, 'write')
    file.write([Buffer.from([bytes[at]! ^ 0x10])], at)
    file.close()
    for (const name of ['recovery-point-offset-checkpoint']) fixture.disk.remove(`/data/${name}`)
    fixture.kill()
    const left = await fixture.readAll()
    if (!left.equals(bytes.subarray(0, start))) t.fail(`flip at ${at}: ${left.length}`)
    if (fixture.files('.log').length !== 1) t.fail(`segments after flip at ${at}`)
  }
  t.pass(`${size} bytes`)
})

/**
 * Some turns of a leader: appends, flushes, checkpoints; where `cuts`, also truncations under a new
 * epoch.
 */
async function live(fixture: Fixture, random: SeededRandom, epoch: number, cuts: boolean) {
  fixture.log.assignEpochStart(epoch)
  const turns = random.between(1, 25)
  for (let turn = 0; turn < turns; turn++) {
    if (cuts && random.chance(0.15)) {
      fixture.log.truncateTo(Math.max(0, fixture.log.nextOffset - random.between(1, 8)))
      epoch++
    } else {
      const values = Array.from({ length: random.between(1, 3) }, () =>
        'x'.repeat(random.between(0, 50)),
      )
      await fixture.append(values, {}, epoch)
    }
    if (random.chance(0.1)) await fixture.world.run(fixture.log.flush())
    if (random.chance(0.1)) fixture.directory.logs.writeCheckpoints()
  }
  return epoch
}

t.test('power losses: what was synced is there, the rest is a prefix', async (t) => {
  for (let seed = 1; seed <= 80; seed++) {
    const random = new SeededRandom(seed)
    const cuts = seed % 2 === 0
    const flushMessages = seed % 3 === 0 ? 1 : 1e9
    const fixture = new Fixture({ seed, config: { ...small, flushMessages } })
    let epoch = 0
    for (let life = 0; life < 4; life++) {
      epoch = await live(fixture, random, epoch + 1, cuts)
      const durable = fixture.log.recoveryPoint
      const before = await fixture.readAll()
      const end = [...header.batches(before)].find((at) => header.baseOffset(before, at) >= durable)
      fixture.crash()
      const left = await fixture.readAll()
      const kept = before.subarray(0, end)
      if (!left.subarray(0, kept.length).equals(kept)) t.fail(`seed ${seed}: lost below ${durable}`)
      if (!cuts && !before.subarray(0, left.length).equals(left)) t.fail(`seed ${seed}: no prefix`)
      let expected = 0
      let lastEpoch = 0
      for (const at of header.batches(left)) {
        const batchEpoch = header.partitionLeaderEpoch(left, at)
        if (header.baseOffset(left, at) !== expected) t.fail(`seed ${seed}: a hole at ${expected}`)
        if (batchEpoch < lastEpoch) t.fail(`seed ${seed}: epoch ${batchEpoch} after ${lastEpoch}`)
        expected = header.lastOffset(left, at) + 1
        lastEpoch = batchEpoch
      }
      const { endOffset } = fixture.log.endOffsetFor(lastEpoch)
      if (expected > 0 && endOffset !== expected) t.fail(`seed ${seed}: epoch ends at ${endOffset}`)
    }
  }
  t.pass('80 seeds')
})

t.test('what a kill left in the page cache is durable before it is read', async (t) => {
  for (const config of [{ flushMessages: 1 }, { flushMs: 500 }]) {
    for (let seed = 1; seed <= 10; seed++) {
      const fixture = new Fixture({ seed, config: { ...small, ...config } })
      // Killed after the write, before the sync that would have acknowledged it.
      fixture.log.append(fixture.batch(['a', 'b']), 0).written.catch(() => {})
      await fixture.world.runFor(0.5)
      const end = fixture.kill().log.logEndOffset
      if (fixture.crash().log.logEndOffset !== end) t.fail(`seed ${seed}: lost of ${end}`)
      t.equal(end, 2)
    }
  }
})

t.test('a producer whose batches retention took is known after a power loss', async (t) => {
  for (let seed = 1; seed <= 40; seed++) {
    const config = { ...small, flushMessages: 1, retentionMs: 1_000 }
    const fixture = new Fixture({ seed, config })
    const producer = { producerId: 7, producerEpoch: 0 }
    for (let baseSequence = 0; baseSequence < 12; baseSequence++) {
      await fixture.append(['x'.repeat(200)], { ...producer, baseSequence })
    }
    fixture.log.updateHighWatermark(12)
    await fixture.world.runFor(2_000)
    // Half of them before the sync that follows a roll is done.
    if (seed % 2 === 0) fixture.kill().log.updateHighWatermark(12)
    t.ok(fixture.log.deleteOldSegments() > 0)
    t.equal(fixture.log.logStartOffset, 12)
    fixture.crash()
    const again = fixture.log.append(fixture.batch(['again'], { ...producer, baseSequence: 11 }), 0)
    t.ok(again.isDuplicate, `seed ${seed}`)
  }
})

t.test(
  'a producer is known where a power loss brings back what retention took, twice',
  async (t) => {
    for (let seed = 1; seed <= 60; seed++) {
      const config = { ...small, segmentMs: 1, flushMessages: 1, retentionMs: 1_000 }
      const fixture = new Fixture({ seed, config })
      const producer = { producerId: 7, producerEpoch: 0 }
      // Of this one retention takes all for good, while segments behind it come back.
      const early = { producerId: 5, producerEpoch: 0, baseSequence: 0 }
      await fixture.append(['early'], early)
      await fixture.world.runFor(10)
      for (let baseSequence = 0; baseSequence < 4; baseSequence++) {
        await fixture.append([`${baseSequence}`], { ...producer, baseSequence })
        await fixture.world.runFor(10)
      }
      await fixture.world.run(fixture.log.flush())
      for (let life = 0; life < 3; life++) {
        if (seed % 2 === 0) fixture.directory.logs.writeCheckpoints()
        fixture.log.updateHighWatermark(5)
        await fixture.world.runFor(2_000)
        fixture.log.deleteOldSegments()
        t.equal(fixture.log.logStartOffset, 5)
        fixture.crash()
        t.equal(fixture.log.logEndOffset, 5)
      }
      const first = fixture.log.append(fixture.batch(['early'], early), 0)
      t.ok(first.isDuplicate, `seed ${seed}: so is who wrote before it`)
      const again = fixture.log.append(fixture.batch(['3'], { ...producer, baseSequence: 3 }), 0)
      t.ok(again.isDuplicate, `seed ${seed}: the last is known`)
      const next = fixture.log.append(fixture.batch(['4'], { ...producer, baseSequence: 4 }), 0)
      t.equal(next.baseOffset, 5, `seed ${seed}: the next is taken`)
    }
  },
)

t.test('a producer is known where the snapshot behind what retention took was gone', async (t) => {
  for (let seed = 1; seed <= 20; seed++) {
    const config = { ...small, segmentMs: 1, flushMessages: 1 }
    const fixture = new Fixture({ seed, config })
    for (const producerId of [5, 7, 8, 9]) {
      await fixture.append(['a'], { producerId, producerEpoch: 0, baseSequence: 0 })
      await fixture.world.runFor(10)
    }
    await fixture.restart(() => {
      for (const name of fixture.files('.snapshot')) fixture.disk.remove(`${logPath}/${name}`)
    })
    fixture.log.updateHighWatermark(4)
    fixture.log.deleteRecords(2)
    t.equal(fixture.log.deleteOldSegments(), 2)
    fixture.crash()
    const early = fixture.batch(['a'], { producerId: 5, producerEpoch: 0, baseSequence: 0 })
    t.ok(fixture.log.append(early, 0).isDuplicate, `seed ${seed}`)
  }
})

t.test('message sets of older releases stay where they are', async (t) => {
  const fixture = new Fixture()
  await fixture.append(['a', 'b'])
  const old = [0, 1].map((magic) =>
    encodeMessageSet({
      magic: magic as 0 | 1,
      messages: [{ offset: 2 + magic, timestamp: 5, key: null, value: Buffer.from('old') }],
    }),
  )
  await fixture.restart(() => {
    const file = fixture.disk.open(lastLog(fixture), 'write')
    file.write(old, file.size())
    file.close()
    fixture.disk.remove('/data/.kafka_cleanshutdown')
  })
  t.equal(fixture.log.logEndOffset, 4)
  t.ok((await fixture.readAll(2)).equals(Buffer.concat(old)))
  t.equal((await fixture.append(['c'])).baseOffset, 4)
  t.match(await fixture.world.run(fixture.log.reader.offsetForTimestamp(6)), { offset: 0 })
})

t.test('a segment replaced half way is finished or undone', async (t) => {
  const fixture = await filled()
  const bytes = await fixture.readAll()
  const [first, second] = fixture.files('.log') as [string, string]
  await fixture.restart(() => {
    const { disk } = fixture
    const merged = Buffer.concat([
      disk.readFile(`${logPath}/${first}`),
      disk.readFile(`${logPath}/${second}`),
    ])
    const swap = disk.open(`${logPath}/${first}.swap`, 'create')
    swap.write([merged], 0)
    swap.close()
    disk.open(`${logPath}/${second}.deleted`, 'create').close()
  })
  t.ok((await fixture.readAll()).equals(bytes))
  t.notOk(fixture.files('.log').includes(second), 'the swap held both')
  t.strictSame([...fixture.files('.swap'), ...fixture.files('.deleted')], [])
  await fixture.restart(() => {
    fixture.disk.open(`${logPath}/${first}.cleaned`, 'create').close()
    fixture.disk.open(`${logPath}/${first}.swap`, 'create').close()
  })
  t.ok((await fixture.readAll()).equals(bytes))
  t.strictSame([...fixture.files('.swap'), ...fixture.files('.cleaned')], [])
})

t.test('a directory: partitions, deletion, identity', async (t) => {
  const fixture = await filled()
  const { directory, disk } = fixture
  t.equal(directory.metaProperties, null)
  directory.writeMetaProperties({
    version: 1,
    clusterId: 'c',
    nodeId: 3,
    directoryId: fixture.log.topicId,
  })
  t.strictSame(directory.metaProperties, {
    version: 1,
    clusterId: 'c',
    nodeId: 3,
    directoryId: fixture.log.topicId,
  })
  t.equal(
    disk.readFile(`${logPath}/partition.metadata`).toString(),
    `version: 0\ntopic_id: ${fixture.log.topicId}`,
  )
  for (const name of ['x-1.0123-delete', 'y-0-stray', '__cluster_metadata-0', 'no partition']) {
    disk.makeDirectory(`/data/${name}`)
  }
  t.match(directory.partitions.find(), [
    { name: 'orders-0', topic: 'orders', partition: 0, topicId: fixture.log.topicId },
  ])
  await fixture.world.runFor(10)
  t.notOk(disk.exists('/data/x-1.0123-delete'))
  fixture.log.delete()
  t.equal(directory.partitions.find().length, 0)
  await fixture.world.runFor(100_000)
  t.notOk(disk.list('/data').some(({ name }) => name.endsWith('-delete')))
  directory.logs.writeCheckpoints()
  t.equal(disk.readFile('/data/recovery-point-offset-checkpoint').toString(), '0\n0\n')
})

t.test('a read ends before damage, and never walks on in it', async (t) => {
  for (const length of [-12, -13, 0, 5, 2 ** 31 - 1, 100_000]) {
    const fixture = new Fixture({ config: { indexIntervalBytes: 100 } })
    for (let index = 0; index < 8; index++) await fixture.append([`value ${index}`])
    const bytes = await fixture.readAll()
    const starts = [...header.batches(bytes)]
    const at = starts[3] as number
    const damage = Buffer.alloc(4)
    damage.writeInt32BE(length)
    await fixture.restart(() => {
      overwrite(fixture, lastLog(fixture), damage, at + 8)
      overwrite(fixture, lastLog(fixture), Buffer.from([bytes[at + 70]! ^ 1]), at + 70)
    })
    t.equal(fixture.log.logEndOffset, 8)
    const sound = await fixture.read(0)
    t.ok(sound.chunks[0]?.equals(bytes.subarray(0, at)), `before a length of ${length}`)
    await t.rejects(fixture.read(3), { name: 'KafkaError', error: { name: 'CORRUPT_MESSAGE' } })
    t.equal(fixture.log.reader.endOfDamage(3), 4)
    for (const offset of [4, 7]) {
      t.equal((await fixture.read(offset)).firstOffset, offset, 'what lies behind it is there')
    }
  }
})

t.test('indexes that are wrong in the middle are built again', async (t) => {
  for (const [suffix, at] of [
    ['.index', 4],
    ['.index', 12],
    ['.index', 0],
    ['.timeindex', 0],
    ['.timeindex', 8],
  ] as const) {
    const fixture = await filled(12, { config: { segmentBytes: 1e6 } })
    const bytes = await fixture.readAll()
    await fixture.restart(() => {
      const [name] = fixture.files(suffix)
      overwrite(fixture, `${logPath}/${name}`, Buffer.from([0xff, 0xff, 0xff, 0]), at)
    })
    for (let offset = 0; offset < 24; offset += 2) {
      t.equal((await fixture.read(offset)).firstOffset, offset, `${suffix} damaged at ${at}`)
    }
    t.ok((await fixture.readAll()).equals(bytes))
  }
})

t.test('checkpoints that say more than there is', async (t) => {
  const fixture = await filled()
  const bytes = await fixture.readAll()
  const logStartFile = '/data/log-start-offset-checkpoint'
  const killed = async () => {
    claim()
    await fixture.kill()
  }
  for (const again of [() => fixture.restart(claim), killed]) {
    await again()
    t.equal(fixture.log.logStartOffset, 0, 'a log start above the end is no log start')
    t.ok((await fixture.readAll()).equals(bytes))
  }
  function claim(): void {
    const line = Buffer.from('0\n1\norders 0 9000\n')
    const file = fixture.disk.open(logStartFile, 'create')
    file.truncate(0)
    file.write([line], 0)
    file.close()
  }
})

t.test('checkpoints that say more than there ever was', async (t) => {
  const files = ['recovery-point', 'replication', 'log-start']
  for (const offset of [Number.MAX_SAFE_INTEGER, 5e12]) {
    for (const name of files) {
      for (const end of ['torn', 'clean', 'empty', 'gone'] as const) {
        const what = `${name} ${offset} ${end}`
        const fixture = new Fixture()
        const { disk } = fixture
        if (end !== 'empty') await fixture.append(['a', 'b'])
        if (end !== 'empty') await fixture.append(['c'])
        fixture.log.updateHighWatermark(fixture.log.logEndOffset)
        const claim = () => {
          const path = `/data/${name}-offset-checkpoint`
          replaceFile(disk, path, `0\n1\norders 0 ${offset}\n`, { sync: true })
          if (end === 'gone') for (const file of fixture.files()) disk.remove(`${logPath}/${file}`)
        }
        if (end === 'torn') {
          await fixture.world.run(fixture.directory.logs.checkpoint())
          const file = disk.open(lastLog(fixture), 'write')
          file.truncate(file.size() - 7)
          file.close()
          claim()
          fixture.kill()
        } else {
          await fixture.restart(claim)
        }
        const expected = { torn: 2, clean: 3, empty: 0, gone: 3 }[end]
        t.equal(fixture.log.logEndOffset, expected, what)
        t.match(
          fixture.lines.join('\n'),
          new RegExp(`warn a checkpointed .*orders-0.*${name}`),
          what,
        )
        const { baseOffset } = await fixture.append(['next'])
        t.equal(baseOffset, expected, what)
        t.equal((await fixture.read(baseOffset)).firstOffset, expected, what)
        await fixture.restart()
        t.notMatch(fixture.lines.join('\n'), /checkpointed|damaged/, 'once is enough')
        t.equal(fixture.log.logEndOffset, expected + 1, what)
      }
    }
  }
})

t.test('a log without files does not begin where no log can end', async (t) => {
  const files = ['recovery-point', 'replication', 'log-start']
  for (const claiming of [...files.map((name) => [name]), files]) {
    for (const isClean of [true, false]) {
      const fixture = new Fixture()
      await fixture.append(['a'])
      const wipe = () => {
        const { disk } = fixture
        for (const file of fixture.files()) disk.remove(`${logPath}/${file}`)
        for (const name of files) {
          const count = claiming.includes(name) ? `1\norders 0 ${2 ** 53 - 1}` : '0'
          replaceFile(disk, `/data/${name}-offset-checkpoint`, `0\n${count}\n`, { sync: true })
        }
      }
      if (isClean) {
        await fixture.restart(wipe)
      } else {
        wipe()
        fixture.kill()
      }
      const what = `${claiming} ${isClean}`
      for (const name of claiming) {
        const pattern = new RegExp(`warn a checkpointed .*orders-0.*${name}`)
        t.ok(
          fixture.lines.some((line) => pattern.test(line)),
          what,
        )
      }
      t.equal((await fixture.append(['next'])).baseOffset, 0, what)
      t.equal((await fixture.read(0)).firstOffset, 0, what)
      t.equal(fixture.log.highWatermark, 0, what)
    }
  }
})

t.test('a log without a copy is not cut where sound batches follow the damage', async (t) => {
  const setup = async () => {
    const fixture = new Fixture({ onDamage: 'refuse' })
    for (let index = 0; index < 6; index++) await fixture.append([`value ${index}`])
    return fixture
  }
  const torn = await setup()
  const { size } = torn.disk.stat(lastLog(torn))
  overwrite(torn, lastLog(torn), Buffer.from([1]), size - 1)
  t.equal(torn.kill().log.logEndOffset, 5, 'a torn end is cut')

  const damaged = await setup()
  overwrite(damaged, lastLog(damaged), Buffer.from([0xff]), 65)
  t.throws(() => damaged.kill(), /orders-0\/0+\.log is damaged at byte 0, .*refuses to start/)
  t.equal(damaged.disk.stat(lastLog(damaged)).size, size, 'and left as it is')

  for (const [byte, what] of [
    [10, 'a base offset that goes down again'],
    [93 + 12, 'an epoch that goes down again'],
  ] as const) {
    const unchecked = await setup()
    overwrite(unchecked, lastLog(unchecked), Buffer.from([1]), byte)
    t.throws(() => unchecked.kill(), /refuses to start/, what)
  }

  const pages = await setup()
  for (const size of [1000, 10]) await pages.append(['x'.repeat(size)])
  // The second of three sectors was never written; it begins within the sixth batch.
  overwrite(pages, lastLog(pages), Buffer.alloc(512), 512)
  t.equal(pages.kill().log.logEndOffset, 5, 'a sector that did not reach the device is a torn end')
  await pages.world.run(pages.log.flush())
  t.equal(pages.disk.stat(lastLog(pages)).size, (size / 6) * 5, 'and is cut')

  const zeros = await setup()
  await zeros.append(['x'.repeat(1000)])
  const { size: end } = zeros.disk.stat(lastLog(zeros))
  await zeros.append(['behind'])
  overwrite(zeros, lastLog(zeros), Buffer.alloc(end % 512), end - (end % 512))
  t.ok(end % 512 >= 12)
  t.throws(() => zeros.kill(), /refuses to start/, 'zeros that end before their sector does')

  const synced = await setup()
  for (const size of [1000, 10]) await synced.append(['x'.repeat(size)])
  await synced.world.run(synced.log.flush())
  synced.directory.logs.writeCheckpoints()
  overwrite(synced, lastLog(synced), Buffer.alloc(512), 512)
  t.throws(() => synced.kill(), /refuses to start/, 'but not where all was durable')

  const rolled = await setup()
  const path = lastLog(rolled)
  rolled.log.roll()
  await rolled.append(['value 6'])
  overwrite(rolled, path, Buffer.from([1]), size - 1)
  t.throws(() => rolled.kill(), /0+\.log is damaged .*refuses to start/, 'the end of a segment')

  const checkpointed = await setup()
  await checkpointed.world.run(checkpointed.log.flush())
  checkpointed.log.updateHighWatermark(6)
  checkpointed.directory.logs.writeCheckpoints()
  checkpointed.disk.remove('/data/recovery-point-offset-checkpoint')
  overwrite(checkpointed, lastLog(checkpointed), Buffer.from([1]), size - 1)
  t.throws(() => checkpointed.kill(), /refuses to start/, 'what was committed')

  const emptied = await setup()
  const empty = () => {
    const file = emptied.disk.open(lastLog(emptied), 'write')
    file.truncate(0)
    file.close()
  }
  await t.rejects(emptied.restart(empty), /is missing or ends at offset 0, before 6/)
})

import { readFileSync } from 'node:fs'
import t from 'tap'
import { batchBytes, batches, isControl, lastOffsetDelta } from '../../protocol/records/batch.ts'
import { readBatch } from '../../protocol/records/record.ts'
import { decodeMetadataRecord, encodeMetadataRecord } from '../../protocol/state/metadata-frame.ts'
import { MetadataDelta } from '../../src/metadata/delta.ts'
import { emptyImage, type MetadataImage } from '../../src/metadata/image.ts'
import { imageRecords } from '../../src/metadata/image-records.ts'
import { MetadataLoader } from '../../src/metadata/loader.ts'
import { type MetadataRecord, record } from '../../src/metadata/record.ts'
import { listSnapshots, readSnapshot, SnapshotWriter } from '../../src/raft/snapshot-files.ts'
import { MemoryDisk } from '../simulator/memory-disk.ts'
import { SeededRandom } from '../simulator/random.ts'
import {
  contentOf,
  type MetadataNode,
  newTopic,
  openNode,
  partitionDirectory,
} from './metadata-node.ts'
import { randomHistory } from './random-history.ts'

/** Of a node with SCRAM users, ACLs, quotas, settings of every kind, and a topic that is offline. */
const golden = new URL('../../../test/golden/metadata/', import.meta.url)
const small = { 'metadata.log.max.record.bytes.between.snapshots': '2000' }
const latest = record('FeatureLevelRecord', { name: 'metadata.version', featureLevel: 30 })

function replay(base: MetadataImage, records: Iterable<MetadataRecord>): MetadataImage {
  const delta = new MetadataDelta(base)
  for (const one of records) delta.replay(decodeMetadataRecord(encodeMetadataRecord(one)))
  return delta.apply(base.offset + 1, 1, 0)
}

const snapshotsOf = ({ disk }: { disk: MemoryDisk }) => listSnapshots(disk, partitionDirectory)

function create(node: MetadataNode, name: string, partitions = 1) {
  const topics = [newTopic(name, { partitions })]
  return node.finish(node.metadata.controller.createTopics({ topics, validateOnly: false }))
}

async function createMany(node: MetadataNode, prefix: string, count: number) {
  for (let index = 0; index < count; index++) await create(node, `${prefix}-${index}`)
  await node.turns.settle()
}

/** Without brokers and leader epochs, which every start changes. */
function lasting(image: MetadataImage): unknown {
  const topics = [...image.topics.byId.values()].map(({ id, name, partitions }) => [
    id,
    name,
    partitions.length,
  ])
  return { ...(contentOf({ ...image, brokers: new Map() }) as object), topics: topics.sort() }
}

/** Names and ids of topics; `unsure` may be there or not. */
function acknowledged({ metadata }: MetadataNode, unsure?: string): string {
  const all = [...metadata.image.topics.byId.values()].filter(({ name }) => name !== unsure)
  return JSON.stringify(all.map(({ id, name, partitions }) => [id, name, partitions.length]).sort())
}

t.test('an image is what its records give, whatever happened before', async (t) => {
  const begun = replay(emptyImage(''), [latest])
  let kinds = new Set<string>()
  for (let seed = 1; seed <= 40; seed++) {
    const random = new SeededRandom(seed)
    const history = randomHistory(begun, random, random.between(1, 120))
    kinds = new Set([...kinds, ...history.map(({ type }) => type)])
    const image = replay(begun, history)
    const written = [...imageRecords(image)]
    const again = replay(emptyImage(''), written)
    if (!t.strictSame(contentOf(again), contentOf(image), `seed ${seed}`)) break
    t.equal(written[0]?.type, 'FeatureLevelRecord')
  }
  t.equal(kinds.size, 23, 'every kind but those of transactions')
})

t.test('nothing of a snapshot that Apache Kafka 4.3.1 wrote is lost, byte for byte', async (t) => {
  const content = readFileSync(new URL('kafka-4.3.1.checkpoint', golden))
  const records: string[] = []
  for (const at of batches(content)) {
    if (isControl(content, at)) continue
    for (const { value } of readBatch(content, at).records) {
      records.push(value?.toString('hex') ?? '')
    }
  }
  const loader = new MetadataLoader(emptyImage(''))
  loader.loadSnapshot(content, 208, 2)
  const again = [...imageRecords(loader.image)].map((one) => encodeMetadataRecord(one))
  t.equal(records.length, 26)
  t.strictSame(again.map((value) => value.toString('hex')).sort(), records.sort())
})

t.test('in the versions that an older metadata.version asks for', async (t) => {
  for (const level of [7, 8, 14, 15, 17, 22, 23, 29]) {
    const node = await openNode()
    const older = record('FeatureLevelRecord', { name: 'metadata.version', featureLevel: level })
    const image = replay(node.metadata.image, [older])
    const broker = [...imageRecords(image)].find(({ type }) => type === 'RegisterBrokerRecord')
    t.equal(broker?.version, level >= 17 ? 3 : level >= 8 ? 2 : 1)
  }
})

t.test('a snapshot by bytes, by time, and the log before an older one goes', async (t) => {
  const settings = { ...small, 'metadata.max.retention.bytes': '6000' }
  let node = await openNode(new MemoryDisk(), settings)
  await createMany(node, 'bytes', 12)
  const [first] = snapshotsOf(node)
  t.ok(first, 'written after 2000 bytes')
  t.equal(node.log.startOffset, 0, 'nothing goes before there is a second one')
  const content = readSnapshot(node.disk, first?.path ?? '')
  t.ok(content.lastContainedMs > 0)
  await createMany(node, 'more', 60)
  const kept = snapshotsOf(node)
  t.ok(kept.length >= 1 && kept.length < 4, `${kept.length} are kept`)
  t.equal(node.log.startOffset, kept[0]?.endOffset, 'the log begins where the oldest ends')
  const before = lasting(node.metadata.image)
  node = await openNode(node.disk.crash(new SeededRandom(1)), settings)
  t.strictSame(lasting(node.metadata.image), before)

  const hourly = await openNode()
  await create(hourly, 'a')
  hourly.turns.advance(3_600_000 - 1)
  await hourly.turns.settle()
  t.equal(snapshotsOf(hourly).length, 0)
  hourly.turns.advance(1)
  await hourly.turns.settle()
  t.equal(snapshotsOf(hourly).length, 1)
  hourly.turns.advance(10 * 3_600_000)
  await hourly.turns.settle()
  t.equal(snapshotsOf(hourly).length, 1, 'nothing new, no new snapshot')
  await hourly.finish(hourly.metadata.close())
})

t.test('old snapshots go by age', async (t) => {
  const settings = { ...small, 'metadata.max.retention.ms': '1000' }
  const node = await openNode(new MemoryDisk(), settings)
  await createMany(node, 'a', 30)
  const early = snapshotsOf(node).length
  t.ok(early >= 2)
  node.turns.advance(2000)
  await createMany(node, 'b', 12)
  const left = snapshotsOf(node)
  t.ok(left.length < early && left.length >= 1)
  t.equal(node.log.startOffset, left[0]?.endOffset)
})

t.test('a large snapshot is written over many turns', async (t) => {
  const node = await openNode(new MemoryDisk(), {
    ...small,
    'max.request.partition.size.limit': '9000',
  })
  const writes: number[] = []
  node.disk.fault = (operation, path) => {
    if (operation === 'write' && path.endsWith('.part')) writes.push(node.turns.count)
    return undefined
  }
  await create(node, 'wide', 5000)
  await node.turns.settle()
  t.ok(new Set(writes).size > 19, 'one batch in a turn')
  const [found] = snapshotsOf(node)
  t.ok(found)
  const { content } = readSnapshot(node.disk, found?.path ?? '')
  const sizes = [...batches(content)].map((at) => lastOffsetDelta(content, at) + 1)
  t.ok(sizes.every((size) => size <= 256) && sizes.length > 19)

  await createMany(node, 'later', 1)
  void node.metadata.controller.createTopics({
    topics: [newTopic('x', { partitions: 4000 })],
    validateOnly: false,
  })
  await node.turns.settle()
  await node.finish(node.metadata.close())
  t.notOk(node.disk.list(partitionDirectory).some(({ name }) => name.endsWith('.part')))
})

t.test('a crash at any moment of writing and deleting loses nothing', async (t) => {
  for (let seed = 1; seed <= 15; seed++) {
    const random = new SeededRandom(seed)
    const settings = { ...small, 'metadata.max.retention.bytes': '3000' }
    let node = await openNode(new MemoryDisk(), settings)
    for (let round = 0; round < 3; round++) {
      await createMany(node, `r${round}`, random.between(1, 25))
      const operations = random.between(0, 30)
      let count = 0
      let dead: MemoryDisk | undefined
      node.disk.fault = () => {
        if (count++ !== operations) return undefined
        dead = random.chance(0.5) ? node.disk.crash(random) : node.disk.kill()
        return 'EIO'
      }
      const last = `last-${round}`
      const before = acknowledged(node, last)
      const isDone = await create(node, last, 40).then(
        () => true,
        () => false,
      )
      await node.turns.settle()
      const after = isDone ? acknowledged(node) : before
      const next = dead ?? node.disk.kill()
      next.fault = undefined
      node = await openNode(next, settings)
      const found = acknowledged(node, isDone ? undefined : last)
      if (found !== after) t.fail(`seed ${seed}, round ${round}, operation ${operations}`)
      t.notOk(node.disk.list(partitionDirectory).some(({ name }) => name.endsWith('.part')))
    }
  }
})

t.test('a snapshot that cannot be written is tried again, and nothing else suffers', async (t) => {
  const node = await openNode(new MemoryDisk(), small)
  node.disk.fault = (operation, path) =>
    operation === 'write' && path.endsWith('.part') ? 'ENOSPC' : undefined
  await createMany(node, 'a', 20)
  t.strictSame([snapshotsOf(node), node.failures], [[], []])
  t.notOk(node.disk.list(partitionDirectory).some(({ name }) => name.endsWith('.part')))
  node.disk.fault = undefined
  await createMany(node, 'b', 12)
  t.ok(snapshotsOf(node).length > 0)
})

t.test(
  'damage: an older copy is used if it covers everything, else the start is refused',
  async (t) => {
    const settings = { ...small, 'metadata.max.retention.bytes': '100000' }
    const node = await openNode(new MemoryDisk(), settings)
    await createMany(node, 'a', 30)
    const before = lasting(node.metadata.image)
    const snapshots = snapshotsOf(node)
    t.ok(snapshots.length >= 2)
    const newest = snapshots.at(-1)?.path ?? ''
    const size = node.disk.stat(newest).size
    let disk = node.disk.kill()
    for (const at of [0, 8, 16, 30, 61, 90, 200, size - 40, size - 2]) {
      const byte = Buffer.alloc(1)
      disk.open(newest, 'read').read(byte, at)
      disk.open(newest, 'write').write([Buffer.from([(byte[0] ?? 0) ^ 0x10])], at)
      const again = await openNode(disk)
      t.strictSame(lasting(again.metadata.image), before, `byte ${at}`)
      t.ok(disk.exists(`${newest}.damaged`), `byte ${at} is noticed`)
      disk = again.disk.kill()
      disk.rename(`${newest}.damaged`, newest)
      disk.open(newest, 'write').write([byte], at)
    }
    disk.open(newest, 'write').truncate(size - 75)
    const cut = await openNode(disk)
    t.ok(cut.disk.exists(`${newest}.damaged`), 'a missing footer is noticed')

    const start = snapshots.at(-1)?.endOffset ?? 0
    const lone = cut.disk.kill()
    lone.rename(`${newest}.damaged`, newest)
    lone
      .open(`${partitionDirectory}/log-start`, 'write')
      .write([Buffer.from(String(start).padStart(20))], 0)
    await t.rejects(openNode(lone), {
      name: 'MetadataError',
      message: /\.checkpoint cannot be replayed .*refuses to start.*Restore the file from a copy/,
    })
    lone.remove(newest)
    await t.rejects(openNode(lone.kill()), { message: /no snapshot stands for what was before/ })
  },
)

t.test('damage in the log is found at the next start, with the place and what to do', async (t) => {
  const node = await openNode()
  await createMany(node, 'a', 5)
  await node.finish(node.metadata.close())
  const path = `${partitionDirectory}/log`
  const content = Buffer.from(node.disk.readFile(path))
  const starts = [...batches(content)]
  const disk = node.disk.kill()
  // The log in memory cuts at a wrong checksum, as the real one does at a torn end only.
  const target = starts[2] ?? 0
  const twice = Buffer.concat([
    content.subarray(0, target + batchBytes(content, target)),
    content.subarray(target),
  ])
  disk.open(path, 'write').write([twice], 0)
  await t.rejects(openNode(disk), { message: /offset \d+: a batch of offset \d+ follows offset/ })
  const missing = node.disk.kill()
  missing.open(path, 'write').write([content.subarray(starts[3] ?? 0)], target)
  const offset = Number(content.readBigInt64BE(target))
  await t.rejects(openNode(missing), {
    message: /cannot be replayed \(offset \d+: .*refuses to start.*Restore the file/,
    offset,
  })
  const epochs = node.disk.kill()
  const older = Buffer.from(content)
  older.writeInt32BE(0, (starts.at(-1) ?? 0) + 12)
  epochs.open(path, 'write').write([older], 0)
  await t.rejects(openNode(epochs), { message: /a batch of epoch 0 follows epoch 1/ })
})

t.test('a log that ends before its newest snapshot goes on after it', async (t) => {
  const node = await openNode(new MemoryDisk(), small)
  await createMany(node, 'a', 30)
  const before = node.metadata.image
  const end = snapshotsOf(node).at(-1)?.endOffset ?? 0
  await node.finish(node.metadata.close())
  const disk = node.disk.kill()
  disk.open(`${partitionDirectory}/log`, 'write').truncate(0)
  const again = await openNode(disk, small)
  t.equal(again.log.startOffset, end)
  t.ok(again.metadata.quorum.epoch > before.epoch, 'no epoch is led twice')
  t.ok(again.metadata.image.topics.byName.has('a-0'))
})

t.test('a snapshot keeps the voters and kraft.version of the log', async (t) => {
  let disk = new MemoryDisk()
  disk.makeDirectory(partitionDirectory)
  const voter = {
    voterId: 1,
    voterDirectoryId: 'PtNc1U20TFKl4f7aQdapUQ',
    endpoints: [{ name: 'CONTROLLER', host: 'localhost', port: 9093 }],
    kRaftVersionFeature: { minSupportedVersion: 0, maxSupportedVersion: 1 },
  }
  const write = (voters: (typeof voter)[]) =>
    new SnapshotWriter({
      disk,
      directory: partitionDirectory,
      target: { endOffset: 0, epoch: 0 },
      lastContainedMs: 0,
      voters: { kraftVersion: 1, voters: { version: 0, voters } },
      nowMs: 0,
    }).finishNow()
  write([voter])
  const node = await openNode(disk, small)
  t.match(JSON.parse(disk.readFile(`${partitionDirectory}/quorum-state`).toString()), {
    data_version: 1,
    votedDirectoryId: voter.voterDirectoryId,
  })
  await createMany(node, 'a', 12)
  const newest = snapshotsOf(node).at(-1)
  t.ok((newest?.endOffset ?? 0) > 0)
  const withoutLog = node.disk.kill()
  withoutLog.open(`${partitionDirectory}/log`, 'write').truncate(0)
  const again = await openNode(withoutLog, small)
  t.match(again.metadata.quorum.voterSet, { kraftVersion: 1, voters: { voters: [voter] } })

  disk = again.disk.kill()
  for (const { path } of listSnapshots(disk, partitionDirectory)) disk.remove(path)
  disk.open(`${partitionDirectory}/log`, 'write').truncate(0)
  disk.remove(`${partitionDirectory}/log-start`)
  write([voter, { ...voter, voterId: 2 }])
  await t.rejects(openNode(disk), {
    message: /in which nodes 2 vote; this version is a quorum of one/,
  })
  write([{ ...voter, voterDirectoryId: 'BBBBBBBBBBBBBBBBBBBBBA' }])
  await t.rejects(openNode(disk), { message: /directory.id BBBB.*meta.properties says/ })
  write([])
  await t.rejects(openNode(disk), { message: /nobody votes/ })
})

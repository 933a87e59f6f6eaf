import t from 'tap'
import { batches, isControl, partitionLeaderEpoch } from '../../protocol/records/batch.ts'
import { encodeBatch, readBatch } from '../../protocol/records/record.ts'
import { decodeMetadataRecord, encodeMetadataRecord } from '../../protocol/state/metadata-frame.ts'
import { bootstrapFile } from '../../src/metadata/bootstrap.ts'
import { type MetadataRecord, record } from '../../src/metadata/record.ts'
import { encodeLeaderChange } from '../../src/raft/batches.ts'
import { SnapshotWriter } from '../../src/raft/snapshot-files.ts'
import { unknownVoters } from '../../src/raft/voters.ts'
import { MemoryDisk } from '../simulator/memory-disk.ts'
import { SeededRandom } from '../simulator/random.ts'
import {
  type MetadataNode,
  newClusterFeatures,
  newTopic,
  openNode,
  partitionDirectory,
} from './metadata-node.ts'

const topicId = 'MMMMMMMMTMmMMMMMMMMMMA'

function typesOf(node: MetadataNode): string[] {
  const [content = Buffer.alloc(0)] = node.log.read(0, 1 << 30)
  return [...batches(content)].flatMap((at) =>
    isControl(content, at)
      ? ['control']
      : readBatch(content, at).records.map(
          ({ value }) => decodeMetadataRecord(value ?? Buffer.alloc(0)).type,
        ),
  )
}

/** A disk whose metadata log another controller wrote: a LeaderChange, then these batches. */
function diskWith(...parts: readonly (readonly MetadataRecord[])[]): MemoryDisk {
  const disk = new MemoryDisk()
  disk.makeDirectory(partitionDirectory)
  const place = { baseOffset: 0, leaderEpoch: 1, nowMs: 0 }
  const change = { leaderId: 1, voters: [1], granted: [1], version: 0 as const, directoryId: '' }
  const chunks = [encodeLeaderChange(change, place)]
  let baseOffset = 1
  for (const records of parts) {
    const values = records.map((one) => ({
      timestamp: 0,
      key: null,
      value: encodeMetadataRecord(one),
    }))
    chunks.push(encodeBatch({ baseOffset, leaderEpoch: 1, records: values }))
    baseOffset += records.length
  }
  disk.open(`${partitionDirectory}/log`, 'create').write(chunks, 0)
  return disk
}

const level = record('FeatureLevelRecord', { name: 'metadata.version', featureLevel: 30 })
const begin = record('BeginTransactionRecord', { name: null })
const topic = record('TopicRecord', { name: 'half', topicId })

t.test('a transaction that a leader left open is aborted, and holds back nothing', async (t) => {
  let node = await openNode(diskWith([level], [begin, topic]))
  t.equal(node.metadata.image.topics.byName.size, 0)
  t.ok(typesOf(node).includes('AbortTransactionRecord'))
  const topics = [newTopic('whole')]
  await node.finish(node.metadata.controller.createTopics({ topics, validateOnly: false }))
  node = await openNode(node.disk.kill())
  t.strictSame([...node.metadata.image.topics.byName.keys()], ['whole'])
  t.equal(typesOf(node).filter((type) => type === 'AbortTransactionRecord').length, 1)
})

t.test('a bootstrap that was not finished begins again', async (t) => {
  const node = await openNode(diskWith([begin, level]))
  const features = new Map(node.metadata.image.features)
  t.strictSame(features, newClusterFeatures, 'written anew after the abort')
})

t.test('transactions that do not fit each other are refused', async (t) => {
  const end = record('EndTransactionRecord', {})
  await t.rejects(openNode(diskWith([level, begin], [begin])), /begins inside another/)
  await t.rejects(openNode(diskWith([level, end])), /ends that has not begun/)
})

t.test('a metadata.version of the future is refused by name', async (t) => {
  const future = record('FeatureLevelRecord', { name: 'metadata.version', featureLevel: 99 })
  await t.rejects(openNode(diskWith([future])), /metadata.version is 99; .* up to 30 \(4.3-IV0\)/)
})

t.test(
  'a bootstrap snapshot of Kafka is taken over whole, and a damaged one refused',
  async (t) => {
    const credential = record('UserScramCredentialRecord', {
      name: 'alice',
      mechanism: 1,
      salt: Buffer.from('salt'),
      storedKey: Buffer.from('stored'),
      serverKey: Buffer.from('server'),
      iterations: 4096,
    })
    const elr = record('FeatureLevelRecord', {
      name: 'eligible.leader.replicas.version',
      featureLevel: 1,
    })
    const format = (records: readonly MetadataRecord[]) => {
      const disk = new MemoryDisk()
      disk.makeDirectory('/data')
      const writer = new SnapshotWriter({
        disk,
        directory: '/data',
        target: bootstrapFile,
        lastContainedMs: 0,
        voters: unknownVoters,
        nowMs: 0,
      })
      writer.append(records.map((one) => encodeMetadataRecord(one)))
      writer.finishNow()
      return disk
    }
    const { metadata } = await openNode(format([level, elr, credential]))
    t.ok(metadata.image.scramCredentials.has('1 alice'))
    t.equal(metadata.image.configs.get(4)?.get('')?.get('min.insync.replicas'), '1', 'KIP-966')

    const torn = format([level, credential])
    const path = `/data/${bootstrapFile}`
    torn.open(path, 'write').truncate(torn.stat(path).size - 1)
    await t.rejects(openNode(torn), /bootstrap.checkpoint is damaged/)
    await t.rejects(openNode(format([credential])), /names no metadata.version/)
  },
)

t.test('a decision of more bytes than one batch takes, and a record that none takes', async (t) => {
  const node = await openNode()
  const settings = (count: number, value: string) => {
    const kept = { name: 'min.insync.replicas', value: '1' }
    const plugins = Array.from({ length: count }, (_, at) => ({ name: `plugin.${at}`, value }))
    const configs = [kept, ...plugins]
    return { resources: [{ resourceType: 4, resourceName: '', configs }], validateOnly: false }
  }
  const { controller } = node.metadata
  await node.finish(controller.alterConfigs(settings(300, 'x'.repeat(30_000))))
  t.equal(node.metadata.image.configs.get(4)?.get('')?.size, 301)
  t.equal(typesOf(node).at(-1), 'EndTransactionRecord')
  await t.rejects(node.finish(controller.alterConfigs(settings(1, 'y'.repeat(2 ** 21)))))
  t.strictSame(node.failures, [], 'refused, not fatal')
  const again = await openNode(node.disk.kill())
  t.strictSame(again.metadata.image.configs, node.metadata.image.configs)
})

t.test('a decision of more records than one batch takes is all there or not at all', async (t) => {
  const wide = { 'metadata.log.max.record.bytes.between.snapshots': '100000000' }
  let node = await openNode(new MemoryDisk(), wide)
  for (const name of ['a', 'b', 'c']) {
    const topics = [newTopic(name, { partitions: 4000 })]
    await node.finish(node.metadata.controller.createTopics({ topics, validateOnly: false }))
  }
  node = await openNode(node.disk.kill(), wide)
  const types = typesOf(node)
  t.ok(types.includes('BeginTransactionRecord'), '12 000 leader epochs are one transaction')
  t.equal(types.at(-1), 'EndTransactionRecord')
  const epochs = new Set<number>()
  for (const { partitions } of node.metadata.image.topics.byId.values()) {
    for (const { leaderEpoch } of partitions) epochs.add(leaderEpoch)
  }
  t.strictSame([...epochs], [1])

  const content = Buffer.from(node.disk.readFile(`${partitionDirectory}/log`))
  const starts = [...batches(content)].filter((at) => partitionLeaderEpoch(content, at) === 2)
  t.equal(starts.length, 3, 'LeaderChange and two batches')
  const disk = node.disk.kill()
  disk.open(`${partitionDirectory}/log`, 'write').truncate(starts[2] ?? 0)
  const again = await openNode(disk, wide)
  const [first] = again.metadata.image.topics.byId.values()
  t.equal(first?.partitions[0]?.leaderEpoch, 1, 'the half that was there is taken back')
  const next = await openNode(again.disk.crash(new SeededRandom(3)), wide)
  t.strictSame(
    [...next.metadata.image.topics.byName.values()].map(({ partitions }) => partitions.length),
    [4000, 4000, 4000],
  )
})

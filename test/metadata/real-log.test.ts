/** The metadata on the files of the real log: segments that go, torn ends, damage in the middle. */
import t from 'tap'
import { headerBytes } from '../../protocol/records/batch.ts'
import { BrokerConfig } from '../../src/config/broker-config.ts'
import { QuorumLog } from '../../src/log/quorum-log.ts'
import { Metadata } from '../../src/metadata/metadata.ts'
import { listSnapshots } from '../../src/raft/snapshot-files.ts'
import { Fixture, logPath } from '../log/log-fixture.ts'
import { newTopic } from './metadata-node.ts'

const directoryId = 'PtNc1U20TFKl4f7aQdapUQ'
const texts = {
  'metadata.log.max.record.bytes.between.snapshots': '4000',
  'metadata.max.retention.bytes': '15000',
}
const logConfig = { segmentBytes: 12_000, cleanupPolicy: [], retentionMs: -1, fileDeleteDelayMs: 0 }

function open(fixture: Fixture, settings: Readonly<Record<string, string>> = texts) {
  return fixture.world.run(
    Metadata.open({
      nodeId: 1,
      clusterId: '4L6g3nShT-eMCtK--X86sw',
      metadataDirectory: '/data',
      partitionDirectory: logPath,
      directoryId,
      logDirs: [directoryId],
      log: new QuorumLog(fixture.log),
      endpoints: [],
      rack: null,
      config: new BrokerConfig(new Map(Object.entries(settings))),
      environment: fixture.process.environment,
      onFatal: () => {},
    }),
  )
}

async function create(fixture: Fixture, metadata: Metadata, prefix: string, count: number) {
  for (let index = 0; index < count; index++) {
    const topics = [newTopic(`${prefix}-${index}`, { partitions: 2 })]
    await fixture.world.run(metadata.controller.createTopics({ topics, validateOnly: false }))
  }
  await fixture.world.runFor(50)
}

const idsOf = ({ image }: Metadata) => [...image.topics.byId.keys()].sort()

t.test('segments before the snapshots go, and every start finds the rest', async (t) => {
  for (const seed of [1, 2, 3, 4]) {
    const fixture = new Fixture({ seed, config: logConfig, onDamage: 'refuse' })
    let metadata = await open(fixture)
    for (let life = 0; life < 4; life++) {
      await create(fixture, metadata, `life-${life}`, 30)
      const before = idsOf(metadata)
      const segments = fixture.files('.log').length
      t.ok(segments < 8, `${segments} segments`)
      if (life === 0) fixture.kill()
      else if (life === 1) fixture.crash()
      else {
        await fixture.world.run(metadata.close())
        await fixture.restart()
      }
      t.ok(life === 0 || fixture.log.logStartOffset > 0, 'the log was cut')
      metadata = await open(fixture)
      t.strictSame(idsOf(metadata), before)
    }
  }
})

t.test('without its log, but with a snapshot that covers it, it goes on', async (t) => {
  const fixture = new Fixture({ config: logConfig, onDamage: 'refuse' })
  const metadata = await open(fixture)
  await create(fixture, metadata, 'a', 30)
  const snapshot = listSnapshots(fixture.disk, logPath).at(-1)
  await fixture.world.run(metadata.close())
  await fixture.restart(() => {
    for (const name of fixture.files('.log')) fixture.disk.remove(`${logPath}/${name}`)
    fixture.disk.remove('/data/recovery-point-offset-checkpoint')
    fixture.disk.remove('/data/replication-offset-checkpoint')
    fixture.disk.remove('/data/log-start-offset-checkpoint')
  })
  const again = await open(fixture)
  t.equal(fixture.log.logStartOffset, snapshot?.endOffset)
  t.ok(again.image.topics.byName.has('a-0'))
  t.ok(again.quorum.epoch > metadata.quorum.epoch)
  const ids = idsOf(again)
  fixture.kill()
  t.strictSame(idsOf(await open(fixture)), ids)
})

t.test('a flipped bit is found after a clean stop, and told with its file', async (t) => {
  const fixture = new Fixture({
    config: { ...logConfig, segmentBytes: 1 << 20 },
    onDamage: 'refuse',
  })
  const metadata = await open(fixture, {})
  await create(fixture, metadata, 'a', 10)
  await fixture.world.run(metadata.close())
  const path = `${logPath}/00000000000000000000.log`
  await fixture.restart(() => {
    const file = fixture.disk.open(path, 'write')
    const byte = Buffer.alloc(1)
    // In the first record: what stands before the checksum, as a leader epoch, is not covered by it.
    const at = headerBytes + 5
    file.read(byte, at)
    file.write([Buffer.from([(byte[0] ?? 0) ^ 4])], at)
  })
  await t.rejects(open(fixture, {}), {
    name: 'MetadataError',
    message: /orders-0\/0{20}\.log cannot be replayed \(.*refuses to start.*Restore the file/,
  })
})

import t from 'tap'
import { isControl } from '../../protocol/records/batch.ts'
import { readBatch } from '../../protocol/records/record.ts'
import { DiskError } from '../../src/environment/disk.ts'
import { Quorum } from '../../src/raft/quorum.ts'
import { QuorumStateFile } from '../../src/raft/quorum-state-file.ts'
import { unknownVoters, type VoterSet } from '../../src/raft/voters.ts'
import { MemoryDisk } from '../simulator/memory-disk.ts'
import { MemoryRaftLog } from './memory-raft-log.ts'
import { TestTurns } from './test-turns.ts'

const directory = '/data/__cluster_metadata-0'
const directoryId = 'PtNc1U20TFKl4f7aQdapUQ'

function open(disk: MemoryDisk, options: { voterSet?: VoterSet } = {}) {
  disk.makeDirectory(directory)
  const turns = new TestTurns(disk)
  const log = new MemoryRaftLog(disk, `${directory}/log`)
  const failures: Error[] = []
  const quorum = new Quorum({
    nodeId: 1,
    directoryId,
    directory,
    log,
    lastEpoch: log.lastEpoch,
    voterSet: options.voterSet ?? unknownVoters,
    environment: turns.environment,
    onFatal: (error) => failures.push(error),
  })
  const commits: number[] = []
  quorum.onCommit((highWatermark) => commits.push(highWatermark))
  return { turns, log, quorum, commits, failures }
}

t.test('what is appended in one turn is one flush, and committed only after it', async (t) => {
  const disk = new MemoryDisk()
  const { turns, log, quorum, commits } = open(disk)
  quorum.lead()
  t.equal(quorum.append([Buffer.from('a'), Buffer.from('b')]).lastOffset, 2)
  t.equal(quorum.append([Buffer.from('c')]).lastOffset, 3)
  t.equal(log.syncs, 0)
  t.strictSame(commits, [])
  turns.endTurn()
  t.equal(log.syncs, 1)
  t.strictSame(commits, [], 'the flush is under way')
  quorum.append([Buffer.from('d')])
  await turns.settle()
  t.strictSame(commits, [4, 5], 'what came during the flush shares the next one')
  t.equal(log.syncs, 2)
  t.match(quorum.describe(), { leaderId: 1, leaderEpoch: 1, highWatermark: 5 })

  const [bytes = Buffer.alloc(0)] = log.read(0, 0)
  t.equal(isControl(bytes, 0), true)
  const leaderChange = readBatch(bytes, 0)
  t.equal(leaderChange.leaderEpoch, 1)
  t.equal(leaderChange.records[0]?.key?.toString('hex'), '00000002')
  // Version 0, leader 1, voters [1], granting voters [1], no tags.
  t.equal(
    leaderChange.records[0]?.value?.toString('hex'),
    `${'0000'}00000001${'020000000100'.repeat(2)}00`,
  )
  await quorum.close()
})

t.test(
  'the election state is stored as Kafka stores it, and the next start leads the next epoch',
  async (t) => {
    const disk = new MemoryDisk()
    const first = open(disk)
    first.quorum.lead()
    t.strictSame(JSON.parse(disk.readFile(`${directory}/quorum-state`).toString()), {
      clusterId: '',
      leaderId: 1,
      leaderEpoch: 1,
      votedId: -1,
      appliedOffset: 0,
      currentVoters: [{ voterId: 1 }],
      data_version: 0,
    })
    await first.turns.settle()
    first.quorum.append([Buffer.from('not flushed, but written')])

    const second = open(disk.kill())
    t.equal(second.quorum.epoch, 1)
    t.equal(second.quorum.highWatermark, -1)
    second.quorum.lead()
    t.equal(second.quorum.epoch, 2)
    await second.turns.settle()
    t.strictSame(second.commits, [3])
  },
)

t.test('version 1 of the file, of a quorum with dynamic voters, is read and kept', async (t) => {
  const disk = new MemoryDisk()
  disk.makeDirectory(directory)
  const file = new QuorumStateFile(disk, directory)
  t.equal(file.read(), undefined)
  file.write({
    version: 1,
    leaderId: 1,
    leaderEpoch: 4,
    votedId: 1,
    votedDirectoryId: directoryId,
    voters: [],
  })
  const { quorum } = open(disk)
  quorum.lead()
  t.strictSame(file.read(), {
    version: 1,
    leaderId: 1,
    leaderEpoch: 5,
    votedId: 1,
    votedDirectoryId: directoryId,
    voters: [],
  })
  disk.open(`${directory}/quorum-state`, 'write').write([Buffer.from('{"data_version":9}     ')], 0)
  t.throws(() => file.read(), /not a quorum state/)
})

t.test('a flush that fails commits nothing and is fatal', async (t) => {
  const disk = new MemoryDisk()
  const { turns, quorum, commits, failures } = open(disk)
  quorum.lead()
  await turns.settle()
  quorum.append([Buffer.from('a')])
  disk.fault = (operation) => (operation === 'sync' ? 'EIO' : undefined)
  await turns.settle()
  t.strictSame(commits, [1])
  t.equal(failures.length, 1)
  t.ok(failures[0] instanceof DiskError)
})

t.test('a quorum state that is lost or damaged is made anew from the log', async (t) => {
  const contents = ['', '{', 'null', '[]', '{"data_version":0}', '\0\0\0\0\0\0\0\0']
  const state = { leaderId: 1, votedId: -1, data_version: 0, currentVoters: [{ voterId: 1 }] }
  contents.push(JSON.stringify({ ...state, leaderEpoch: -3 }))
  contents.push(JSON.stringify({ ...state, leaderEpoch: 2 ** 31 - 1 }))
  contents.push(JSON.stringify({ ...state, leaderEpoch: 3, currentVoters: 7 }))
  const disk = new MemoryDisk()
  const first = open(disk)
  first.quorum.lead()
  await first.turns.settle()
  await first.quorum.close()
  let epoch = 1
  let next = disk
  for (const content of [undefined, 'a directory', ...contents]) {
    next = next.kill()
    const path = `${directory}/quorum-state`
    next.remove(path)
    if (content === 'a directory') {
      next.makeDirectory(`${path}/within`)
      next.makeDirectory(`${path}.tmp/within`)
    } else if (content !== undefined) next.open(path, 'create').write([Buffer.from(content)], 0)
    const { quorum, turns } = open(next)
    quorum.lead()
    t.equal(quorum.epoch, ++epoch, `after ${JSON.stringify(content)}`)
    await turns.settle()
    t.equal(JSON.parse(next.readFile(path).toString()).leaderEpoch, epoch)
  }
})

t.test('a quorum of several voters is refused, wherever it is written', async (t) => {
  const disk = new MemoryDisk()
  disk.makeDirectory(directory)
  const file = new QuorumStateFile(disk, directory)
  const state = { leaderId: 2, leaderEpoch: 4, votedId: -1, votedDirectoryId: directoryId }
  file.write({ version: 0, ...state, voters: [1, 2, 3] })
  t.throws(() => open(disk), { name: 'ForeignQuorum', message: /nodes 2, 3 vote/ })
  disk.remove(`${directory}/quorum-state`)
  t.throws(() => open(disk, { voterSet: { ...unknownVoters, elected: [1, 5] } }), /nodes 5 vote/)
  t.throws(() => open(disk, { voterSet: { ...unknownVoters, kraftVersion: 2 } }), /kraft.version 2/)
  t.doesNotThrow(() => open(disk, { voterSet: { ...unknownVoters, elected: [1] } }))
})

t.test('closing after a failed flush ends', async (t) => {
  const disk = new MemoryDisk()
  const { turns, quorum } = open(disk)
  quorum.lead()
  disk.fault = (operation) => (operation === 'sync' ? 'EIO' : undefined)
  await turns.settle()
  await t.resolves(quorum.close())
})

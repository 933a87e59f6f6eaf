import t from 'tap'
import { RaftCore } from '../../src/raft/core.ts'

const fresh = { leaderId: -1, leaderEpoch: 0, votedId: -1 }

t.test('a quorum of one leads at once, and commits what it has flushed', async (t) => {
  const core = new RaftCore({
    nodeId: 1,
    voters: [1],
    electionState: fresh,
    endOffset: 0,
    lastEpoch: 0,
  })
  t.equal(core.role.name, 'unattached')
  t.equal(core.highWatermark, -1)
  core.campaign()
  t.strictSame(core.take(), {
    electionState: { leaderId: 1, leaderEpoch: 1, votedId: 1 },
    leaderChange: { epoch: 1, granted: [1] },
    highWatermark: undefined,
  })
  core.appended(1)
  t.equal(core.take().highWatermark, undefined, 'appended is not committed')
  core.flushed(1, 1000)
  t.equal(core.take().highWatermark, 1)
  core.appended(5)
  core.flushed(3, 1001)
  t.equal(core.take().highWatermark, 3)
  core.flushed(2, 1002)
  t.equal(core.highWatermark, 3, 'never back')
  t.strictSame(core.progress(1003), [
    { replicaId: 1, logEndOffset: 5, lastFetchMs: 1003, lastCaughtUpMs: 1003 },
  ])
})

t.test('a leader that starts again never leads its old epoch', async (t) => {
  const core = new RaftCore({
    nodeId: 1,
    voters: [1],
    electionState: { leaderId: 1, leaderEpoch: 7, votedId: -1 },
    endOffset: 20,
    lastEpoch: 7,
  })
  t.equal(core.role.name, 'resigned')
  core.campaign()
  t.equal(core.epoch, 8)
  core.appended(21)
  core.flushed(20, 0)
  t.equal(core.highWatermark, -1, 'nothing of earlier epochs is known to be committed')
  core.flushed(21, 0)
  t.equal(core.highWatermark, 21)
})

t.test('the log knows a later epoch than the state file', async (t) => {
  const core = new RaftCore({
    nodeId: 1,
    voters: [1],
    electionState: { leaderId: 1, leaderEpoch: 2, votedId: -1 },
    endOffset: 20,
    lastEpoch: 5,
  })
  t.equal(core.epoch, 5)
  t.equal(core.role.name, 'unattached')
  core.campaign()
  t.equal(core.epoch, 6)
})

t.test('three voters: a majority elects and a majority commits', async (t) => {
  const core = new RaftCore({
    nodeId: 2,
    voters: [1, 2, 3],
    electionState: fresh,
    endOffset: 10,
    lastEpoch: 4,
  })
  core.campaign()
  t.equal(core.role.name, 'candidate')
  t.equal(core.take().electionState?.votedId, 2, 'the own vote is stored before anybody is asked')
  core.voteGranted(9, 5)
  core.voteGranted(1, 4)
  t.equal(core.isLeader, false, 'strangers and late votes do not count')
  core.voteGranted(3, 5)
  t.equal(core.isLeader, true)
  t.strictSame(core.take().leaderChange, { epoch: 5, granted: [2, 3] })
  core.appended(12)
  core.flushed(12, 0)
  t.equal(core.highWatermark, -1)
  core.fetched(1, 10, 1)
  t.equal(core.highWatermark, -1, 'the own epoch has nothing on a majority yet')
  core.fetched(3, 11, 2)
  t.equal(core.highWatermark, 11)
  core.fetched(1, 12, 3)
  t.equal(core.highWatermark, 12)
  core.fetched(7, 12, 3)
  const follower = core.progress(9)[0]
  t.match(follower, { replicaId: 1, logEndOffset: 12, lastFetchMs: 3, lastCaughtUpMs: 3 })
  t.throws(() => core.fetched(1, 13, 4), 'nobody has more than the leader')
})

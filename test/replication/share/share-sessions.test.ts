/** Share sessions: what they may hold, each and together, and that a request that is too much changes nothing. */
import t from 'tap'
import { errors } from '../../../protocol/errors.ts'
import {
  finalEpoch,
  type SharedPartition,
  ShareSessions,
} from '../../../src/replication/share/share-sessions.ts'
import { Connection } from '../../handlers/data-path.ts'

const topicId = 'AAAAAAAAAAAAAAAAAAAAAQ'
const from = (first: number, count: number): SharedPartition[] =>
  Array.from({ length: count }, (_, index) => ({ topicId, index: first + index }))
const refused = (error: (typeof errors)[keyof typeof errors]) => ({ name: 'KafkaError', error })

class Story {
  sessionsMax = 10
  readonly ended: string[] = []
  readonly connection = new Connection()
  readonly sessions = new ShareSessions({
    sessionsMax: () => this.sessionsMax,
    onEnded: (groupId, memberId, partitions, isLast) =>
      this.ended.push(`${groupId}/${memberId} ${partitions.length}${isLast ? ' last' : ''}`),
  })

  open(memberId: string, partitions: readonly SharedPartition[]): number {
    return [...this.sessions.open('g', memberId, partitions, this.connection)].length
  }

  next(
    memberId: string,
    epoch: number,
    added: SharedPartition[],
    forgotten: SharedPartition[] = [],
  ) {
    return [...this.sessions.next('g', memberId, epoch, { added, forgotten })].length
  }
}

t.test('a session has a bound, and so have all together', async (t) => {
  const story = new Story()
  t.throws(() => story.open('a', from(0, 200_001)), refused(errors.INVALID_REQUEST))
  t.equal(story.sessions.size, 0)
  t.equal(story.open('a', from(0, 200_000)), 200_000)
  t.throws(() => story.next('a', 1, from(200_000, 1)), refused(errors.INVALID_REQUEST))
  t.equal(story.next('a', 1, from(0, 3)), 200_000, 'those that it has are no more')
  t.equal(story.open('b', from(0, 200_000)), 200_000)
  const full = refused(errors.SHARE_SESSION_LIMIT_REACHED)
  t.throws(() => story.open('c', from(0, 100_001)), full)
  t.equal(story.open('c', from(0, 99_999)), 99_999)
  t.throws(() => story.next('c', 1, from(99_999, 2)), full)
  t.equal(story.next('c', 1, from(99_999, 1)), 100_000, 'the epoch has not moved')
  t.throws(() => story.open('d', from(0, 1)), full)

  t.equal(story.next('a', 2, [], from(0, 10)), 199_990, 'forgotten ones make room')
  t.equal(story.next('a', 3, [], from(0, 10)), 199_990, 'once')
  t.equal(story.open('d', from(0, 10)), 10)
  t.throws(() => story.open('e', from(0, 1)), full)
  t.equal(story.open('b', from(5, 200_000)), 200_000, 'in place of what it had')
  story.sessions.end('g', 'd')
  t.equal(story.open('e', from(0, 10)), 10)
  story.connection.close()
  t.equal(story.sessions.size, 0)
  t.strictSame(story.ended, ['g/d 10', 'g/a 199990', 'g/c 100000', 'g/b 200000', 'g/e 10 last'])
})

t.test('a session that is refused leaves the one before', async (t) => {
  const story = new Story()
  story.open('a', from(0, 3))
  t.throws(() => story.open('a', from(0, 200_001)), refused(errors.INVALID_REQUEST))
  t.equal(story.next('a', 1, []), 3)
  story.sessionsMax = 0
  t.throws(() => story.open('a', []), refused(errors.SHARE_SESSION_LIMIT_REACHED))
  t.equal(story.next('a', 2, []), 3)
  t.equal(story.next('a', finalEpoch, []), 0)
  t.strictSame(story.ended, [])
})

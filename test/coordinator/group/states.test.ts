/** Every request in every state of a group: the error it is answered with. */
import t from 'tap'
import { type ErrorName, errors } from '../../../protocol/errors.ts'
import { GroupStory, type StoryMember, subscription } from './group-story.ts'

const states = ['missing', 'Empty', 'PreparingRebalance', 'CompletingRebalance', 'Stable'] as const
type State = (typeof states)[number]

interface Scene {
  readonly story: GroupStory
  /** Was a member of the last generation; in an empty group the one that left. */
  readonly member: StoryMember
}

/**
 * A group in `state`; in a rebalance another member is joining, or the leader has not synced yet.
 */
async function scene(state: State): Promise<Scene> {
  const story = new GroupStory({ groupInitialRebalanceDelayMs: 0 })
  const member = story.member({ sessionTimeoutMs: 1_000_000 })
  if (state === 'missing') {
    member.memberId = 'c-missing'
    member.generationId = 1
    return { story, member }
  }
  await story.stable(member)
  if (state === 'Empty') await member.leave()
  if (state === 'PreparingRebalance') story.member({ apiVersion: 3 }).join()
  if (state === 'CompletingRebalance') member.join()
  await story.pass(10)
  if (state === 'Empty') member.generationId = 2
  t.equal(await story.state(), state, `the scene of ${state}`)
  return { story, member }
}

type Act = (scene: Scene) => Promise<number | undefined>

/** The error code that a parked answer has by now; NONE is also said of one that waits. */
const settled = async (
  { story }: Scene,
  asked: { readonly value: { readonly errorCode: number } | undefined },
) => {
  await story.pass(10)
  return asked.value?.errorCode ?? 0
}

const stranger = { memberId: 'c-stranger', generationIdOrMemberEpoch: 1 }

const one = (offsets: { topics: readonly { partitions: readonly { errorCode: number }[] }[] }) =>
  offsets.topics[0]?.partitions[0]?.errorCode

async function deleteOffsets({ story }: Scene, name: string): Promise<number | undefined> {
  const topics = [{ name, partitions: [{ partitionIndex: 0 }] }]
  const response = await story.now(story.groups.deleteOffsets({ groupId: 'g', topics }))
  return response.errorCode || one(response)
}

/** Errors in the order of `states`; a single one holds in all. */
const table: [string, Act, ErrorName[]][] = [
  ['join without an id', (at) => settled(at, at.story.member().join()), ['MEMBER_ID_REQUIRED']],
  [
    'join with an unknown id',
    (at) => settled(at, at.member.join({ memberId: 'c-stranger' })),
    ['UNKNOWN_MEMBER_ID'],
  ],
  [
    'join again',
    (at) => settled(at, at.member.join()),
    ['UNKNOWN_MEMBER_ID', 'UNKNOWN_MEMBER_ID', 'NONE', 'NONE', 'NONE'],
  ],
  [
    'join with a short session',
    (at) => settled(at, at.member.join({ sessionTimeoutMs: 5999 })),
    ['INVALID_SESSION_TIMEOUT'],
  ],
  [
    'join with a long session',
    (at) => settled(at, at.member.join({ sessionTimeoutMs: 1_800_001 })),
    ['INVALID_SESSION_TIMEOUT'],
  ],
  ['join no group', (at) => settled(at, at.member.join({ groupId: '' })), ['INVALID_GROUP_ID']],
  [
    'join without protocols',
    (at) => settled(at, at.member.join({ memberId: '', protocols: [] })),
    ['INCONSISTENT_GROUP_PROTOCOL'],
  ],
  [
    'join with another protocol',
    (at) =>
      settled(
        at,
        at.member.join({ memberId: '', protocols: [{ name: 'x', metadata: subscription([]) }] }),
      ),
    [
      'MEMBER_ID_REQUIRED',
      'MEMBER_ID_REQUIRED',
      'INCONSISTENT_GROUP_PROTOCOL',
      'INCONSISTENT_GROUP_PROTOCOL',
      'INCONSISTENT_GROUP_PROTOCOL',
    ],
  ],
  [
    'sync',
    (at) => settled(at, at.member.sync()),
    ['UNKNOWN_MEMBER_ID', 'UNKNOWN_MEMBER_ID', 'REBALANCE_IN_PROGRESS', 'NONE', 'NONE'],
  ],
  [
    'sync of an old generation',
    (at) => settled(at, at.member.sync([], { generationId: 0 })),
    [
      'UNKNOWN_MEMBER_ID',
      'UNKNOWN_MEMBER_ID',
      'ILLEGAL_GENERATION',
      'ILLEGAL_GENERATION',
      'ILLEGAL_GENERATION',
    ],
  ],
  [
    'sync with another protocol',
    (at) => settled(at, at.member.sync([], { protocolName: 'x' })),
    [
      'UNKNOWN_MEMBER_ID',
      'UNKNOWN_MEMBER_ID',
      'INCONSISTENT_GROUP_PROTOCOL',
      'INCONSISTENT_GROUP_PROTOCOL',
      'INCONSISTENT_GROUP_PROTOCOL',
    ],
  ],
  [
    'sync of a stranger',
    (at) => settled(at, at.member.sync([], { memberId: 'c-stranger' })),
    ['UNKNOWN_MEMBER_ID'],
  ],
  ['sync no group', (at) => settled(at, at.member.sync([], { groupId: '' })), ['INVALID_GROUP_ID']],
  [
    'heartbeat',
    ({ member }) => member.beat(),
    ['UNKNOWN_MEMBER_ID', 'UNKNOWN_MEMBER_ID', 'REBALANCE_IN_PROGRESS', 'NONE', 'NONE'],
  ],
  [
    'heartbeat of an old generation',
    ({ member }) => member.beat({ generationId: 0 }),
    [
      'UNKNOWN_MEMBER_ID',
      'UNKNOWN_MEMBER_ID',
      'ILLEGAL_GENERATION',
      'ILLEGAL_GENERATION',
      'ILLEGAL_GENERATION',
    ],
  ],
  [
    'heartbeat of a stranger',
    ({ member }) => member.beat({ memberId: 'c-stranger' }),
    ['UNKNOWN_MEMBER_ID'],
  ],
  ['heartbeat to no group', ({ member }) => member.beat({ groupId: '' }), ['INVALID_GROUP_ID']],
  [
    'leave',
    ({ member }) => member.leave(),
    ['UNKNOWN_MEMBER_ID', 'UNKNOWN_MEMBER_ID', 'NONE', 'NONE', 'NONE'],
  ],
  [
    'commit as a member',
    ({ member }) => member.commitError(),
    ['GROUP_ID_NOT_FOUND', 'UNKNOWN_MEMBER_ID', 'NONE', 'REBALANCE_IN_PROGRESS', 'NONE'],
  ],
  [
    'commit in an old generation',
    ({ member }) => member.commitError({ generationIdOrMemberEpoch: 0 }),
    [
      'GROUP_ID_NOT_FOUND',
      'UNKNOWN_MEMBER_ID',
      'ILLEGAL_GENERATION',
      'ILLEGAL_GENERATION',
      'ILLEGAL_GENERATION',
    ],
  ],
  [
    'commit as a stranger',
    ({ story }) => story.commitError(stranger, 8),
    [
      'ILLEGAL_GENERATION',
      'UNKNOWN_MEMBER_ID',
      'UNKNOWN_MEMBER_ID',
      'UNKNOWN_MEMBER_ID',
      'UNKNOWN_MEMBER_ID',
    ],
  ],
  [
    'commit without being a member',
    ({ story }) => story.commitError(),
    ['NONE', 'NONE', 'UNKNOWN_MEMBER_ID', 'UNKNOWN_MEMBER_ID', 'UNKNOWN_MEMBER_ID'],
  ],
  [
    'delete offsets of a topic in use',
    (at) => deleteOffsets(at, 't'),
    [
      'GROUP_ID_NOT_FOUND',
      'NONE',
      'GROUP_SUBSCRIBED_TO_TOPIC',
      'GROUP_SUBSCRIBED_TO_TOPIC',
      'GROUP_SUBSCRIBED_TO_TOPIC',
    ],
  ],
  [
    'delete offsets of another topic',
    (at) => deleteOffsets(at, 'u'),
    ['GROUP_ID_NOT_FOUND', 'NONE', 'NONE', 'NONE', 'NONE'],
  ],
  [
    'delete the group',
    async ({ story }) => (await story.now(story.groups.deleteGroups(['g']))).results[0]?.errorCode,
    ['GROUP_ID_NOT_FOUND', 'NONE', 'NON_EMPTY_GROUP', 'NON_EMPTY_GROUP', 'NON_EMPTY_GROUP'],
  ],
]

for (const [name, act, expected] of table) {
  t.test(name, async (t) => {
    for (const [index, state] of states.entries()) {
      const at = await scene(state)
      const error = expected[expected.length === 1 ? 0 : index] as ErrorName
      t.equal(await act(at), errors[error].code, `${state}: ${error}`)
      await at.story.replay(t)
    }
  })
}

/** A loss of power takes the record that a group's offsets of a deleted topic are gone, and not the deletion. */
import t from 'tap'
import { apis } from '../../protocol/apis.ts'
import { zeroUuid } from '../../protocol/types.ts'
import { OneBroker } from './one-broker.ts'

const group = 'readers'

async function committed(node: OneBroker, host: string): Promise<number | undefined> {
  const topics = [{ name: 'orders', partitionIndexes: [0] }]
  const asked = { groups: [{ groupId: group, topics }], requireStable: false }
  const answer = await node.ask(host, apis.offsetFetch, asked, 9)
  return answer.groups?.[0]?.topics[0]?.partitions[0]?.committedOffset
}

t.test('a topic is not read from where another of its name was left', async (t) => {
  for (let commits = 1; commits <= 12; commits++) {
    const node = new OneBroker({ 'offsets.topic.num.partitions': '1' })
    await node.start()
    await node.createTopic('before', 'orders')
    await node.ask('before', apis.findCoordinator, { key: group, coordinatorKeys: [group] })
    await node.world.runFor(1000)
    for (let offset = 1; offset <= commits; offset++) {
      const partitions = [{ partitionIndex: 0, committedOffset: 100 + offset }]
      const topics = [{ name: 'orders', partitions }]
      const answer = await node.ask('before', apis.offsetCommit, { groupId: group, topics }, 9)
      t.equal(answer.topics[0]?.partitions[0]?.errorCode, 0)
    }
    t.equal(await committed(node, 'before'), 100 + commits)
    const request = { topics: [{ name: 'orders', topicId: zeroUuid }], timeoutMs: 1000 }
    await node.ask('before', apis.deleteTopics, request)
    await node.restart('crash')
    await node.createTopic('after', 'orders')
    await node.ask('after', apis.findCoordinator, { key: group, coordinatorKeys: [group] })
    await node.world.runFor(1000)
    t.equal(await committed(node, 'after'), -1)
  }
})

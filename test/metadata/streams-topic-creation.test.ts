/** Topics of streams applications: made once, within the quota, and not tried again at once. */
import t from 'tap'
import { errors, KafkaError } from '../../protocol/errors.ts'
import { StreamsTopicCreation } from '../../src/metadata/streams-topic-creation.ts'
import { openNode } from './metadata-node.ts'

const topic = (name: string, partitions: number) => ({
  name,
  partitions,
  replicationFactor: 0,
  topicConfigs: [{ key: 'cleanup.policy', value: 'compact' }],
})

t.test('what the quota does not allow is told, and tried again later', async (t) => {
  const { metadata, turns, finish } = await openNode()
  const { controller } = metadata
  const creation = new StreamsTopicCreation(controller, turns.environment)
  let left = 3
  const counted: number[] = []
  const count = (partitions: number) => {
    if (left <= 0) throw new KafkaError(errors.THROTTLING_QUOTA_EXCEEDED)
    left -= partitions
    counted.push(partitions)
  }
  const wanted = [topic('app-store-changelog', 4), topic('app-join-repartition', 2)]
  const begin = async () => {
    creation.begin(wanted, 1000, count)
    creation.begin(wanted, 1000, count)
    // All that was decided is committed once this is.
    await finish(controller.createTopics({ topics: [], validateOnly: false }))
  }
  await begin()
  t.strictSame(counted, [4])
  const { byName } = metadata.image.topics
  t.strictSame([...byName.keys()], ['app-store-changelog'])
  t.equal(byName.get('app-store-changelog')?.partitions.length, 4)
  const { message } = errors.THROTTLING_QUOTA_EXCEEDED
  t.strictSame(creation.failures(wanted), [`app-join-repartition (${message})`])

  left = 100
  await begin()
  t.strictSame(counted, [4], 'not before the failure is forgotten')
  turns.advance(1000)
  t.strictSame(creation.failures(wanted), [])
  await begin()
  t.strictSame(counted, [4, 2])
  t.ok(metadata.image.topics.byName.has('app-join-repartition'))
  t.strictSame(creation.failures(wanted), [])
})

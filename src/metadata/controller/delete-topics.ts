/** DeleteTopics, by name or by id. */
import { errors, KafkaError } from '../../../protocol/errors.ts'
import type {
  DeleteTopicsRequest,
  DeleteTopicsResponse,
} from '../../../protocol/messages/delete-topics.ts'
import { type Uuid, zeroUuid } from '../../../protocol/types.ts'
import type { Steps } from '../../environment/in-turns.ts'
import type { MetadataImage } from '../image.ts'
import { type MetadataRecord, record } from '../record.ts'
import {
  type CountMutations,
  type Decision,
  failed,
  type Outcome,
  outcomeOf,
  succeeded,
} from './decision.ts'

type Result = DeleteTopicsResponse['responses'][number]

/** Every name and id gets one result; what was given twice is refused, not deleted once. */
export function* deleteTopics(
  image: MetadataImage,
  request: Pick<DeleteTopicsRequest, 'topics' | 'topicNames'>,
  countMutations: CountMutations,
): Steps<Decision<Result[]>> {
  const results: Result[] = []
  const answer = (name: string | null, topicId: Uuid, { error, message }: Outcome) => {
    results.push({ name, topicId, errorCode: error.code, errorMessage: message })
  }
  const names = new Map<string, number>()
  const ids = new Map<Uuid, number>()
  const count = <K>(counts: Map<K, number>, key: K) => counts.set(key, (counts.get(key) ?? 0) + 1)
  for (const name of request.topicNames) count(names, name)
  for (const { name, topicId } of request.topics) {
    if (name !== null && topicId !== zeroUuid) {
      answer(name, topicId, invalid('You may not specify both topic name and topic id.'))
    } else if (name !== null) count(names, name)
    else if (topicId !== zeroUuid) count(ids, topicId)
    else answer(null, zeroUuid, invalid('Neither topic name nor id were specified.'))
  }

  const doomed = new Map<Uuid, string>()
  const twice = new Set<Uuid>()
  for (const [id, times] of ids) {
    const topic = image.topics.byId.get(id)
    yield
    if (times > 1) {
      twice.add(id)
      answer(null, id, invalid('Duplicate topic id.'))
    } else if (topic === undefined) answer(null, id, failed(errors.UNKNOWN_TOPIC_ID))
    else doomed.set(id, topic.name)
  }
  for (const [name, times] of names) {
    const topic = image.topics.byName.get(name)
    yield
    if (times > 1) answer(name, zeroUuid, invalid('Duplicate topic name.'))
    else if (topic === undefined) {
      answer(name, zeroUuid, failed(errors.UNKNOWN_TOPIC_OR_PARTITION))
    } else if (doomed.has(topic.id) || twice.has(topic.id)) {
      doomed.delete(topic.id)
      twice.add(topic.id)
      const message = 'The provided topic name maps to an ID that was already supplied.'
      answer(name, topic.id, invalid(message))
    } else doomed.set(topic.id, name)
  }
  const records: MetadataRecord[] = []
  for (const [topicId, name] of doomed) {
    yield
    try {
      countMutations(image.topics.byId.get(topicId)?.partitions.length ?? 0)
      records.push(record('RemoveTopicRecord', { topicId }))
      answer(name, topicId, succeeded)
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error
      answer(name, topicId, outcomeOf(error))
    }
  }
  return { records, reply: results }
}

function invalid(message: string): Outcome {
  return failed(errors.INVALID_REQUEST, message)
}

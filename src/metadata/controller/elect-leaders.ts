/**
 * ElectLeaders: a partition's preferred replica leads again, or, where nobody is left who has everything,
 * whoever is there leads with what it has.
 */
import { errors, KafkaError } from '../../../protocol/errors.ts'
import type {
  ElectLeadersRequest,
  ElectLeadersResponse,
} from '../../../protocol/messages/elect-leaders.ts'
import { mapInSteps, mapSteps, type Steps } from '../../environment/in-turns.ts'
import { isActive, type MetadataImage, noLeader, type PartitionImage } from '../image.ts'
import { type PartitionChange, partitionChangeRecordOf } from '../partition-record.ts'
import type { MetadataRecord } from '../record.ts'
import {
  type Decision,
  failed,
  type Outcome,
  recordsPerRequestMax,
  succeeded,
  tooLarge,
} from './decision.ts'

type Result = ElectLeadersResponse['replicaElectionResults'][number]

const electionType = { PREFERRED: 0, UNCLEAN: 1 } as const

/** Of one partition. */
interface Election {
  readonly topicName: string
  readonly index: number
  readonly isUnclean: boolean
}

/** In records: elected without being in sync; data may be lost. */
const recovering = 1

/**
 * Of all partitions, where none are named, only those are answered that needed an election. Throws
 * KafkaError INVALID_REQUEST, and POLICY_VIOLATION for too large a request.
 */
export function* electLeaders(
  image: MetadataImage,
  { electionType: how, topicPartitions }: Omit<ElectLeadersRequest, 'timeoutMs'>,
): Steps<Decision<Result[]>> {
  if (how !== electionType.PREFERRED && how !== electionType.UNCLEAN) {
    throw new KafkaError(errors.INVALID_REQUEST, `Unknown election type ${how}`)
  }
  const isUnclean = how === electionType.UNCLEAN
  const records: MetadataRecord[] = []
  const elect = (topicName: string, partitionId: number) => {
    const outcome = electOne(image, { topicName, index: partitionId, isUnclean }, records)
    if (records.length > recordsPerRequestMax) throw tooLarge()
    const { error, message } = outcome
    return { partitionId, errorCode: error.code, errorMessage: message }
  }
  if (topicPartitions !== null) {
    const reply = yield* mapSteps(topicPartitions, function* ({ topic, partitions }) {
      const partitionResult = yield* mapInSteps(partitions, (index) => elect(topic, index))
      return { topic, partitionResult }
    })
    return { records, reply }
  }
  const reply = yield* mapInSteps(image.topics.byName.values(), ({ name, partitions }) => ({
    topic: name,
    partitionResult: partitions
      .map(({ index }) => elect(name, index))
      .filter(({ errorCode }) => errorCode !== errors.ELECTION_NOT_NEEDED.code),
  }))
  return { records, reply }
}

function electOne(
  image: MetadataImage,
  { topicName: name, index, isUnclean }: Election,
  records: MetadataRecord[],
): Outcome {
  const topic = image.topics.byName.get(name)
  if (topic === undefined) {
    return failed(errors.UNKNOWN_TOPIC_OR_PARTITION, `No such topic as ${name}`)
  }
  const partition = topic.partitions[index]
  if (partition === undefined) {
    return failed(errors.UNKNOWN_TOPIC_OR_PARTITION, `No such partition as ${name}-${index}`)
  }
  const hasLeader = isUnclean
    ? partition.leader !== noLeader
    : partition.leader === partition.replicas[0]
  if (hasLeader) return failed(errors.ELECTION_NOT_NEEDED)
  const change = isUnclean ? uncleanChange(image, partition) : preferredChange(image, partition)
  if (change === undefined) {
    return failed(
      isUnclean ? errors.ELIGIBLE_LEADERS_NOT_AVAILABLE : errors.PREFERRED_LEADER_NOT_AVAILABLE,
    )
  }
  records.push(partitionChangeRecordOf(image, topic.id, index, change))
  return succeeded
}

function preferredChange(
  image: MetadataImage,
  { replicas, isr }: PartitionImage,
): PartitionChange | undefined {
  const [preferred] = replicas
  if (preferred === undefined || !isr.includes(preferred)) return undefined
  return isActive(image, preferred) ? { leader: preferred } : undefined
}

/** Someone in sync, else someone who has all that was committed, else anybody. */
function uncleanChange(
  image: MetadataImage,
  { replicas, isr, elr, lastKnownElr }: PartitionImage,
): PartitionChange | undefined {
  const active = replicas.filter((id) => isActive(image, id))
  const inSync = active.find((id) => isr.includes(id))
  if (inSync !== undefined) return { leader: inSync }
  const eligible = active.find((id) => elr.includes(id))
  const leader = eligible ?? active.find((id) => lastKnownElr.includes(id)) ?? active[0]
  if (leader === undefined) return undefined
  return {
    leader,
    isr: [leader],
    ...(elr.length > 0 && { eligibleLeaderReplicas: elr.filter((id) => id !== leader) }),
    ...(lastKnownElr.length > 0 && { lastKnownElr: [] }),
    ...(eligible === undefined && { leaderRecoveryState: recovering }),
  }
}

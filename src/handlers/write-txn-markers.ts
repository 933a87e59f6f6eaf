/**
 * WriteTxnMarkers: a transaction coordinator, or an administrator who aborts a transaction that hangs,
 * ends transactions in partitions led here.
 */
import { apis } from '../../protocol/apis.ts'
import { type ErrorRow, errors, KafkaError } from '../../protocol/errors.ts'
import type {
  WriteTxnMarkersRequest,
  WriteTxnMarkersResponse,
} from '../../protocol/messages/write-txn-markers.ts'
import type {
  MarkerWriter,
  PartitionName,
  TopicPartitions,
  TransactionMarkers,
} from '../coordinator/transaction/participants.ts'
import { atOnce, mapInSteps, mapSteps, type Steps } from '../environment/in-turns.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'

const endTransactions = rule('CLUSTER_ACTION', 'CLUSTER', 'markers.topics.partitions.errorCode', {
  unless: 'ALTER',
})

type RequestedMarker = WriteTxnMarkersRequest['markers'][number]
type AnsweredMarker = WriteTxnMarkersResponse['markers'][number]

export const writeTxnMarkers = ({ markers }: { markers: MarkerWriter }) =>
  handler(
    apis.writeTxnMarkers,
    async (request, context) => {
      endTransactions.require(context)
      if (request.markers.some(isOfNobody)) {
        throw new KafkaError(errors.UNKNOWN_SERVER_ERROR, 'A marker of no producer')
      }
      const writing = async (marker: RequestedMarker) => {
        const rows = new Map<PartitionName, ErrorRow>()
        const write = async (piece: TransactionMarkers) => {
          for (const [name, row] of await markers.writeMarkers(piece)) rows.set(name, row)
        }
        await context.allInTurns(piecesOf(marker), write, 1)
        const rowOf = (name: string) => rows.get(name) ?? errors.UNKNOWN_SERVER_ERROR
        return context.inTurns(answered(marker, rowOf))
      }
      return { markers: await context.allInTurns(request.markers, writing) }
    },
    {
      access: [endTransactions],
      quota: 'none',
      onError: (request, error) => ({
        markers: request.markers.map((marker) => atOnce(answered(marker, () => error))),
      }),
    },
  )

/** No log can hold it; Kafka says so in the same words. */
const isOfNobody = ({ producerId, producerEpoch }: RequestedMarker): boolean =>
  producerId < 0 || producerEpoch < 0

/** Partitions to which a marker is written in one go. */
const partitionsPerPiece = 200

/** The same for a part of its partitions each; one at least, where there are none. */
function piecesOf({ transactionResult: isCommit, topics, ...who }: RequestedMarker) {
  const pieces: TransactionMarkers[] = []
  let partitions: TopicPartitions[] = []
  let count = 0
  const end = () => {
    pieces.push({ ...who, isCommit, partitions })
    partitions = []
    count = 0
  }
  for (const { name: topic, partitionIndexes } of topics) {
    for (let from = 0; from < partitionIndexes.length; from += partitionsPerPiece) {
      const some = partitionIndexes.slice(from, from + partitionsPerPiece)
      partitions.push({ topic, partitions: some })
      count += some.length
      if (count >= partitionsPerPiece) end()
    }
  }
  if (count > 0 || pieces.length === 0) end()
  return pieces
}

/** As Kafka's answer, which is by partition: a topic without partitions is not in it. */
function* answered(
  { producerId, topics }: RequestedMarker,
  rowOf: (name: string) => ErrorRow,
): Steps<AnsweredMarker> {
  const named = topics.filter(({ partitionIndexes }) => partitionIndexes.length > 0)
  const answers = yield* mapSteps(named, function* ({ name, partitionIndexes }) {
    const answer = (partitionIndex: number) => {
      return { partitionIndex, errorCode: rowOf(`${name}-${partitionIndex}`).code }
    }
    return { name, partitions: yield* mapInSteps(partitionIndexes, answer) }
  })
  return { producerId, topics: answers }
}

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
import type { MarkerWriter } from '../coordinator/transaction/participants.ts'
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
      const writing = (marker: RequestedMarker) => write(markers, marker)
      return { markers: await context.allInTurns(request.markers, writing) }
    },
    {
      access: [endTransactions],
      quota: 'none',
      onError: (request, error) => ({
        markers: request.markers.map((marker) => answered(marker, () => error)),
      }),
    },
  )

/** No log can hold it; Kafka says so in the same words. */
const isOfNobody = ({ producerId, producerEpoch }: RequestedMarker): boolean =>
  producerId < 0 || producerEpoch < 0

async function write(writer: MarkerWriter, marker: RequestedMarker): Promise<AnsweredMarker> {
  const { transactionResult: isCommit, topics, ...who } = marker
  const partitions = topics.map(({ name, partitionIndexes }) => ({
    topic: name,
    partitions: partitionIndexes,
  }))
  const rows = await writer.writeMarkers({ ...who, isCommit, partitions })
  return answered(marker, (name) => rows.get(name) ?? errors.UNKNOWN_SERVER_ERROR)
}

/** As Kafka's answer, which is by partition: a topic without partitions is not in it. */
function answered(
  { producerId, topics }: RequestedMarker,
  rowOf: (name: string) => ErrorRow,
): AnsweredMarker {
  const named = topics.filter(({ partitionIndexes }) => partitionIndexes.length > 0)
  return {
    producerId,
    topics: named.map(({ name, partitionIndexes }) => ({
      name,
      partitions: partitionIndexes.map((partitionIndex) => ({
        partitionIndex,
        errorCode: rowOf(`${name}-${partitionIndex}`).code,
      })),
    })),
  }
}

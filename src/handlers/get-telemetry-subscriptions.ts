/** GetTelemetrySubscriptions: a client asks which of its metrics are wanted. None are. */
import { apis } from '../../protocol/apis.ts'
import { type ErrorRow, errors } from '../../protocol/errors.ts'
import { compressions } from '../../protocol/records/compression/compression.ts'
import { type Uuid, zeroUuid } from '../../protocol/types.ts'
import { handler } from '../server/handler.ts'
import { type ClientTelemetry, pushIntervalMs } from './client-telemetry.ts'

/** In Kafka's order of preference. */
const acceptedCompressions = ['zstd', 'lz4', 'gzip', 'snappy'] as const
const acceptedCompressionTypes = acceptedCompressions.map((name) => compressions.indexOf(name))

export const getTelemetrySubscriptions = ({ telemetry }: { telemetry: ClientTelemetry }) =>
  handler(
    apis.getTelemetrySubscriptions,
    ({ clientInstanceId }) => {
      const id = clientInstanceId === zeroUuid ? telemetry.newInstanceId() : clientInstanceId
      const error = telemetry.get(id)
      if (error !== errors.NONE) return refused(id, error)
      return {
        errorCode: errors.NONE.code,
        clientInstanceId: id,
        subscriptionId: telemetry.subscriptionIdOf(id),
        acceptedCompressionTypes,
        pushIntervalMs,
        telemetryMaxBytes: telemetry.bytesMax,
        deltaTemporality: true,
        requestedMetrics: [],
      }
    },
    {
      access: [],
      onError: ({ clientInstanceId }, error) => refused(clientInstanceId, error),
    },
  )

function refused(clientInstanceId: Uuid, error: ErrorRow) {
  return {
    errorCode: error.code,
    clientInstanceId,
    subscriptionId: 0,
    acceptedCompressionTypes: [],
    pushIntervalMs: 0,
    telemetryMaxBytes: 0,
    deltaTemporality: false,
    requestedMetrics: [],
  }
}

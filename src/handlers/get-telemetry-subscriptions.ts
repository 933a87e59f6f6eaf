/** GetTelemetrySubscriptions: a client asks which of its metrics are wanted, and how often (KIP-714). */
import { apis } from '../../protocol/apis.ts'
import { type ErrorRow, errors } from '../../protocol/errors.ts'
import { canCompress, compressions } from '../../protocol/records/compression/compression.ts'
import { type Uuid, zeroUuid } from '../../protocol/types.ts'
import { handler } from '../server/handler.ts'
import type { ClientTelemetry } from '../telemetry/client-telemetry.ts'

/** In Kafka's order of preference; zstd only where Node has it. */
const preferred = ['zstd', 'lz4', 'gzip', 'snappy'] as const
const accepted = preferred.filter((name) => name !== 'zstd' || canCompress(name))
const acceptedCompressionTypes = accepted.map((name) => compressions.indexOf(name))

export const getTelemetrySubscriptions = ({ telemetry }: { telemetry: ClientTelemetry }) =>
  handler(
    apis.getTelemetrySubscriptions,
    ({ clientInstanceId }, context) => {
      const id = clientInstanceId === zeroUuid ? telemetry.newInstanceId() : clientInstanceId
      const subscribed = telemetry.get(id, context)
      if (!('subscriptionId' in subscribed)) return refused(id, subscribed)
      return {
        errorCode: errors.NONE.code,
        clientInstanceId: id,
        subscriptionId: subscribed.subscriptionId,
        acceptedCompressionTypes,
        pushIntervalMs: subscribed.intervalMs,
        telemetryMaxBytes: telemetry.bytesMax,
        deltaTemporality: true,
        requestedMetrics: subscribed.metrics,
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

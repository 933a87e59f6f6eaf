/** PushTelemetry: a client pushes its metrics (KIP-714). */
import { apis } from '../../protocol/apis.ts'
import { handler } from '../server/handler.ts'
import type { ClientTelemetry } from '../telemetry/client-telemetry.ts'

export const pushTelemetry = ({ telemetry }: { telemetry: ClientTelemetry }) =>
  handler(
    apis.pushTelemetry,
    (request, context) => ({ errorCode: telemetry.push(request, context).code }),
    {
      access: [],
      onError: (_, error) => ({ errorCode: error.code }),
    },
  )

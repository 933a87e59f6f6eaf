/** PushTelemetry: a client pushes its metrics, wanted or not. */
import { apis } from '../../protocol/apis.ts'
import { handler } from '../server/handler.ts'
import type { ClientTelemetry } from './client-telemetry.ts'

export const pushTelemetry = ({ telemetry }: { telemetry: ClientTelemetry }) =>
  handler(apis.pushTelemetry, (request) => ({ errorCode: telemetry.push(request).code }), {
    access: [],
    onError: (_, error) => ({ errorCode: error.code }),
  })

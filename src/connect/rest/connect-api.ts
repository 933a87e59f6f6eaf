/**
 * Kafka Connect's REST interface, whole: what a worker answers, whoever carries the questions. What takes
 * too long is given up, as far as whoever asked is concerned.
 */
import { KafkaError } from '../../../protocol/errors.ts'
import { ClosedError, ConnectionError, TimeoutError } from '../../client/failures.ts'
import { ConfigError } from '../../config/definition.ts'
import {
  failed,
  type HttpAnswer,
  HttpError,
  type HttpRequest,
  json,
  route,
  routeTable,
} from '../../http/routes.ts'
import { ConnectException } from '../failures.ts'
import { Elsewhere } from '../runtime/elsewhere.ts'
import type { Herder } from '../runtime/herder.ts'
import { connectVersion } from '../version.ts'
import { connectorRoutes } from './connectors-api.ts'
import { forward } from './forward.ts'
import { loggerRoutes } from './loggers-api.ts'
import { offsetRoutes } from './offsets-api.ts'
import { pluginRoutes } from './plugins-api.ts'

const answerMsMax = 90_000

export function connectApi(herder: Herder): (request: HttpRequest) => Promise<HttpAnswer> {
  const answer = routeTable(
    [
      route('GET', '/', async () => {
        const { metadata } = herder.cluster
        if (metadata.clusterId === null) await herder.cluster.nodes()
        const kafka_cluster_id = metadata.clusterId
        return json(200, { version: connectVersion, commit: 'millrace', kafka_cluster_id })
      }),
      ...connectorRoutes(herder),
      ...offsetRoutes(herder),
      ...pluginRoutes(herder),
      ...loggerRoutes(herder),
    ],
    {
      explain,
      elsewhere: (error, request) =>
        error instanceof Elsewhere ? forward(herder.worker.environment, error.url, request) : null,
    },
  )
  return (request) =>
    new Promise((resolve) => {
      const timer = herder.worker.environment.timers.after(answerMsMax, () =>
        resolve(failed(new HttpError(500, 'Request timed out. The worker is still at it.'))),
      )
      void answer(request).then((answered) => {
        timer.cancel()
        resolve(answered)
      })
    })
}

/** Failures that are no bugs. */
function explain(error: unknown): HttpError | undefined {
  if (error instanceof ConfigError) return new HttpError(400, error.message, { cause: error })
  if (error instanceof TimeoutError || error instanceof ConnectionError)
    return new HttpError(503, error.message, { cause: error })
  const isKnown =
    error instanceof ConnectException || error instanceof KafkaError || error instanceof ClosedError
  return isKnown ? new HttpError(500, error.message, { cause: error }) : undefined
}

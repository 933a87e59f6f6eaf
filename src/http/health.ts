/**
 * Health and metrics, as a service: `/health/live` says 200 as long as the process can answer at all;
 * `/health/ready` says 200 once the broker answers rightly for everything that it loaded and 503 before
 * that, while it stops, and once no log directory is left to write to. `/metrics` is for Prometheus and
 * whoever reads its formats. The answers come as functions from whoever knows them.
 */
import type { Service } from './http-server.ts'
import { json, route, routeTable } from './routes.ts'

export interface Health {
  readonly ready: boolean
  /** Why not, or what is impaired; told to whoever asks. */
  readonly reason?: string
}

export interface Page {
  readonly contentType: string
  readonly pieces: readonly Buffer[]
}

export interface HealthAnswers {
  readonly health: () => Health
  /** The page for an `Accept` header; what it rejects with is told to whoever asked. */
  readonly metrics: (accept: string) => Promise<Page>
}

export function healthService(answers: HealthAnswers): Service {
  const ready = () => {
    const { ready: isReady, reason } = answers.health()
    const body = { status: isReady ? 'ready' : 'not ready', ...(reason ? { reason } : {}) }
    return json(isReady ? 200 : 503, body)
  }
  const answering = routeTable([
    route('GET', '/health/live', () => json(200, { status: 'live' })),
    route('GET', '/health/ready', ready),
    route('GET', '/health', ready),
    route('GET', '/metrics', async ({ accept }) => {
      const { contentType, pieces } = await answers.metrics(accept)
      return { status: 200, contentType, body: pieces }
    }),
  ])
  return { segments: ['health', 'metrics'], load: async () => answering }
}

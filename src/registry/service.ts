/**
 * The registry as a service of the HTTP listener. All that it takes, and its topic, is loaded with the
 * first request: who asks for no schemas pays nothing.
 */
import type { Environment } from '../environment/environment.ts'
import type { Endpoint } from '../environment/network.ts'
import type { Answering, Service } from '../http/http-server.ts'

export interface RegistryServiceOptions {
  readonly environment: Environment
  /** Where the cluster is, asked with the first request. */
  readonly bootstrap: () => readonly Endpoint[]
  /** Where schemas are kept. */
  readonly topic?: string
}

export function registryService({
  environment,
  bootstrap,
  topic,
}: RegistryServiceOptions): Service {
  let close: (() => Promise<void>) | null = null
  const load = async (): Promise<Answering> => {
    const [{ openRegistry }, { registryRoutes }] = await Promise.all([
      import('./open-registry.ts'),
      import('./rest.ts'),
    ])
    const place = { environment, bootstrap: bootstrap(), topic, clientId: 'schema-registry' }
    const opened = await openRegistry(place)
    close = async () => {
      close = null
      await opened.close()
    }
    return registryRoutes(opened.registry)
  }
  return {
    segments: ['subjects', 'schemas', 'config', 'mode', 'compatibility', 'contexts'],
    load,
    close: async () => close?.(),
  }
}

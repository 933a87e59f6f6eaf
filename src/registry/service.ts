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

/** As many copies as the usual registry makes. */
const replicationFactor = 3
const timeoutMs = 30_000

export function registryService({
  environment,
  bootstrap,
  topic = '_schemas',
}: RegistryServiceOptions): Service {
  let close: (() => Promise<void>) | null = null
  const load = async (): Promise<Answering> => {
    const [{ Cluster }, { SchemaRegistry }, { registryRoutes }] = await Promise.all([
      import('../client/cluster.ts'),
      import('./schema-registry.ts'),
      import('./rest.ts'),
    ])
    const cluster = new Cluster(environment, {
      bootstrap: bootstrap(),
      clientId: 'schema-registry',
      operationTimeoutMs: timeoutMs,
    })
    const registry = new SchemaRegistry(cluster, { topic, replicationFactor, timeoutMs })
    close = async () => {
      close = null
      await registry.close()
      cluster.close()
    }
    try {
      await registry.open()
    } catch (error) {
      await close()
      throw error
    }
    return registryRoutes(registry)
  }
  return {
    segments: ['subjects', 'schemas', 'config', 'mode', 'compatibility', 'contexts'],
    load,
    close: async () => close?.(),
  }
}

/** A registry on the topic of a cluster, and what was opened for it. */
import { Cluster } from '../client/cluster.ts'
import type { Environment } from '../environment/environment.ts'
import type { Endpoint } from '../environment/network.ts'
import { SchemaRegistry } from './schema-registry.ts'

export interface RegistryPlace {
  readonly environment: Environment
  readonly bootstrap: readonly Endpoint[]
  /** Where schemas are kept; as the usual registry has it unless given. */
  readonly topic?: string | undefined
  /** Who asks, as the cluster is told. */
  readonly clientId: string
}

export interface OpenRegistry {
  readonly registry: SchemaRegistry
  close(): Promise<void>
}

/** As many copies as the usual registry makes. */
const replicationFactor = 3
const timeoutMs = 30_000

/** It has read all that was there. Rejects with RegistryError, and with whatever ends a connection. */
export async function openRegistry({
  environment,
  bootstrap,
  topic = '_schemas',
  clientId,
}: RegistryPlace): Promise<OpenRegistry> {
  const cluster = new Cluster(environment, { bootstrap, clientId, operationTimeoutMs: timeoutMs })
  const registry = new SchemaRegistry(cluster, { topic, replicationFactor, timeoutMs })
  const close = async () => {
    await registry.close()
    cluster.close()
  }
  try {
    await registry.open()
  } catch (error) {
    await close()
    throw error
  }
  return { registry, close }
}

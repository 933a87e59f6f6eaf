/** Settings of topics, brokers, groups and client metrics: what they are, where from, and changing them. */
import { apis } from '../../../protocol/apis.ts'
import type { KafkaError } from '../../../protocol/errors.ts'
import type { Cluster } from '../cluster.ts'
import { check, failure, type Outcome, outcome, throwMoved } from './outcome.ts'

export type ResourceType = 'topic' | 'broker' | 'broker-logger' | 'client-metrics' | 'group'

const typeCodes: Readonly<Record<ResourceType, number>> = {
  topic: 2,
  broker: 4,
  'broker-logger': 8,
  'client-metrics': 16,
  group: 32,
}

export interface Resource {
  readonly type: ResourceType
  /** Empty for the defaults of all brokers. */
  readonly name: string
}

const sources: Readonly<Record<number, string>> = {
  1: 'topic',
  2: 'broker',
  3: 'cluster',
  4: 'file',
  5: 'default',
  6: 'logger',
  7: 'client-metrics',
  8: 'group',
}

const valueTypes: Readonly<Record<number, string>> = {
  1: 'boolean',
  2: 'string',
  3: 'int',
  4: 'short',
  5: 'long',
  6: 'double',
  7: 'list',
  8: 'class',
  9: 'password',
}

export interface ConfigEntry {
  readonly name: string
  /** Null where it is secret or has none. */
  readonly value: string | null
  /** Which level the value comes from: topic, broker, cluster (all brokers), file, default, group, … */
  readonly source: string
  readonly isReadOnly: boolean
  readonly isSensitive: boolean
  readonly type: string | null
  readonly documentation: string | null
}

export interface ResourceConfigs extends Resource {
  readonly error: KafkaError | null
  readonly entries: readonly ConfigEntry[]
}

/** All settings of the resources. Brokers are asked themselves, others any broker. */
export async function describeConfigs(
  cluster: Cluster,
  resources: readonly Resource[],
  { documentation = false } = {},
): Promise<ResourceConfigs[]> {
  const all: ResourceConfigs[] = []
  for (const [nodeId, list] of byNode(resources)) {
    const request = {
      resources: list.map(({ type, name }) => ({
        resourceType: typeCodes[type],
        resourceName: name,
        configurationKeys: null,
      })),
      includeDocumentation: documentation,
    }
    const answer = await cluster.retrying('read configs', () =>
      nodeId === null
        ? cluster.callAny(apis.describeConfigs, request)
        : cluster.callNode(nodeId, apis.describeConfigs, request),
    )
    for (const [index, row] of answer.results.entries()) {
      all.push({
        type: list[index]!.type,
        name: row.resourceName,
        error: failure(row.errorCode, row.errorMessage),
        entries: row.configs.map((config) => ({
          name: config.name,
          value: config.value,
          source: sources[config.configSource] ?? (config.isDefault ? 'default' : 'unknown'),
          isReadOnly: config.readOnly,
          isSensitive: config.isSensitive,
          type: valueTypes[config.configType] ?? null,
          documentation: config.documentation,
        })),
      })
    }
  }
  return all
}

export interface ConfigChange {
  readonly name: string
  readonly operation: 'set' | 'delete' | 'append' | 'subtract'
  readonly value: string | null
}

const operationCodes = { set: 0, delete: 1, append: 2, subtract: 3 } as const

/** Changes some settings and leaves the others (KIP-339). */
export async function alterConfigs(
  cluster: Cluster,
  resources: readonly Resource[],
  changes: readonly ConfigChange[],
  { validateOnly = false } = {},
): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  for (const [nodeId, list] of byNode(resources)) {
    const request = {
      resources: list.map(({ type, name }) => ({
        resourceType: typeCodes[type],
        resourceName: name,
        configs: changes.map(({ name: config, operation, value }) => ({
          name: config,
          configOperation: operationCodes[operation],
          value,
        })),
      })),
      validateOnly,
    }
    const answered = await cluster.retrying('change configs', async () => {
      const answer =
        nodeId === null
          ? await cluster.callAny(apis.incrementalAlterConfigs, request)
          : await cluster.callNode(nodeId, apis.incrementalAlterConfigs, request)
      const rows = answer.responses.map((row) =>
        outcome(row.resourceName, row.errorCode, row.errorMessage),
      )
      throwMoved(rows)
      return rows
    })
    outcomes.push(...answered)
  }
  return outcomes
}

/** The names of the resources of a type that have settings of their own (KIP-1142). */
export async function listConfigResources(cluster: Cluster, type: ResourceType): Promise<string[]> {
  const answer = await cluster.callAny(
    apis.listConfigResources,
    { resourceTypes: [typeCodes[type]] },
    // The first version lists client metrics and nothing else.
    { versionMin: type === 'client-metrics' ? 0 : 1 },
  )
  check(answer.errorCode)
  return answer.configResources.map(({ resourceName }) => resourceName).sort()
}

/** Settings of one broker, and its loggers, are that broker's to tell and to change. */
function byNode(resources: readonly Resource[]): Map<number | null, Resource[]> {
  const nodes = new Map<number | null, Resource[]>()
  for (const resource of resources) {
    const isOneBroker = resource.type.startsWith('broker') && resource.name !== ''
    const nodeId = isOneBroker ? Number(resource.name) : null
    nodes.set(nodeId, [...(nodes.get(nodeId) ?? []), resource])
  }
  return nodes
}

/**
 * The handlers of metadata and administration over one node in memory. A request goes through its
 * table's encoding and back on the way in, the response on the way out, as on a connection.
 */

import type { ApiRow } from '../../protocol/apis.ts'
import { apis } from '../../protocol/apis.ts'
import { decode, encode } from '../../protocol/codec.ts'
import { errors, KafkaError } from '../../protocol/errors.ts'
import type { InputOf, MessageOf } from '../../protocol/schema.ts'
import { transactionCoordinatorConfig } from '../../src/broker-settings.ts'
import { applyRecorded } from '../../src/config/broker-rules.ts'
import { TransactionCoordinator } from '../../src/coordinator/transaction/transaction-coordinator.ts'
import type { Environment, LogThreshold } from '../../src/environment/environment.ts'
import { addRaftVoter } from '../../src/handlers/add-raft-voter.ts'
import { alterConfigs } from '../../src/handlers/alter-configs.ts'
import { apiVersions } from '../../src/handlers/api-versions.ts'
import { createPartitions } from '../../src/handlers/create-partitions.ts'
import { createTopics } from '../../src/handlers/create-topics.ts'
import { deleteTopics } from '../../src/handlers/delete-topics.ts'
import { describeCluster } from '../../src/handlers/describe-cluster.ts'
import { describeConfigs } from '../../src/handlers/describe-configs.ts'
import { describeQuorum } from '../../src/handlers/describe-quorum.ts'
import { describeTopicPartitions } from '../../src/handlers/describe-topic-partitions.ts'
import { incrementalAlterConfigs } from '../../src/handlers/incremental-alter-configs.ts'
import { initProducerId } from '../../src/handlers/init-producer-id.ts'
import { listConfigResources } from '../../src/handlers/list-config-resources.ts'
import { metadata } from '../../src/handlers/metadata.ts'
import { removeRaftVoter } from '../../src/handlers/remove-raft-voter.ts'
import { updateFeatures } from '../../src/handlers/update-features.ts'
import { AutoTopicCreation } from '../../src/metadata/auto-topic-creation.ts'
import { dynamicBrokerTexts } from '../../src/metadata/image.ts'
import type { AnyHandler } from '../../src/server/handler.ts'
import type { ConnectionContext } from '../../src/server/request-context.ts'
import { openNode } from '../metadata/metadata-node.ts'
import { requestContext } from './request-context.ts'

export async function openAdmin(settings: Readonly<Record<string, string>> = {}) {
  const node = await openNode(undefined, settings)
  const { cache, controller, quorum, producerIds } = node.metadata
  const { config } = node
  cache.subscribe((image) => {
    applyRecorded(config, dynamicBrokerTexts(image, 1))
  })
  const transactions = new TransactionCoordinator({
    // Neither of what is missing is asked for.
    environment: node.turns.environment as Environment,
    config: transactionCoordinatorConfig(config, () => 2),
    partitionCount: () => 1,
    producerIds,
    markers: { writeMarkers: async () => new Map() },
    isDeleted: () => false,
    mayLackRecords: () => false,
  })
  const logThreshold: LogThreshold = { level: 'info' }
  const parts = {
    environment: { logThreshold },
    transactions,
    cache,
    controller,
    quorum,
    producerIds,
    config,
    nodeId: 1,
    autoTopics: new AutoTopicCreation(controller, cache, config),
    advertised: () => ({ host: 'here.example', port: 29092 }),
    handlers: () => handlers,
    telemetry: { isShown: true },
  }
  const handlers: readonly AnyHandler[] = [
    metadata(parts),
    apiVersions(parts),
    createTopics(parts),
    deleteTopics(parts),
    createPartitions(parts),
    describeConfigs(parts),
    alterConfigs(parts),
    incrementalAlterConfigs(parts),
    listConfigResources(parts),
    describeQuorum(parts),
    addRaftVoter(parts),
    removeRaftVoter(parts),
    describeCluster(parts),
    describeTopicPartitions(parts),
    updateFeatures(parts),
    initProducerId(parts),
  ]
  const connection: ConnectionContext = {
    id: 'test',
    local: { host: '127.0.0.1', port: 9092 },
    remote: { host: '127.0.0.1', port: 40000 },
    principal: 'User:ANONYMOUS',
    softwareName: undefined,
    softwareVersion: undefined,
    attachments: new Map(),
    isOpen: true,
    onClose() {},
  }

  /** Asks as a client of this version does. */
  async function ask<Api extends ApiRow>(
    api: Api,
    apiVersion: number,
    input: InputOf<Api['request']>,
  ): Promise<MessageOf<Api['response']>> {
    const handler = handlers.find((one) => one.api === api)
    if (handler === undefined) throw new Error(`no handler for ${api.name}`)
    const request = decode(api.request, apiVersion, encode(api.request, apiVersion, input)) as never
    const context = requestContext(api, apiVersion, connection)
    let response: unknown
    try {
      response = await node.finish(Promise.resolve(handler.handle(request, context)))
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error
      response = handler.onError?.(request, error.error, apiVersion, error.message)
    }
    return decode(api.response, apiVersion, encode(api.response, apiVersion, response as never))
  }
  return { ...node, ask, connection, logThreshold, apis, errors }
}

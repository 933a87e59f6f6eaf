/**
 * IncrementalAlterConfigs: sets, deletes, and adds to and takes from lists, one setting at a time (KIP-339). Levels of
 * this broker's loggers are its own, all else the controller's.
 */
import { apis } from '../../protocol/apis.ts'
import { errors, KafkaError } from '../../protocol/errors.ts'
import type { IncrementalAlterConfigsRequest } from '../../protocol/messages/incremental-alter-configs.ts'
import type { Environment } from '../environment/environment.ts'
import type { Controller } from '../metadata/controller/controller.ts'
import { configResource } from '../metadata/image.ts'
import { handler } from '../server/handler.ts'
import { alterLoggers } from './broker-loggers.ts'
import { ConfigAccess } from './config-access.ts'

const access = new ConfigAccess('ALTER_CONFIGS', 'responses.errorCode')

export interface AlteringParts {
  readonly controller: Controller
  readonly environment: Pick<Environment, 'logThreshold'>
  readonly nodeId: number
}

type Resource = IncrementalAlterConfigsRequest['resources'][number]

export const incrementalAlterConfigs = (parts: AlteringParts) =>
  handler(
    apis.incrementalAlterConfigs,
    async (request, context) => {
      const { allowed, denied } = access.split(context, request.resources)
      const isLogger = ({ resourceType }: Resource) => resourceType === configResource.BROKER_LOGGER
      const loggers = allowed.filter(isLogger)
      const others = loggers.length === 0 ? allowed : allowed.filter((one) => !isLogger(one))
      const loggersAltered = loggers.map((one) => alterLogger(one, parts, request.validateOnly))
      const altered = await parts.controller.incrementalAlterConfigs({
        ...request,
        resources: others,
      })
      return { throttleTimeMs: 0, responses: [...loggersAltered, ...altered, ...denied] }
    },
    {
      access: access.rules,
      onError: ({ resources }, error, _version, message) => ({
        responses: resources.map(({ resourceType, resourceName }) => ({
          errorCode: error.code,
          errorMessage: message,
          resourceType,
          resourceName,
        })),
      }),
    },
  )

function alterLogger(
  { resourceType, resourceName, configs }: Resource,
  { environment: { logThreshold }, nodeId }: AlteringParts,
  isOnlyChecked: boolean,
) {
  try {
    if (resourceName !== String(nodeId))
      throw new KafkaError(
        errors.INVALID_REQUEST,
        `Unexpected broker id, expected ${nodeId}, but received ${resourceName}`,
      )
    alterLoggers(logThreshold, configs, isOnlyChecked)
    return { errorCode: 0, errorMessage: null, resourceType, resourceName }
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    const { code } = error.error
    return { errorCode: code, errorMessage: error.message, resourceType, resourceName }
  }
}

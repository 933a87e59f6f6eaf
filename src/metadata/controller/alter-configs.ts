/**
 * IncrementalAlterConfigs and AlterConfigs: the settings that a resource would have are computed first,
 * checked together, and only then written down as one record for each that changed.
 */
import { errors, KafkaError } from '../../../protocol/errors.ts'
import type { AlterConfigsRequest } from '../../../protocol/messages/alter-configs.ts'
import type {
  IncrementalAlterConfigsRequest,
  IncrementalAlterConfigsResponse,
} from '../../../protocol/messages/incremental-alter-configs.ts'
import type { BrokerConfig } from '../../config/broker-config.ts'
import { mapInSteps, type Steps } from '../../environment/in-turns.ts'
import { type ConfigTexts, configResource, configTexts, type MetadataImage } from '../image.ts'
import type { MetadataRecord } from '../record.ts'
import { checkResource, checkTopicChange, definitionsOf } from './config-rules.ts'
import { type Decision, failed, type Outcome, outcomeOf, succeeded } from './decision.ts'
import { checkElr, elrRecords } from './elr-rules.ts'
import { configRecord } from './topic-records.ts'

type Result = IncrementalAlterConfigsResponse['responses'][number]
type IncrementalResource = IncrementalAlterConfigsRequest['resources'][number]
type Resource = AlterConfigsRequest['resources'][number]
interface AnyResource {
  readonly resourceType: number
  readonly resourceName: string
  readonly configs: readonly { readonly name: string }[]
}

export interface Altering {
  readonly config: BrokerConfig
  readonly nodeId: number
}

const operation = { SET: 0, DELETE: 1, APPEND: 2, SUBTRACT: 3 } as const
const valueLengthMax = 32_767

export function incrementalAlterConfigs(
  image: MetadataImage,
  request: IncrementalAlterConfigsRequest,
  altering: Altering,
): Steps<Decision<Result[]>> {
  return alterEach(request, (resource) => incrementallyAlter(image, resource, altering))
}

/** Replaces all settings of each resource: those that the request does not name are deleted. */
export function alterConfigs(
  image: MetadataImage,
  request: AlterConfigsRequest,
  altering: Altering,
): Steps<Decision<Result[]>> {
  return alterEach(request, (resource) => replaceAll(image, resource, altering))
}

function* alterEach<R extends AnyResource>(
  request: { readonly resources: readonly R[]; readonly validateOnly: boolean },
  alter: (resource: R) => MetadataRecord[],
): Steps<Decision<Result[]>> {
  const counts = new Map<string, number>()
  const keyOf = ({ resourceType, resourceName }: R) => `${resourceType} ${resourceName}`
  for (const one of request.resources) counts.set(keyOf(one), (counts.get(keyOf(one)) ?? 0) + 1)
  const records: MetadataRecord[] = []
  const reply = yield* mapInSteps(request.resources, (resource) => {
    const { resourceType, resourceName } = resource
    let outcome: Outcome = succeeded
    if (counts.get(keyOf(resource)) !== 1) {
      outcome = failed(errors.INVALID_REQUEST, 'Each resource must appear at most once.')
    } else {
      try {
        refuseDoubles(resource)
        records.push(...alter(resource))
      } catch (error) {
        if (!(error instanceof KafkaError)) throw error
        outcome = outcomeOf(error)
      }
    }
    const { error, message } = outcome
    return { errorCode: error.code, errorMessage: message, resourceType, resourceName }
  })
  return { records: request.validateOnly ? [] : records, reply }
}

function refuseDoubles({ configs }: AnyResource): void {
  if (new Set(configs.map(({ name }) => name)).size !== configs.length) {
    throw new KafkaError(errors.INVALID_REQUEST, 'Error due to duplicate config keys')
  }
}

function refuseNulls(names: readonly string[]): void {
  if (names.length === 0) return
  throw new KafkaError(errors.INVALID_REQUEST, `Null value not supported for : ${names.join(', ')}`)
}

function incrementallyAlter(
  image: MetadataImage,
  resource: IncrementalResource,
  altering: Altering,
): MetadataRecord[] {
  const { resourceType, resourceName } = resource
  refuseNulls(
    resource.configs
      .filter((one) => one.configOperation !== operation.DELETE && one.value === null)
      .map(({ name }) => name),
  )
  const before = configTexts(image, resourceType, resourceName)
  const after = new Map(before)
  for (const { name, configOperation, value } of resource.configs) {
    const next = operate(resourceType, name, before.get(name), configOperation, value ?? '')
    if (next === null) after.delete(name)
    else after.set(name, limited(next))
  }
  const named = resource.configs.map(({ name }) => name)
  return changeRecords(image, resource, named, before, after, altering)
}

/** A list that grows may become longer than a string on the wire can be. */
function limited(value: string): string {
  if (value.length <= valueLengthMax) return value
  throw new KafkaError(
    errors.INVALID_CONFIG,
    'The configuration value cannot be added because it exceeds the maximum value size of ' +
      `${valueLengthMax} bytes.`,
  )
}

/** The new value of one setting; null: it is deleted. */
function operate(
  resourceType: number,
  name: string,
  current: string | undefined,
  what: number,
  value: string,
): string | null {
  switch (what) {
    case operation.SET:
      return value
    case operation.DELETE:
      return null
    case operation.APPEND:
    case operation.SUBTRACT: {
      const definition = definitionsOf(resourceType)?.[name]
      const isAppend = what === operation.APPEND
      if (definition?.type !== 'list') {
        throw new KafkaError(
          errors.INVALID_CONFIG,
          `Can't ${isAppend ? 'APPEND' : 'SUBTRACT'} to key ${name} because its type is not LIST.`,
        )
      }
      const parts = (current ?? definition.defaultText ?? '').split(',').filter((one) => one !== '')
      const operands = value.split(',')
      if (isAppend) return [...new Set([...parts, ...operands])].join(',')
      return parts.filter((one) => !operands.includes(one)).join(',')
    }
    default:
      throw new KafkaError(errors.INVALID_REQUEST, `Unknown operations type ${what}`)
  }
}

function replaceAll(
  image: MetadataImage,
  resource: Resource,
  altering: Altering,
): MetadataRecord[] {
  const { resourceType, resourceName } = resource
  refuseNulls(resource.configs.filter(({ value }) => value === null).map(({ name }) => name))
  if (resourceType === configResource.BROKER_LOGGER) {
    throw new KafkaError(errors.INVALID_REQUEST, `Unknown resource type ${resourceType}`)
  }
  const before = configTexts(image, resourceType, resourceName)
  const after = new Map(resource.configs.map(({ name, value }) => [name, value ?? '']))
  const named = [...new Set([...after.keys(), ...before.keys()])]
  return changeRecords(image, resource, named, before, after, altering)
}

/** Checks the settings that would be, and the resource itself; then one record for each that changes. */
function changeRecords(
  image: MetadataImage,
  { resourceType, resourceName }: AnyResource,
  named: readonly string[],
  before: ConfigTexts,
  after: ConfigTexts,
  { config, nodeId }: Altering,
): MetadataRecord[] {
  const isBroker = resourceType === configResource.BROKER
  const checked = isBroker ? withoutPassedOver(after, named, resourceName, config) : after
  checkResource(resourceType, resourceName, checked, config, nodeId)
  if (resourceType === configResource.TOPIC && !image.topics.byName.has(resourceName)) {
    throw new KafkaError(
      errors.UNKNOWN_TOPIC_OR_PARTITION,
      `The topic '${resourceName}' does not exist.`,
    )
  }
  if (resourceType === configResource.TOPIC) checkTopicChange(before, after)
  if (isBroker) checkElr(image, resourceName, { before, after })
  // A broker setting is written even if it stays the same: brokers reload what it names.
  const changed = named.filter((name) => isBroker || before.get(name) !== after.get(name))
  const records = changed.map((name) =>
    configRecord(resourceType, resourceName, name, after.get(name) ?? null),
  )
  return [...records, ...elrRecords(image, isBroker ? '' : resourceName, changed)]
}

/**
 * What a broker has recorded and passes over, being invalid, is in no other change's way; where it is
 * named it has to be mended.
 */
function withoutPassedOver(
  after: ConfigTexts,
  named: readonly string[],
  resourceName: string,
  config: BrokerConfig,
): ConfigTexts {
  const { perBroker, clusterDefault } = config.dynamic
  const inForce = resourceName === '' ? clusterDefault : perBroker
  return new Map([...after].filter(([name]) => named.includes(name) || inForce.has(name)))
}

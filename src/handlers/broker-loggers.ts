/**
 * The loggers of this broker, as settings of the resource BROKER_LOGGER (KIP-412): one, `root`, whose level holds until
 * it is changed again or the broker ends, as in Kafka. It is no metadata: no controller is asked.
 */
import { errors, KafkaError } from '../../protocol/errors.ts'
import type { IncrementalAlterConfigsRequest } from '../../protocol/messages/incremental-alter-configs.ts'
import type { LogThreshold } from '../environment/environment.ts'
import { logLevelName, logLevelNamed } from '../environment/log-levels.ts'

type Change = IncrementalAlterConfigsRequest['resources'][number]['configs'][number]

const root = 'root'
/** The names that Kafka lets a level be set by. */
const settable = ['DEBUG', 'ERROR', 'FATAL', 'INFO', 'TRACE', 'WARN']
const operations = ['SET', 'DELETE', 'APPEND', 'SUBTRACT']

/** The level of each logger by its name; where nothing is logged there is none. */
export function loggerLevels(threshold: LogThreshold | undefined): ReadonlyMap<string, string> {
  return new Map(threshold === undefined ? [] : [[root, logLevelName(threshold.level)]])
}

/** All changes, or none where one cannot be made. Throws KafkaError INVALID_CONFIG, INVALID_REQUEST. */
export function alterLoggers(
  threshold: LogThreshold | undefined,
  changes: readonly Change[],
  isOnlyChecked: boolean,
): void {
  if (new Set(changes.map(({ name }) => name)).size !== changes.length)
    throw new KafkaError(errors.INVALID_REQUEST, 'Error due to duplicate config keys')
  const known = loggerLevels(threshold)
  for (const change of changes) check(change, known)
  if (isOnlyChecked || threshold === undefined) return
  for (const { value } of changes) threshold.level = logLevelNamed(value!) ?? threshold.level
}

function check({ name, configOperation, value }: Change, known: ReadonlyMap<string, string>): void {
  const operation = operations[configOperation]
  if (operation !== 'SET' && operation !== 'DELETE')
    throw new KafkaError(
      errors.INVALID_REQUEST,
      `${operation ?? configOperation} operation is not allowed for the BROKER_LOGGER resource`,
    )
  if (!known.has(name))
    throw new KafkaError(errors.INVALID_CONFIG, `Logger ${name} does not exist!`)
  if (operation === 'DELETE')
    throw new KafkaError(
      errors.INVALID_REQUEST,
      `Removing the log level of the ${root} logger is not allowed`,
    )
  if (!settable.includes(value ?? ''))
    throw new KafkaError(
      errors.INVALID_CONFIG,
      `Cannot set the log level of ${name} to ${value} as it is not a supported log level. Valid log levels are ${settable.join(', ')}`,
    )
}

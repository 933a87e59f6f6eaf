/**
 * The settings that every connector has, whatever it connects: names, defaults and groups are Kafka
 * Connect's. `validateConnector` looks at them and at the plug-in's own together.
 */
import {
  atLeast,
  boolean,
  className,
  int,
  list,
  long,
  matching,
  oneOf,
  short,
  string,
} from '../config/definition.ts'
import { ConfigDef, type ConfigKey, key, required } from './config-def.ts'
import { javaPattern } from './java-pattern.ts'

type Common = Partial<ConfigKey>

/** Rows of a group take their order as they come. */
function inGroup(group: string) {
  let order = 0
  return (displayName: string, width: ConfigKey['width'] = 'MEDIUM'): Common => ({
    group,
    order: ++order,
    width,
    displayName,
  })
}

const common = inGroup('Common')
const errors = inGroup('Error Handling')

const nonEmpty = matching(/^[^\p{Cc}]+$/u, 'non-empty string without ISO control characters')

const aliases = {
  allowed: 'unique aliases',
  check: (names: readonly string[]) => {
    if (new Set(names).size < names.length) throw new Error('Duplicate alias provided.')
  },
}

const commonKeys = {
  name: required(
    string(null, nonEmpty),
    'HIGH',
    'Globally unique name of the connector.',
    common('Connector name'),
  ),
  'connector.class': required(
    string(null),
    'HIGH',
    'The connector’s class: its full name, its simple name, or that without its ending Connector.',
    common('Connector class', 'LONG'),
  ),
  'tasks.max': key(
    int(1, atLeast(1)),
    'HIGH',
    'The maximum number of tasks of the connector.',
    common('Tasks max', 'SHORT'),
  ),
  'tasks.max.enforce': key(
    boolean(true),
    'LOW',
    'Whether a connector that asks for more tasks than tasks.max fails.',
    common('Enforce tasks max', 'SHORT'),
  ),
  'key.converter': key(
    className(null),
    'LOW',
    'Converts between keys and their bytes; the worker’s converter where it is not set.',
    common('Key converter class', 'SHORT'),
  ),
  'value.converter': key(
    className(null),
    'LOW',
    'Converts between values and their bytes; the worker’s converter where it is not set.',
    common('Value converter class', 'SHORT'),
  ),
  'header.converter': key(
    className(null),
    'LOW',
    'Converts between headers and their bytes; the worker’s converter where it is not set.',
    common('Header converter class', 'SHORT'),
  ),
  transforms: key(list([], aliases), 'LOW', 'Aliases of the transformations to apply to records.', {
    ...common('Transforms', 'LONG'),
    group: 'Transforms',
  }),
  predicates: key(list([], aliases), 'LOW', 'Aliases of the predicates that transformations use.', {
    ...common('Predicates', 'LONG'),
    group: 'Predicates',
  }),
  'config.action.reload': key(
    string('restart', oneOf('none', 'restart')),
    'LOW',
    'What to do when a configuration provider changes a value: none, or restart the connector.',
    common('Reload Action'),
  ),
  'errors.retry.timeout': key(
    long(0),
    'MEDIUM',
    'Milliseconds during which an operation that failed is tried again; -1: without end.',
    errors('Retry Timeout for Errors'),
  ),
  'errors.retry.delay.max.ms': key(
    long(60_000),
    'MEDIUM',
    'The longest pause between two attempts, in milliseconds.',
    errors('Maximum Delay Between Retries for Errors'),
  ),
  'errors.tolerance': key(
    string('none', oneOf('none', 'all')),
    'MEDIUM',
    'none: any error fails the task; all: records with errors are skipped.',
    errors('Error Tolerance', 'SHORT'),
  ),
  'errors.log.enable': key(
    boolean(false),
    'MEDIUM',
    'Whether every error is logged, with the operation and the place of the record.',
    errors('Log Errors', 'SHORT'),
  ),
  'errors.log.include.messages': key(
    boolean(false),
    'MEDIUM',
    'Whether the log of errors says where the record was.',
    errors('Log Error Details', 'SHORT'),
  ),
}

const sinkKeys = {
  ...commonKeys,
  topics: key(list([]), 'HIGH', 'The topics to read, separated by commas.', {
    group: 'Common',
    order: 4,
    width: 'LONG',
    displayName: 'Topics',
  }),
  'topics.regex': key(
    string('', regularExpression()),
    'HIGH',
    'A regular expression of the topics to read; one of topics and topics.regex is given.',
    { group: 'Common', order: 4, width: 'LONG', displayName: 'Topics regex' },
  ),
  'errors.deadletterqueue.topic.name': key(
    string(''),
    'MEDIUM',
    'The topic for records that the connector, its transformations or converters could not deal with.',
    errors('Dead Letter Queue Topic Name'),
  ),
  'errors.deadletterqueue.topic.replication.factor': key(
    short(3),
    'MEDIUM',
    'The replication factor of that topic where it has to be created.',
    errors('Dead Letter Queue Topic Replication Factor'),
  ),
  'errors.deadletterqueue.context.headers.enable': key(
    boolean(false),
    'MEDIUM',
    'Whether its records have headers that say what went wrong; they begin with __connect.errors.',
    errors('Enable Error Context Headers'),
  ),
}

const topicCreation = inGroup('Topic Creation')

const sourceKeys = {
  ...commonKeys,
  'topic.creation.groups': key(
    list([], aliases),
    'LOW',
    'Groups of settings for the topics that the connector creates.',
    topicCreation('Topic Creation Groups', 'LONG'),
  ),
  'exactly.once.support': key(
    string('requested', oneOf('requested', 'required')),
    'MEDIUM',
    'required: the connector is refused where its records cannot be written exactly once.',
    {
      group: 'Exactly Once Support',
      order: 1,
      width: 'SHORT',
      displayName: 'Exactly once support',
    },
  ),
  'transaction.boundary': key(
    string('poll', oneOf('poll', 'interval', 'connector')),
    'MEDIUM',
    'Where transactions end under exactly-once support.',
    {
      group: 'Exactly Once Support',
      order: 2,
      width: 'SHORT',
      displayName: 'Transaction Boundary',
    },
  ),
  'transaction.boundary.interval.ms': key(
    long(null, atLeast(1)),
    'LOW',
    'Milliseconds between two ends of transactions where transaction.boundary is interval; else the worker’s offset.flush.interval.ms.',
    {
      group: 'Exactly Once Support',
      order: 3,
      width: 'SHORT',
      displayName: 'Transaction boundary interval',
    },
  ),
  'offsets.storage.topic': key(
    string(null, nonEmpty),
    'LOW',
    'A topic for the offsets of this connector alone.',
    {
      group: 'offsets.topic',
      order: 1,
      width: 'LONG',
      displayName: 'Offsets topic',
    },
  ),
}

export const sinkConfig = new ConfigDef(sinkKeys)
export const sourceConfig = new ConfigDef(sourceKeys)

function regularExpression(): { allowed: string; check: (text: string) => void } {
  return {
    allowed: 'a regular expression',
    check: (text) => {
      javaPattern(text)
    },
  }
}

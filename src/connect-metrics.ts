/**
 * What `/metrics` tells of connectors and their tasks, under the names that jmx_exporter's example for Kafka Connect gives
 * its metrics: `kafka_connect_GROUP_METRIC`.
 */
import type { Spread, TaskMeasured } from './connect/runtime/task-measures.ts'
import type { ConnectorMeasured } from './connect/runtime/worker-measured.ts'
import { type Exposition, labelled, type MetricType } from './http/exposition.ts'

/** The name behind `kafka_connect_`; a value that is null is not told. */
interface Row {
  readonly name: string
  readonly type: MetricType
  readonly help: string
  readonly of: (task: TaskMeasured) => number | null
}

const average = ({ count, sum }: Spread) => (count === 0 ? 0 : sum / count)

/** Null where nothing was tried. */
function shareOf(part: number, { commits, commitsFailed }: TaskMeasured): number | null {
  const all = commits.count + commitsFailed
  return all === 0 ? null : part / all
}

const ofEach: readonly Row[] = [
  {
    name: 'connector_task_batch_size_avg',
    type: 'gauge',
    help: 'Records that were taken at once.',
    of: ({ batches }) => average(batches),
  },
  {
    name: 'connector_task_batch_size_max',
    type: 'gauge',
    help: 'The most records that were taken at once.',
    of: ({ batches }) => batches.max,
  },
  {
    name: 'connector_task_offset_commit_avg_time_ms',
    type: 'gauge',
    help: 'How long commits of offsets took.',
    of: ({ commits }) => average(commits),
  },
  {
    name: 'connector_task_offset_commit_max_time_ms',
    type: 'gauge',
    help: 'How long the longest commit of offsets took.',
    of: ({ commits }) => commits.max,
  },
  {
    name: 'connector_task_offset_commit_success_percentage',
    type: 'gauge',
    help: 'The share of commits of offsets that succeeded, from 0 to 1 as in Kafka.',
    of: (task) => shareOf(task.commits.count, task),
  },
  {
    name: 'connector_task_offset_commit_failure_percentage',
    type: 'gauge',
    help: 'The share of commits of offsets that failed, from 0 to 1 as in Kafka.',
    of: (task) => shareOf(task.commitsFailed, task),
  },
  {
    name: 'task_error_total_record_failures',
    type: 'gauge',
    help: 'Attempts that failed: a record may be tried several times.',
    of: ({ errors }) => errors.attempts,
  },
  {
    name: 'task_error_total_record_errors',
    type: 'gauge',
    help: 'Records that could not be dealt with.',
    of: ({ errors }) => errors.records,
  },
  {
    name: 'task_error_total_records_skipped',
    type: 'gauge',
    help: 'Records that were left out because of errors.',
    of: ({ errors }) => errors.skipped,
  },
  {
    name: 'task_error_total_retries',
    type: 'gauge',
    help: 'Attempts that were made again.',
    of: ({ errors }) => errors.retries,
  },
  {
    name: 'task_error_total_errors_logged',
    type: 'gauge',
    help: 'Errors that were logged (errors.log.enable).',
    of: ({ errors }) => errors.logged,
  },
  {
    name: 'task_error_deadletterqueue_produce_requests',
    type: 'gauge',
    help: 'Records that were sent to the dead letter queue.',
    of: ({ errors }) => errors.deadLetters,
  },
  {
    name: 'task_error_deadletterqueue_produce_failures',
    type: 'gauge',
    help: 'Records that the dead letter queue did not take.',
    of: ({ errors }) => errors.deadLettersFailed,
  },
  {
    name: 'task_error_last_error_timestamp',
    type: 'gauge',
    help: 'When the last record failed, in milliseconds since the epoch.',
    of: ({ errors }) => errors.lastMs,
  },
]

const ofSinks: readonly Row[] = [
  {
    name: 'sink_task_partition_count',
    type: 'gauge',
    help: 'Partitions that are assigned to the task.',
    of: ({ partitions }) => partitions,
  },
  {
    name: 'sink_task_sink_record_read_total',
    type: 'counter',
    help: 'Records that were read from topics.',
    of: ({ taken }) => taken,
  },
  {
    name: 'sink_task_sink_record_send_total',
    type: 'counter',
    help: 'Records that the task was handed, after transformations.',
    of: ({ given }) => given,
  },
  {
    name: 'sink_task_sink_record_active_count',
    type: 'gauge',
    help: 'Offsets that were read and are not committed yet.',
    of: ({ active }) => active,
  },
  {
    name: 'sink_task_sink_record_lag_max',
    type: 'gauge',
    help: 'How far the task is behind what was read, in the partition where that is most.',
    of: ({ lagMax }) => lagMax,
  },
  {
    name: 'sink_task_offset_commit_completion_total',
    type: 'counter',
    help: 'Commits of offsets that succeeded.',
    of: ({ commits }) => commits.count,
  },
  {
    name: 'sink_task_put_batch_avg_time_ms',
    type: 'gauge',
    help: 'How long the task took for a batch.',
    of: ({ works }) => average(works),
  },
  {
    name: 'sink_task_put_batch_max_time_ms',
    type: 'gauge',
    help: 'The longest that the task took for a batch.',
    of: ({ works }) => works.max,
  },
]

const ofSources: readonly Row[] = [
  {
    name: 'source_task_source_record_poll_total',
    type: 'counter',
    help: 'Records that the task brought, before transformations.',
    of: ({ taken }) => taken,
  },
  {
    name: 'source_task_source_record_write_total',
    type: 'counter',
    help: 'Records that were written to topics.',
    of: ({ given }) => given,
  },
  {
    name: 'source_task_source_record_active_count',
    type: 'gauge',
    help: 'Records that the task brought and that are not written yet.',
    of: ({ active }) => active,
  },
  {
    name: 'source_task_poll_batch_avg_time_ms',
    type: 'gauge',
    help: 'How long the task took to bring a batch.',
    of: ({ works }) => average(works),
  },
  {
    name: 'source_task_poll_batch_max_time_ms',
    type: 'gauge',
    help: 'The longest that the task took to bring a batch.',
    of: ({ works }) => works.max,
  },
]

const taskStates = ['RUNNING', 'PAUSED', 'FAILED', 'UNASSIGNED', 'RESTARTING'] as const

/** Yields while the worker is asked; null: none runs. */
export function* connectMetrics(
  out: Exposition,
  measured: () => Promise<readonly ConnectorMeasured[] | null>,
): Iterable<Promise<unknown>> {
  let connectors: readonly ConnectorMeasured[] | null = null
  // Where it cannot be asked now, the page is told without them.
  yield measured().then(
    (answered) => (connectors = answered),
    () => undefined,
  )
  if (connectors === null) return
  const known: readonly ConnectorMeasured[] = connectors
  const here = known.filter(({ state }) => state !== null)
  const prefix = 'kafka_connect_'
  out.gauge(`${prefix}worker_connector_count`, 'Connectors that run on this worker.', here.length)
  const tasks = known.reduce((sum, connector) => sum + connector.tasks.length, 0)
  out.gauge(`${prefix}worker_task_count`, 'Tasks that run on this worker.', tasks)
  for (const connector of known) connectorMetrics(out, prefix, connector)
}

function connectorMetrics(out: Exposition, prefix: string, connector: ConnectorMeasured): void {
  const { name, type, className, version, state, tasks } = connector
  const one = (metric: string, help: string, labels: Readonly<Record<string, string>>) =>
    out.family(`${prefix}connector_${metric}`, 'gauge', help).add(1, labelled(labels))
  if (state !== null) {
    const status = state.toLowerCase()
    one('status', 'What the connector does, in the label.', { connector: name, status })
  }
  one('connector_class', 'The class of the connector, in the label.', {
    ...{ connector: name, connector_class: className },
  })
  one('connector_type', 'sink or source, in the label.', { connector: name, connector_type: type })
  one('connector_version', 'The version of the connector, in the label.', {
    ...{ connector: name, connector_version: version },
  })
  const total = `${prefix}worker_connector_total_task_count`
  const ofConnector = labelled({ connector: name })
  out
    .family(total, 'gauge', 'Tasks of the connector on this worker.')
    .add(tasks.length, ofConnector)
  for (const each of taskStates) {
    const count = tasks.filter((task) => task.state === each).length
    const family = `${prefix}worker_connector_${each.toLowerCase()}_task_count`
    out.family(family, 'gauge', `Tasks of the connector that are ${each}.`).add(count, ofConnector)
  }
  const rows = [...ofEach, ...(type === 'sink' ? ofSinks : ofSources)]
  for (const { task, state: taskState, measured } of tasks) {
    const labels = { connector: name, task: String(task) }
    one('task_status', 'What the task does, in the label.', {
      ...{ ...labels, status: taskState.toLowerCase() },
    })
    if (measured === null) continue
    for (const row of rows) {
      const value = row.of(measured)
      if (value === null) continue
      out.family(prefix + row.name, row.type, row.help).add(value, labelled(labels))
    }
  }
}

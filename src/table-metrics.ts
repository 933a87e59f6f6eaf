/** What `/metrics` tells of the tables of topics: whether each lands, and how far behind it is. */
import type { TableStatus } from './connect-service.ts'
import { type Exposition, labelled } from './http/exposition.ts'

/** Yields while the tables are asked. */
export function* tableMetrics(
  out: Exposition,
  statuses: () => Promise<readonly TableStatus[]>,
): Iterable<Promise<unknown>> {
  let tables: readonly TableStatus[] = []
  // Where they cannot be asked now, the page is told without them.
  yield statuses().then(
    (answered) => (tables = answered),
    () => undefined,
  )
  const prefix = 'millrace_topic_table'
  const isLanding = out.family(`${prefix}_up`, 'gauge', '1: the table is written; 0: it failed.')
  const lag = out.family(`${prefix}_lag_records`, 'gauge', 'Records that are not in the table yet.')
  const lost = out.family(
    `${prefix}_lost_offsets`,
    'gauge',
    'Offsets that the topic has no more, though they are not in the table.',
  )
  const oldest = out.family(
    `${prefix}_oldest_waiting_timestamp_seconds`,
    'gauge',
    'When the oldest record was written that is not in a table that is behind.',
  )
  const due = out.family(
    `${prefix}_retention_due_timestamp_seconds`,
    'gauge',
    'When retention may delete a record that is not in the table.',
  )
  const leftOut = out.family(
    `${prefix}_left_out_records_total`,
    'counter',
    'Records without a row, left out or gone to the dead letter topic.',
  )
  const version = out.family(`${prefix}_version`, 'gauge', 'Of the table, at its last commit.')
  const committed = out.family(
    `${prefix}_committed_timestamp_seconds`,
    'gauge',
    'When all that had been read was in the table.',
  )
  for (const table of tables) {
    const labels = labelled({ topic: table.topic })
    isLanding.add(table.state === 'FAILED' ? 0 : 1, labels)
    leftOut.add(table.leftOut, labels)
    lost.add(table.lost, labels)
    if (table.oldestMs !== null) oldest.add(table.oldestMs / 1000, labels)
    if (table.dueMs !== null) due.add(table.dueMs / 1000, labels)
    if (table.lag !== null) lag.add(table.lag, labels)
    if (table.version !== null) version.add(table.version, labels)
    if (table.committedMs !== null) committed.add(table.committedMs / 1000, labels)
  }
}

/** What `millrace doctor` says of topics that are tables: the broker that lands them is asked over HTTP. */
import { listGroups } from '../client/admin/groups.ts'
import type { Cluster } from '../client/cluster.ts'
import { askWorker, type Connection } from './ask-worker.ts'
import type { Finding } from './doctor.ts'
import { CommandError } from './failure.ts'
import { count, plural } from './table.ts'
import { dueFrom, type TopicTable } from './tables-list.ts'

const check = 'tables'

export async function checkTables(
  cluster: Cluster,
  connection: Connection,
): Promise<readonly Finding[]> {
  let tables: readonly TopicTable[] | null
  try {
    tables = (await askWorker(connection, 'GET', '/tables')) as readonly TopicTable[] | null
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    return unreached(cluster, connection, error)
  }
  if (!Array.isArray(tables) || tables.length === 0) return []
  const findings = tables.flatMap(findingsOf)
  if (findings.length > 0) return findings
  return [
    { check, level: 'ok', message: `${plural(tables.length, 'topic')} kept as tables, all land` },
  ]
}

/** Where no table is known of, and nobody said where to ask, there is nothing to say. */
async function unreached(
  cluster: Cluster,
  { connect }: Connection,
  { message }: CommandError,
): Promise<readonly Finding[]> {
  const groups = (await listGroups(cluster)).filter(({ groupId }) => groupId.startsWith('table-'))
  if (groups.length === 0 && connect === undefined) return []
  return [
    {
      check,
      level: 'warn',
      message: `how the ${plural(groups.length, 'topic')} kept as tables do could not be asked: ${message}`,
      advice: '--connect or MILLRACE_CONNECT names the http.listeners of a broker.',
    },
  ]
}

function findingsOf(table: TopicTable): Finding[] {
  const { topic, state, error, lag, lost, oldestMs, dueMs } = table
  const findings: Finding[] = []
  const behind = lag === null ? '' : `, ${plural(lag, 'record')} behind`
  if (state === 'FAILED')
    findings.push({
      check,
      level: 'fail',
      message: `the table of ${topic} is not written${behind}: ${error}`,
      advice: 'It is tried again and again; `millrace tables list` shows when it lands.',
    })
  if (state === 'STARTING' && lag === null)
    findings.push({
      check,
      level: 'warn',
      message: `the table of ${topic} has not begun, and how far it is cannot be told`,
      advice:
        'A moment after a start that is so; later the log says what is missing, as where no group can be coordinated.',
    })
  if (lost > 0)
    findings.push({
      check,
      level: 'fail',
      message: `${count(lost)} offsets of ${topic} were deleted before they were in its table`,
      advice: 'They are in no row; retention.ms has to outlast the time that a table may fail.',
    })
  if (dueMs !== null && oldestMs !== null)
    findings.push({
      check,
      level: dueMs - Date.now() < (dueMs - oldestMs) / 4 ? 'fail' : 'warn',
      message: `${topic}${behind}: ${dueFrom(dueMs)}`,
      advice: `Mend the table, or raise its topic's retention.ms (\`millrace configs alter topic ${topic} …\`).`,
    })
  return findings
}

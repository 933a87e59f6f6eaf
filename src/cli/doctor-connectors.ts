/** What `millrace doctor` says of connectors: the broker, or the worker, that runs them is asked over HTTP. */
import { AnswerError, askWorker, type Connection } from './ask-worker.ts'
import type { Finding } from './doctor.ts'
import { CommandError } from './failure.ts'
import { plural } from './table.ts'

const check = 'connectors'
const reasonCharactersMax = 400

interface Told {
  readonly state: string
  readonly trace?: string
}

interface Expanded {
  readonly status: {
    readonly connector: Told
    readonly tasks: readonly (Told & { readonly id: number })[]
  }
}

/** Nothing where none run, or where connectors are not offered. */
export async function checkConnectors(connection: Connection): Promise<readonly Finding[]> {
  let told: Readonly<Record<string, Expanded>>
  try {
    const answer = await askWorker(connection, 'GET', '/connectors?expand=status')
    told = (answer ?? {}) as Readonly<Record<string, Expanded>>
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    // Whether anybody should be reached there is said with the tables.
    if (!(error instanceof AnswerError) || error.status === 404) return []
    return [{ check, level: 'fail', message: `they could not be asked: ${error.message}` }]
  }
  const names = Object.keys(told)
  if (names.length === 0) return []
  const findings = Object.entries(told).flatMap(([name, { status }]) => failuresOf(name, status))
  if (findings.length > 0) return findings
  return [{ check, level: 'ok', message: `${plural(names.length, 'connector')}, none has failed` }]
}

function failuresOf(name: string, { connector, tasks }: Expanded['status']): Finding[] {
  const failed = (what: string, { trace }: Told): Finding => ({
    check,
    level: 'fail',
    message: `${what} has failed: ${reasonOf(trace ?? 'no reason is told')}`,
    advice: `\`millrace connectors restart ${name} --failed\` starts it again; \`millrace connectors describe ${name}\` shows all of it.`,
  })
  return [
    ...(connector.state === 'FAILED' ? [failed(`the connector ${name}`, connector)] : []),
    ...tasks.flatMap((task) => {
      return task.state === 'FAILED' ? [failed(`task ${task.id} of ${name}`, task)] : []
    }),
  ]
}

/** Of a trace as Java prints it, the messages: the first says what failed, the last why. */
function reasonOf(trace: string): string {
  const lines = trace.split('\n').filter((line) => line !== '' && !/^\s|^\.\.\. /.test(line))
  const messages = lines.map((line) => line.replace(/^Caused by: /, '').replace(/^[\w.$]+: /, ''))
  return [...new Set(messages)].join(': ').slice(0, reasonCharactersMax)
}

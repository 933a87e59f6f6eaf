/** `millrace connectors`: what Kafka Connect's REST interface offers, ours or any worker's. */
import { readFileSync } from 'node:fs'
import { askWorker as ask, connect } from './ask-worker.ts'
import { type Command, localVerb } from './command.ts'
import { CommandError, exitCodes } from './failure.ts'
import { json as jsonText } from './json.ts'
import { table } from './table.ts'

const connector = { name: 'CONNECTOR', summary: 'Its name' } as const

interface TaskStatus {
  readonly id: number
  readonly state: string
  readonly worker_id: string
  readonly trace?: string
}

interface Status {
  readonly name: string
  readonly connector: Omit<TaskStatus, 'id'>
  readonly tasks: readonly TaskStatus[]
  readonly type: string
}

const list = localVerb({
  summary: 'List connectors and how they do',
  positionals: [],
  options: connect,
  examples: [{ says: 'All connectors', line: 'millrace connectors list' }],
  run: async ({ values, json }) => {
    const found = (await ask(values, 'GET', '/connectors?expand=status')) as Readonly<
      Record<string, { readonly status: Status }>
    >
    const all = Object.values(found).map(({ status }) => status)
    const rows = all.map(({ name, type, connector: { state }, tasks }) => {
      const running = tasks.filter((task) => task.state === 'RUNNING').length
      return [name, type, state, `${running}/${tasks.length}`]
    })
    const text = rows.length === 0 ? 'No connectors.\n' : table(header, rows)
    process.stdout.write(json ? jsonText(all) : text)
    return exitCodes.ok
  },
})
const header = ['CONNECTOR', 'TYPE', 'STATE', 'TASKS RUNNING']

const describe = localVerb({
  summary:
    'Show how a connector and its tasks do, and why they failed; with --json its settings too',
  positionals: [connector],
  options: connect,
  examples: [{ says: 'One connector', line: 'millrace connectors describe orders' }],
  run: async ({ values, positionals, json }) => {
    const path = pathOf(positionals[0]!)
    const status = (await ask(values, 'GET', `${path}/status`)) as Status
    const info = (await ask(values, 'GET', path)) as object
    if (json) process.stdout.write(jsonText({ ...info, status }))
    else {
      const { connector: own, tasks } = status
      const rows = [
        ['connector', own.state, own.worker_id],
        ...tasks.map(({ id, state, worker_id: worker }) => [`task ${id}`, state, worker]),
      ]
      const traces = [own.trace, ...tasks.map(({ trace }) => trace)].filter((one) => one)
      process.stdout.write(table(['PART', 'STATE', 'WORKER'], rows))
      for (const trace of traces) process.stdout.write(`\n${trace}`)
    }
    return exitCodes.ok
  },
})

const create = localVerb({
  summary: 'Create a connector from JSON: {"name": …, "config": {…}}',
  positionals: [{ name: 'FILE', summary: 'The JSON; - reads it from a pipe' }],
  options: connect,
  examples: [{ says: 'From a file', line: 'millrace connectors create orders.json' }],
  run: async ({ values, positionals, json }) => {
    const [file = '-'] = positionals
    const text = readFileSync(file === '-' ? 0 : file, 'utf8')
    refuseBareConfig(text)
    const made = (await ask(values, 'POST', '/connectors', text)) as { readonly name: string }
    process.stdout.write(json ? jsonText(made) : `${made.name} created\n`)
    return exitCodes.ok
  },
})

/** A worker would only say that it knows nothing of a config. What is no JSON at all it tells better. */
function refuseBareConfig(text: string): void {
  if (!/"connector\.class"/.test(text) || /"config"\s*:/.test(text)) return
  throw new CommandError(
    'this is the config of a connector alone',
    'Put it beside its name: {"name": "orders", "config": {"connector.class": …}}',
  )
}

const offsets = localVerb({
  summary: 'Show how far a connector is',
  positionals: [connector],
  options: connect,
  examples: [{ says: 'Of a sink or a source', line: 'millrace connectors offsets orders' }],
  run: async ({ values, positionals, json }) => {
    const path = `${pathOf(positionals[0]!)}/offsets`
    const found = (await ask(values, 'GET', path)) as {
      readonly offsets: readonly { readonly partition: unknown; readonly offset: unknown }[]
    }
    const rows = found.offsets.map(({ partition, offset }) => [
      JSON.stringify(partition),
      JSON.stringify(offset),
    ])
    const text = rows.length === 0 ? 'No offsets yet.\n' : table(['PARTITION', 'OFFSET'], rows)
    process.stdout.write(json ? jsonText(found) : text)
    return exitCodes.ok
  },
})

/** One request that changes a connector, and a word on it. */
function action(name: string, summary: string, method: string, path: string, done: string) {
  return localVerb({
    summary,
    positionals: [connector],
    options: connect,
    examples: [{ says: summary, line: `millrace connectors ${name} orders` }],
    run: async ({ values, positionals, json }) => {
      const [of = ''] = positionals
      await ask(values, method, `${pathOf(of)}${path}`)
      process.stdout.write(json ? jsonText({ name: of, done }) : `${of} ${done}\n`)
      return exitCodes.ok
    },
  })
}

const everything = '/restart?includeTasks=true'

export const command: Command = {
  summary: 'Create, watch and control connectors',
  verbs: {
    list,
    describe,
    create,
    delete: action('delete', 'Delete a connector; its offsets stay', 'DELETE', '', 'deleted'),
    pause: action('pause', 'Pause a connector and its tasks', 'PUT', '/pause', 'paused'),
    resume: action('resume', 'Let a connector go on', 'PUT', '/resume', 'resumed'),
    stop: action('stop', 'Stop a connector and end its tasks', 'PUT', '/stop', 'stopped'),
    restart: action(
      'restart',
      'Restart a connector and its tasks',
      'POST',
      everything,
      'restarted',
    ),
    offsets,
  },
}

const pathOf = (name: string) => `/connectors/${encodeURIComponent(name)}`

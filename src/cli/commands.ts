/** The commands by name. Each one's file is loaded when it is needed, so that starting stays quick. */
import type { Command } from './command.ts'

interface Listed {
  readonly summary: string
  readonly load: () => Promise<{ readonly command: Command }>
}

export const commands: Readonly<Record<string, Listed>> = {
  start: { summary: 'Start a broker', load: () => import('./start.ts') },
  topics: {
    summary: 'List, create, describe, alter and delete topics',
    load: () => import('./topics.ts'),
  },
  produce: {
    summary: 'Write records from files or a pipe to a topic',
    load: () => import('./produce.ts'),
  },
  consume: { summary: 'Read records from topics', load: () => import('./consume.ts') },
  groups: { summary: 'List, describe, reset and delete groups', load: () => import('./groups.ts') },
  configs: { summary: 'Show and change settings', load: () => import('./configs.ts') },
  acls: { summary: 'Show and change who may do what', load: () => import('./acls.ts') },
  users: {
    summary: 'Show, set and delete passwords of users',
    load: () => import('./users.ts'),
  },
  quotas: {
    summary: 'Show and change how much users, clients and addresses may take',
    load: () => import('./quotas.ts'),
  },
  cluster: {
    summary: 'Show brokers, features, quorum and versions',
    load: () => import('./cluster.ts'),
  },
  logdirs: { summary: 'Show what lies in the log directories', load: () => import('./logdirs.ts') },
  connectors: {
    summary: 'Create, watch and control connectors',
    load: () => import('./connectors.ts'),
  },
  'connect-standalone': {
    summary: 'Run a Kafka Connect worker that is alone, beside any Kafka',
    load: () => import('./connect-standalone.ts'),
  },
  'connect-distributed': {
    summary: 'Run a Kafka Connect worker of a group, beside any Kafka',
    load: () => import('./connect-distributed.ts'),
  },
  schemas: {
    summary: 'Show, register, check and delete schemas',
    load: () => import('./schemas.ts'),
  },
  tables: {
    summary: 'Read and write Delta tables, read Parquet files',
    load: () => import('./tables.ts'),
  },
  dump: { summary: 'Print the content of a broker’s files', load: () => import('./dump.ts') },
  doctor: { summary: 'Check a cluster and say what to do', load: () => import('./doctor.ts') },
  completion: { summary: 'Print completions for a shell', load: () => import('./completion.ts') },
}

/** All commands, loaded; for the completions. */
export async function loadCommands(): Promise<Map<string, Command>> {
  const loaded = new Map<string, Command>()
  for (const [name, { load }] of Object.entries(commands)) loaded.set(name, (await load()).command)
  return loaded
}

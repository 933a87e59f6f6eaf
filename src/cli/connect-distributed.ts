/** `millrace connect-distributed`: what Kafka’s connect-distributed.sh starts, with its arguments and exit codes. */
import { localVerb } from './command.ts'

export const command = localVerb({
  summary: 'Run a Kafka Connect worker of a group, beside any Kafka',
  positionals: [{ name: 'WORKER', summary: 'worker.properties, in Kafka’s format' }],
  options: {},
  examples: [
    { says: 'One worker of several', line: 'millrace connect-distributed worker.properties' },
  ],
  takesAll: true,
  async run({ positionals }) {
    const { runWorker } = await import('../connect-worker.ts')
    return runWorker('distributed', positionals)
  },
})

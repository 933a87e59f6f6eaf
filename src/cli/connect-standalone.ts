/** `millrace connect-standalone`: what Kafka’s connect-standalone.sh starts, with its arguments and exit codes. */
import { localVerb } from './command.ts'

export const command = localVerb({
  summary: 'Run a Kafka Connect worker that is alone, beside any Kafka',
  positionals: [
    { name: 'WORKER', summary: 'worker.properties, in Kafka’s format' },
    {
      name: 'CONNECTOR',
      summary: 'Connectors to create: properties, or JSON',
      optional: true,
      many: true,
    },
  ],
  options: {},
  examples: [
    {
      says: 'A worker with one connector',
      line: 'millrace connect-standalone worker.properties connector.properties',
    },
  ],
  takesAll: true,
  async run({ positionals }) {
    const { runWorker } = await import('../connect-worker.ts')
    return runWorker('standalone', positionals)
  },
})

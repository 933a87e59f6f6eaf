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
  notes: [
    'Settings have Kafka’s names and defaults. A worker needs bootstrap.servers, and\n' +
      'offset.storage.file.filename, where it keeps how far sources are; all else it forgets when it ends.\n' +
      'REST is at listeners (http://:8083); other connectors are modules of JavaScript in plugin.path.',
    'It ends with SIGINT or SIGTERM, in good order. Exit codes: 1 for wrong arguments, 2 for settings that\n' +
      'are not valid, 3 where it cannot run with them.',
  ],
  takesAll: true,
  async run({ positionals }) {
    const { runWorker } = await import('../connect-worker.ts')
    return runWorker('standalone', positionals)
  },
})

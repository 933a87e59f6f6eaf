/** `millrace connect-distributed`: what Kafka’s connect-distributed.sh starts, with its arguments and exit codes. */
import { localVerb } from './command.ts'

export const command = localVerb({
  summary: 'Run a Kafka Connect worker of a group, beside any Kafka',
  positionals: [{ name: 'WORKER', summary: 'worker.properties, in Kafka’s format' }],
  options: {},
  examples: [
    { says: 'One worker of several', line: 'millrace connect-distributed worker.properties' },
  ],
  notes: [
    'Settings have Kafka’s names and defaults. A worker needs bootstrap.servers, group.id, and\n' +
      'config.storage.topic, offset.storage.topic and status.storage.topic, which are made where they are\n' +
      'missing; all workers of a group have the same. REST is at listeners (http://:8083); other connectors\n' +
      'are modules of JavaScript in plugin.path.',
    'With exactly.once.source.support=enabled in all workers, sources write records and offsets in one\n' +
      'transaction.',
    'It ends with SIGINT or SIGTERM, in good order. Exit codes: 1 for wrong arguments, 2 for settings that\n' +
      'are not valid, 3 where it cannot run with them.',
  ],
  takesAll: true,
  async run({ positionals }) {
    const { runWorker } = await import('../connect-worker.ts')
    return runWorker('distributed', positionals)
  },
})

/** `millrace start`: the broker, with exactly the arguments that `npm start` and Kafka's start script take. */
import { localVerb } from './command.ts'

export const command = localVerb({
  summary: 'Start a broker',
  positionals: [{ name: 'FILE', summary: 'server.properties, in Kafka’s format', optional: true }],
  options: {
    override: {
      kind: 'list',
      value: 'NAME=VALUE',
      summary: 'A setting; it wins over the file and the environment',
    },
  },
  examples: [
    { says: 'A broker on port 9092, nothing configured', line: 'millrace start' },
    {
      says: 'Another port, and data in another place',
      line: 'millrace start --override listeners=PLAINTEXT://:9192 --override log.dirs=/var/lib/millrace',
    },
  ],
  takesAll: true,
  helpsItself: true,
  async run({ positionals }) {
    const { start } = await import('../main.ts')
    await start([...positionals])
    // The broker lives until a signal, or has set the exit code: nothing here ends it.
    return new Promise<number>(() => undefined)
  },
})

/** A Millrace broker on a free port with a directory of its own, and the compiled command line as a child process. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { Broker } from '../../src/broker.ts'
import { BrokerConfig } from '../../src/config/broker-config.ts'
import { createNodeEnvironment } from '../../src/environment/node/environment.ts'

const millrace = fileURLToPath(new URL('../../src/cli/millrace.js', import.meta.url))

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Child {
  readonly ended: Promise<Ended>
  /** Resolves once this has been printed to stdout. */
  printed(text: string): Promise<void>
  interrupt(): void
  /** Gives it no time for anything. */
  kill(): void
}

/** Starts `millrace` with these words. `input` is what it reads; without it, its standard input is empty. */
export function start(
  words: readonly string[],
  options: { input?: string | Buffer; bootstrap?: string; readsOnce?: boolean } = {},
): Child {
  const env = { ...process.env, MILLRACE_BOOTSTRAP: options.bootstrap ?? 'localhost:1' }
  const child = spawn(process.execPath, [millrace, ...words], { env })
  let stdout = ''
  let stderr = ''
  let look: () => void = () => undefined
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
    look()
    if (options.readsOnce) child.stdout.destroy()
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  child.stdin.on('error', () => undefined)
  child.stdin.end(options.input ?? '')
  return {
    ended: new Promise((resolve) => child.on('close', (code) => resolve({ code, stdout, stderr }))),
    printed: (text) =>
      new Promise((resolve) => {
        look = () => (stdout.includes(text) ? resolve() : undefined)
        look()
      }),
    interrupt: () => void child.kill('SIGINT'),
    kill: () => void child.kill('SIGKILL'),
  }
}

/** The command line as its users have it: whole lines, of words without spaces in them. */
export function commandLine(broker: { readonly address: string }) {
  const run = (line: string, input?: string | Buffer, bootstrap = broker.address): Promise<Ended> =>
    start(line.split(' '), { bootstrap, ...(input === undefined ? {} : { input }) }).ended
  /** Runs it, expects success, and gives what it printed. */
  const output = async (line: string, input?: string | Buffer): Promise<string> => {
    const { code, stdout, stderr } = await run(line, input)
    if (code !== 0) throw new Error(`${line}: exit code ${code}: ${stderr}`)
    return stdout
  }
  return { run, output }
}

export async function startBroker(
  directory: string,
  more: Readonly<Record<string, string>> = {},
): Promise<{ address: string; stop: () => Promise<void> }> {
  const settings = {
    listeners: 'PLAINTEXT://127.0.0.1:0',
    'log.dirs': directory,
    'offsets.topic.num.partitions': '1',
    ...more,
  }
  const broker = await Broker.start({
    environment: createNodeEnvironment({ log: { level: 'silent' } }),
    config: new BrokerConfig(new Map(Object.entries(settings))),
    isDevelopment: true,
    onFatal: (error) => {
      throw error
    },
  })
  const [at] = broker.addresses.values()
  return { address: `127.0.0.1:${at!.port}`, stop: () => broker.stop() }
}

/** Brokers as processes of their own, on free ports. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const main = fileURLToPath(new URL('../src/main.js', import.meta.url))
const running = new Set<ChildProcess>()

/** For the end of a test file. */
export function killAll(): void {
  for (const child of running) child.kill('SIGKILL')
}

export interface Started {
  readonly child: ChildProcess
  readonly port: number
  readonly http: string
  readonly log: () => string
}

export function run(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, [main, ...args], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.add(child)
  child.once('exit', () => running.delete(child))
  let text = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      child.emit('text')
    })
  }
  return { child, log: () => text }
}

export function argumentsFor(directory: string): string[] {
  const settings = [
    'listeners=PLAINTEXT://127.0.0.1:0',
    `log.dirs=${directory}`,
    'http.listeners=http://127.0.0.1:0',
  ]
  return settings.flatMap((setting) => ['--override', setting])
}

/** Starts a broker on free ports and waits until it says that it is ready. */
export async function start(
  directory: string,
  more: readonly string[] = [],
  env: NodeJS.ProcessEnv = {},
): Promise<Started> {
  const { child, log } = run([...argumentsFor(directory), ...more], env)
  for (;;) {
    const ready = /is ready on 127\.0\.0\.1:(\d+) /.exec(log())
    const http = /"http":"([^"]+)"/.exec(log())
    if (ready && http) return { child, port: Number(ready[1]), http: http[1] ?? '', log }
    if (child.exitCode !== null) throw new Error(`the broker ended:\n${log()}`)
    await Promise.race([once(child, 'text'), once(child, 'exit')])
  }
}

export async function ended({ child }: { child: ChildProcess }): Promise<number | NodeJS.Signals> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  return child.exitCode ?? child.signalCode ?? 'SIGKILL'
}

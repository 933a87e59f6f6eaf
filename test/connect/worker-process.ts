/** Kafka Connect workers as processes of their own: the compiled command line, told what to run in files. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type Child, start } from '../cli/running-broker.ts'
import { freePort } from '../free-port.ts'

export interface RunningWorker {
  readonly child: Child
  /** Of its REST interface. */
  readonly url: string
}

/** Starts `millrace connect-…` with these settings and waits until it answers. */
export async function startWorker(
  mode: 'standalone' | 'distributed',
  directory: string,
  settings: Readonly<Record<string, string>>,
  connectorFiles: readonly string[] = [],
): Promise<RunningWorker> {
  const port = await freePort()
  const all = { listeners: `http://127.0.0.1:${port}`, ...settings }
  const file = join(directory, `worker-${port}.properties`)
  writeFileSync(file, propertiesOf(all))
  const child = start([`connect-${mode}`, file, ...connectorFiles])
  const url = `http://127.0.0.1:${port}`
  await child.printed('Kafka Connect worker started')
  return { child, url }
}

export function propertiesOf(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}

/** Asks a worker; the answer is what its body says. */
export async function ask(url: string, method = 'GET', body?: unknown) {
  const answer = await fetch(url, {
    method,
    headers: { 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await answer.text()
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever was answered.
  const json: any = text === '' ? null : JSON.parse(text)
  return { status: answer.status, body: json }
}

export async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let round = 0; round < 1200; round++) {
    if (await isSo()) return
    await delay(25)
  }
  throw new Error(`not so within 30 s: ${what}`)
}

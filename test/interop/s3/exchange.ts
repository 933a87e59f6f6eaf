/**
 * Delta tables in an object store, exchanged with delta-rs as those in directories are: each reads what the other wrote,
 * writers are killed, and writers of both append to one table at once by conditional puts. The store is moto's, a
 * server of its own that PyPI has.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { freePort } from '../../free-port.ts'
import type { Report } from '../directories/exchange.ts'
import { exchangeTables } from '../tables/exchange.ts'

// Compiled tests run from build/, one folder deeper than their source.
const root = fileURLToPath(new URL('../../../..', import.meta.url))
const server = join(root, 'test/interop/s3/server.py')
const version = '5.2.5'

export interface ObjectStoreOptions {
  /** Where the server is kept from run to run. */
  readonly cache: string
  /** A Python that has deltalake and pyarrow. */
  readonly python: string
}

export async function exchangeInObjectStore(
  { cache, python }: ObjectStoreOptions,
  report: Report,
): Promise<void> {
  const home = join(cache, `python-moto-${version}`)
  const missing = prepare(cache, home)
  if (missing !== null) return report('s3', null, missing)
  const port = await freePort()
  const endpoint = `http://127.0.0.1:${port}`
  const child = spawn(join(home, 'bin/python'), [server, String(port)], { stdio: 'ignore' })
  const ended = once(child, 'exit')
  // By these both find the store.
  Object.assign(process.env, {
    ...{ AWS_ENDPOINT_URL: endpoint, AWS_ALLOW_HTTP: 'true', AWS_REGION: 'us-east-1' },
    ...{ AWS_ACCESS_KEY_ID: 'interop', AWS_SECRET_ACCESS_KEY: 'interop' },
    AWS_CONDITIONAL_PUT: 'etag',
  })
  try {
    if (!(await bucketMade(`${endpoint}/lake`))) return report('s3', false, 'moto does not answer')
    await exchangeTables({ python, directory: 's3://lake/tables', label: 's3' }, report)
  } finally {
    child.kill('SIGKILL')
    await ended
  }
}

/** A string says why it is not to be had. */
function prepare(cache: string, home: string): string | null {
  const has = () => spawnSync(join(home, 'bin/python'), ['-c', 'import moto.server']).status === 0
  if (has()) return null
  mkdirSync(cache, { recursive: true })
  const steps: [string, string[]][] = [
    ['python3', ['-m', 'venv', home]],
    [join(home, 'bin/pip'), ['install', '-q', `moto[s3,server]==${version}`]],
  ]
  for (const [command, args] of steps) {
    const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' })
    if (status !== 0) return `no server of moto: ${(stderr ?? '').slice(-200)}`
  }
  return has() ? null : 'no server of moto'
}

async function bucketMade(url: string): Promise<boolean> {
  for (let tries = 0; tries < 300; tries++) {
    const answer = await fetch(url, { method: 'PUT' }).catch(() => null)
    if (answer !== null) return answer.ok
    await setTimeout(100)
  }
  return false
}

/**
 * The neutral driver: a Go program around franz-go, whose folder is kept beside the checkout and is no part
 * of it. It does what a user's client does, and knows neither of the brokers.
 */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

/** Builds the program at `file` from `folder`. Returns why it could not, or null. */
export function buildFranzGo(folder: string, file: string): string | null {
  if (!existsSync(join(folder, 'go.mod'))) return `${folder} does not hold it`
  if (spawnSync('go', ['version']).status !== 0) return 'no Go'
  const { status } = spawnSync('go', ['build', '-o', file, '.'], {
    cwd: folder,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  return status === 0 ? null : 'Go could not build it'
}

/** Runs one of its commands and returns the figures that it tells; throws where it fails. */
export function franzGo(
  file: string,
  port: number,
  args: readonly string[],
): Promise<Readonly<Record<string, number>>> {
  return new Promise((resolve, reject) => {
    const [command = '', ...rest] = args
    const child = spawn(file, [command, '-bootstrap', `127.0.0.1:${port}`, ...rest], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let text = ''
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString()
    })
    child.once('error', reject)
    child.once('close', (code) => {
      if (code === 0) resolve(JSON.parse(text) as Record<string, number>)
      else reject(new Error(`franz-go: ${args.join(' ')} failed: ${text}`))
    })
  })
}

/** What a file has to do with the process that runs it. */
import { realpathSync } from 'node:fs'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Whether the process was started with the file of this address, and not with one that imports it. */
export function isProgram(url: string): boolean {
  const [, started] = process.argv
  return started !== undefined && realpathSync(started) === fileURLToPath(url)
}

/**
 * Neither timers of the environment nor connections that wait keep a process alive: for whoever has to
 * wait for them, this does. Lets go where what it gives is called.
 */
export function stayAlive(): () => void {
  const timer = setInterval(() => undefined, 2 ** 30)
  return () => clearInterval(timer)
}

/** The program of a thread, in a file beside that of this address, wherever they are built. */
export function beside(url: string, name: string): URL {
  return new URL(`${name}${extname(url)}`, url)
}

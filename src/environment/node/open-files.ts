/** How many files the process has open and may have: Linux tells; elsewhere nothing is known. */
import { readFileSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import type { OpenFiles } from '../process-use.ts'

const limitsFile = '/proc/self/limits'

export async function openFiles(): Promise<OpenFiles> {
  const [names, limits] = await Promise.all([
    readdir('/proc/self/fd').catch(() => undefined),
    readFile(limitsFile, 'utf8').catch(() => ''),
  ])
  return { open: names?.length, most: mostIn(limits) }
}

export function mostOpenFiles(): number | undefined {
  try {
    return mostIn(readFileSync(limitsFile, 'utf8'))
  } catch {
    return undefined
  }
}

/** The soft limit. */
function mostIn(limits: string): number | undefined {
  const most = /^Max open files\s+(\d+)/m.exec(limits)?.[1]
  return most === undefined ? undefined : Number(most)
}

/** How much of the processor a broker has used, from /proc: nothing is known of it elsewhere than on Linux. */
import { readFileSync } from 'node:fs'

/** Seconds in user and system mode since it started. */
export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

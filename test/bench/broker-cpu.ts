/** What a broker uses of processor, memory and disk, from /proc: nothing is known of it elsewhere than on Linux. */
import { readFileSync } from 'node:fs'

/** Seconds in user and system mode since it started. */
export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

/** What it has read by system calls since it started, in MB; its own program is a part of that. */
export function readMb(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/io`, 'utf8').match(/rchar: (\d+)/)?.[1]) / 1e6
}

/** Memory that is resident now, or was at most, in MB. */
export function memoryMb(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const line = readFileSync(`/proc/${pid}/status`, 'utf8').match(new RegExp(`${field}:\\s+(\\d+)`))
  return Number(line?.[1]) / 1024
}

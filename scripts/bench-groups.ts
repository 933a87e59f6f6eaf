/**
 * The rows of a hundred groups of one member that join at once, by the neutral driver, and what bounds them: the
 * same against a process that only answers.
 */
import { spawn } from 'node:child_process'
import { franzGo } from './franz-go.ts'

const topic = 'joined'
const partitions = '6'

/** A protocol of groups: its row, its limit, and the flags that the driver takes for it. */
export interface Joining {
  readonly row: string
  readonly limit: string
  readonly flags: readonly string[]
}

function joining(protocol: string, flags: readonly string[]): Joining {
  const row = `franz-go: 100 groups join, ${protocol}`
  return { row, limit: `bare answers: ${row}`, flags }
}

export const joinings: readonly Joining[] = [
  joining('classic', []),
  joining('KIP-848', ['-kip848']),
]

/** Seconds until all of them have their partitions. */
export async function secondsToJoin(
  program: string,
  port: number,
  { flags }: Joining,
): Promise<number> {
  const args = ['groups', '-topic', topic, '-partitions', partitions, '-groups', '100', ...flags]
  return (await franzGo(program, port, args)).stable_s ?? Number.NaN
}

/** The limits. Before they count each has run once: a broker has done other things as well by then. */
export async function measureBareJoins(
  bareGroups: string,
  program: string,
  record: (limit: string, seconds: number) => void,
): Promise<void> {
  const child = spawn(process.execPath, [bareGroups, topic, partitions], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    const port = Number(await new Promise((resolve) => child.stdout.once('data', resolve)))
    for (const joining of joinings) await secondsToJoin(program, port, joining)
    for (const joining of joinings)
      record(joining.limit, await secondsToJoin(program, port, joining))
  } finally {
    child.kill('SIGKILL')
  }
}

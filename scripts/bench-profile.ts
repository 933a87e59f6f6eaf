/**
 * `npm run bench -- --profile`: where the broker's time goes by function under each raw workload, and what it
 * allocates for each request. For whoever looks for the next improvement; nothing is compared, as a broker
 * that is profiled is slower.
 */
import type { ChildProcess } from 'node:child_process'
import type { Used } from '../test/bench/profiled.ts'

type Drive = (workload: string, options: object) => Promise<Readonly<Record<string, number>>>

const functionsShown = 14
const allocationsShown = 10
/** Every allocation is written down meanwhile. */
const heapSeconds = 1
/** Below this part nothing is to be gained. */
const shareMin = 0.006

const workloads = [
  ['produce 1 MB requests of 1 KB', 'produce', { batchBytes: 1_000_000, recordBytes: 1024 }],
  ['produce 64 KB requests of 1 KB', 'produce', { batchBytes: 64_000, recordBytes: 1024 }],
  ['produce 16 KB requests of 100 B', 'produce', { batchBytes: 16_000, recordBytes: 100 }],
  ['small requests, 64 connections', 'smallRequests', { connections: 64, recordBytes: 100 }],
  ['fetch, cached', 'fetch', {}],
] as const

/** What is loaded into the broker with `node --import`. */
export const profiledProgram = 'test/bench/profiled.js'

/** Profiles the workloads whose names `isWanted`, on a broker with `profiledProgram` and an IPC channel. */
export async function profileWorkloads(
  broker: { readonly child: ChildProcess; readonly port: number },
  drive: Drive,
  isWanted: (name: string) => boolean,
): Promise<void> {
  const { child, port } = broker
  for (const [name, workload, options] of workloads) {
    if (!isWanted(name)) continue
    const topic = workload === 'fetch' ? 'fetched' : name.replaceAll(/[ ,]/g, '-')
    if (workload === 'fetch') await drive('produce', { port, topic, seconds: 20, bytesMax: 6e8 })
    const asked = { port, topic, ...options }
    await drive(workload, { ...asked, seconds: 3 })
    const [times] = await profiled(child, 'cpu', () => drive(workload, { ...asked, seconds: 3 }))
    const [allocations, figures] = await profiled(child, 'heap', () =>
      drive(workload, { ...asked, seconds: heapSeconds }),
    )
    console.log(`\n## ${name}\n\n${functionsTable(times)}\n`)
    console.log(allocationsTable(allocations, figures['requests'] ?? Number.NaN))
  }
}

async function profiled<Result>(
  child: ChildProcess,
  what: 'cpu' | 'heap',
  work: () => Promise<Result>,
): Promise<[readonly Used[], Result]> {
  await told(child, what)
  const result = await work()
  const answer = new Promise<readonly Used[]>((resolve) => {
    const take = (message: unknown) => {
      if (!Array.isArray(message)) return
      child.off('message', take)
      resolve(message as Used[])
    }
    child.on('message', take)
  })
  await told(child, 'end')
  return [await answer, result]
}

/** Sends one word; resolves when it has been heard. */
function told(child: ChildProcess, word: string): Promise<void> {
  return new Promise((resolve) => {
    const hear = (message: unknown) => {
      if (message !== 'ok') return
      child.off('message', hear)
      resolve()
    }
    child.on('message', hear)
    child.send(word)
  })
}

function functionsTable(times: readonly Used[]): string {
  const busy = times.filter(({ name }) => name !== '(idle)')
  const total = busy.reduce((sum, { amount }) => sum + amount, 0)
  const lines = busy
    .slice(0, functionsShown)
    .filter(({ amount }) => amount / total >= shareMin)
    .map(({ name, amount }) => `| ${name} | ${((amount / total) * 100).toFixed(1)} % |`)
  return ['| function | of the busy time |', '| --- | --- |', ...lines].join('\n')
}

function allocationsTable(allocations: readonly Used[], requests: number): string {
  const bytes = allocations.reduce((sum, { amount }) => sum + amount, 0)
  const count = allocations.reduce((sum, used) => sum + used.count, 0)
  const lines = allocations
    .slice(0, allocationsShown)
    .map(
      (used) =>
        `| ${used.name} | ${(used.count / requests).toFixed(1)} | ${(used.amount / requests).toFixed(0)} |`,
    )
  const head = '| allocated by | objects a request | bytes a request |'
  const sum = `| all, over ${requests} requests | ${(count / requests).toFixed(1)} | ${(bytes / requests).toFixed(0)} |`
  return [head, '| --- | --- | --- |', sum, ...lines].join('\n')
}

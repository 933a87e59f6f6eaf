/**
 * Loaded into a broker before all else (`node --import`): profiles it while its parent says so. The parent
 * sends `cpu` or `heap`, then `end`, and gets the functions that had a part in it. Of the heap every
 * allocation is seen, whether or not it lives on, which makes the broker slow: so only for a moment.
 */
import { type Profiler, type Runtime, Session } from 'node:inspector'

/** What one function, without those it calls, has used: microseconds, or bytes and objects. */
export interface Used {
  readonly name: string
  readonly amount: number
  readonly count: number
}

/** As the inspector gives it; the types of Node leave out what it has had since. */
interface AllocationNode {
  readonly id: number
  readonly callFrame: Runtime.CallFrame
  readonly children: readonly AllocationNode[]
}

interface AllocationProfile {
  readonly head: AllocationNode
  readonly samples: readonly { readonly nodeId: number; readonly size: number }[]
}

const session = new Session()
session.connect()
let running: 'cpu' | 'heap' | undefined

function nameOf({ functionName, url, lineNumber }: Runtime.CallFrame): string {
  const file = url === '' ? '' : ` ${url.split('/').at(-1)}:${lineNumber + 1}`
  return `${functionName === '' ? '(anonymous)' : functionName}${file}`
}

class Sums {
  readonly #sums = new Map<string, { amount: number; count: number }>()

  add(name: string, amount: number, count: number): void {
    const sum = this.#sums.get(name) ?? { amount: 0, count: 0 }
    sum.amount += amount
    sum.count += count
    this.#sums.set(name, sum)
  }

  /** The largest first. */
  get all(): Used[] {
    return [...this.#sums]
      .map(([name, { amount, count }]) => ({ name, amount, count }))
      .sort((a, b) => b.amount - a.amount)
  }
}

function timesIn({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile): Used[] {
  const names = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]))
  const sums = new Sums()
  samples.forEach((id, at) => {
    sums.add(names.get(id) ?? '', timeDeltas[at] ?? 0, 1)
  })
  return sums.all
}

function allocationsIn({ head, samples }: AllocationProfile): Used[] {
  const names = new Map<number, string>()
  const rest = [head]
  for (let node = rest.pop(); node !== undefined; node = rest.pop()) {
    names.set(node.id, nameOf(node.callFrame))
    rest.push(...node.children)
  }
  const sums = new Sums()
  for (const { nodeId, size } of samples) sums.add(names.get(nodeId) ?? '', size, 1)
  return sums.all
}

function begin(what: 'cpu' | 'heap'): void {
  running = what
  if (what === 'cpu') {
    session.post('Profiler.enable')
    session.post('Profiler.setSamplingInterval', { interval: 200 })
    session.post('Profiler.start')
    return
  }
  // The two last are newer than the types.
  const parameters = {
    samplingInterval: 1,
    includeObjectsCollectedByMajorGC: true,
    includeObjectsCollectedByMinorGC: true,
  }
  session.post('HeapProfiler.startSampling', parameters)
}

function end(): void {
  if (running === 'cpu') {
    session.post('Profiler.stop', (_error, { profile }) => process.send?.(timesIn(profile)))
  } else {
    session.post('HeapProfiler.stopSampling', (_error, { profile }) =>
      process.send?.(allocationsIn(profile as unknown as AllocationProfile)),
    )
  }
}

process.on('message', (message) => {
  if (message === 'end') end()
  else if (message === 'cpu' || message === 'heap') begin(message)
  process.send?.('ok')
})

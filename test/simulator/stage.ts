/**
 * What all who act in a scenario share: the world, what the seed has drawn, the history, the trace, and the
 * bell that ends the faults. A violation that anybody notices ends the run at once.
 */
import { Cluster } from '../../src/client/cluster.ts'
import type { Environment, Milliseconds } from '../../src/environment/environment.ts'
import type { History } from './history.ts'
import type { Ledgers } from './ledger.ts'
import type { SeededRandom } from './random.ts'
import type { SimulatedProcess, SimulatedWorld } from './simulated-world.ts'
import type { Temper } from './swarm.ts'
import type { Trace } from './trace.ts'

export const port = 9092

export interface Stage {
  readonly world: SimulatedWorld
  readonly temper: Temper
  readonly history: History
  readonly ledgers: Ledgers
  readonly trace: Trace
  /** True once all faults are over: who works towards an end goes for it now. */
  isHealed: boolean
  /** Resolves then. */
  readonly healed: Promise<void>
  /** Ends the run: for violations that are noticed where nobody would pass them on. */
  readonly fail: (error: unknown) => void
  readonly memories: Set<Memory>
  /** How often the broker was started. */
  starts: number
  /** Nobody writes any more: readers end once they have everything. */
  isWritten: boolean
}

/** What a client was promised that no partition shows: asked about after a start of the broker. */
export interface Memory {
  /** Whether it could be compared. Rejects with Violation. */
  compare(auditor: Client): Promise<boolean>
  /** After the last start: what lies in the log directories. Throws Violation. */
  compareDisk(): void
}

export interface Client {
  readonly name: string
  readonly process: SimulatedProcess
  readonly environment: Environment
  readonly cluster: Cluster
  readonly random: SeededRandom
}

/** A process with a connection to the cluster. One that is patient tries everything until it is over. */
export function startClient(
  stage: Stage,
  name: string,
  { isPatient = false }: { isPatient?: boolean } = {},
): Client {
  const { world } = stage
  const process = world.start(name)
  const { environment } = process
  const random = world.random.fork(name)
  const cluster = new Cluster(environment, {
    bootstrap: [{ host: 'broker', port }],
    clientId: name,
    requestTimeoutMs: random.pick([5_000, 10_000, 30_000]),
    connectTimeoutMs: 5_000,
    bootstrapTimeoutMs: 48 * 3_600_000,
    operationTimeoutMs: isPatient ? 48 * 3_600_000 : 60_000,
  })
  return { name, process, environment, cluster, random }
}

/** Sleeps, but not longer than there are faults. */
export function restDuringFaults(stage: Stage, client: Client, ms: Milliseconds): Promise<void> {
  return Promise.race([sleep(client.environment, ms), stage.healed])
}

export function sleep({ timers }: Environment, ms: Milliseconds): Promise<void> {
  return new Promise((resolve) => void timers.after(ms, resolve))
}

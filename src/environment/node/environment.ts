/**
 * The real world, the only place with real I/O: system clock, timers, randomness, files, TCP, HTTP, threads
 * and log.
 * What lives here: implementations of the interfaces in `src/environment`. What must not: anything that
 * knows of Kafka.
 */
import type { Clock, Environment } from '../environment.ts'
import { BufferPool } from './buffer-pool.ts'
import { NodeDisk } from './disk.ts'
import { nodeHttpClient } from './http-client.ts'
import { listenHttp } from './http-listener.ts'
import { createLogger, type LoggerOptions, Threshold } from './logger.ts'
import { NodeNetwork } from './network.ts'
import { NodeRandom } from './random.ts'
import { NodeThreads, type ThreadPrograms } from './threads.ts'
import { NodeTimers } from './timers.ts'

export interface NodeEnvironmentOptions {
  log?: LoggerOptions
  /** Where the programs of threads lie; without them there are none. */
  threads?: ThreadPrograms
  /** All there is to do may wait for the disk, as in a thread of its own. */
  mayBlock?: boolean
}

export type NodeEnvironment = Environment &
  Required<Pick<Environment, 'http' | 'listenHttp' | 'logThreshold'>>

export function createNodeEnvironment(options: NodeEnvironmentOptions = {}): NodeEnvironment {
  const clock: Clock = { now: () => Date.now(), monotonic: () => performance.now() }
  const logThreshold = new Threshold(options.log?.level ?? 'info')
  return {
    clock,
    timers: new NodeTimers(clock),
    random: new NodeRandom(),
    disk: new NodeDisk({ mayBlock: options.mayBlock ?? false }),
    network: new NodeNetwork(),
    http: nodeHttpClient,
    listenHttp,
    buffers: new BufferPool(),
    log: createLogger(options.log, logThreshold),
    logThreshold,
    ...(options.threads === undefined ? {} : { threads: new NodeThreads(options.threads) }),
  }
}

/**
 * The process itself, under the names that Prometheus clients agree on (`process_…`) and those of Node
 * (`nodejs_…`).
 */
import type { ProcessUse, ProcessWatch } from '../environment/process-use.ts'
import { type Exposition, type Gather, labelled } from './exposition.ts'

export function processMetrics(watch: ProcessWatch): Gather {
  return function* gather(out) {
    const use = watch.look()
    processor(out, use)
    memory(out, use)
    loop(out, use)
    collections(out, use)
    yield files(out, watch)
  }
}

function processor(out: Exposition, { cpuSeconds, startSeconds, versions }: ProcessUse): void {
  const { user, system } = cpuSeconds
  out.counter('process_cpu_seconds_total', 'CPU time, user and system.', user + system)
  out.counter('process_cpu_user_seconds_total', 'CPU time in user mode.', user)
  out.counter('process_cpu_system_seconds_total', 'CPU time in the kernel.', system)
  out.gauge('process_start_time_seconds', 'Start of the process, since the epoch.', startSeconds)
  const info = labelled({ version: `v${versions.node}`, v8: versions.v8 })
  out.family('nodejs_version_info', 'gauge', 'The version of Node.').add(1, info)
}

function memory(out: Exposition, { memory: bytes }: ProcessUse): void {
  out.gauge('process_resident_memory_bytes', 'Resident memory.', bytes.rss)
  out.gauge('nodejs_heap_size_total_bytes', 'Size of the JavaScript heap.', bytes.heapTotal)
  out.gauge('nodejs_heap_size_used_bytes', 'Used bytes of the JavaScript heap.', bytes.heapUsed)
  const external = 'Memory outside the heap, buffers included.'
  out.gauge('nodejs_external_memory_bytes', external, bytes.external)
  out.gauge('nodejs_array_buffers_bytes', 'Memory of buffers.', bytes.arrayBuffers)
}

/**
 * The one thread does what Kafka's request handlers and network processors do: what it does not use is
 * theirs that is idle.
 */
function loop(out: Exposition, { loopUtilization: utilization, loopDelay }: ProcessUse): void {
  out.gauge('nodejs_eventloop_utilization', 'Part of the time that the loop works.', utilization)
  const help = 'Part of the time that the event loop is idle.'
  const handlers = 'kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent'
  out.gauge(handlers, help, 1 - utilization)
  const processors = 'kafka_network_socketserver_networkprocessoravgidle_percent'
  out.gauge(processors, help, 1 - utilization)
  for (const [what, seconds] of Object.entries(loopDelay)) {
    const delay = `Delay of the event loop in the last minutes: ${what}.`
    out.gauge(`nodejs_eventloop_lag_${what}_seconds`, delay, seconds)
  }
}

function collections(out: Exposition, { collections: byKind }: ProcessUse): void {
  const help = 'Pauses for garbage collection, since the first scrape.'
  const family = out.family('nodejs_gc_duration_seconds', 'summary', help)
  for (const [kind, { count, seconds }] of byKind) {
    const labels = labelled({ kind })
    family.add(seconds, labels, '_sum')
    family.add(count, labels, '_count')
  }
}

/** What only Linux tells; elsewhere nothing is said. */
async function files(out: Exposition, watch: ProcessWatch): Promise<void> {
  const { open, most } = await watch.openFiles()
  if (open !== undefined) out.gauge('process_open_fds', 'Open file descriptors.', open)
  if (most !== undefined) out.gauge('process_max_fds', 'Most file descriptors.', most)
}

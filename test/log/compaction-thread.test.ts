/** Compaction in a thread of its own: the same files as without, and no harm where it is ended. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { encodeControlBatch } from '../../protocol/records/control.ts'
import { encodeBatch } from '../../protocol/records/record.ts'
import type { Environment } from '../../src/environment/environment.ts'
import { createNodeEnvironment } from '../../src/environment/node/environment.ts'
import { type CompactionConfig, Compactor } from '../../src/log/compaction/compactor.ts'
import { Log } from '../../src/log/log.ts'
import { defaultLogConfig } from '../../src/log/log-config.ts'
import { LogDirectory } from '../../src/log/log-directory.ts'
import { SeededRandom } from '../simulator/random.ts'
import { defaultCompactionConfig, topicId } from './log-fixture.ts'

const program = new URL('../../src/compaction-thread.js', import.meta.url)
const now = 1_700_000_000_000

/** The real world, but that it is always the same moment; with threads, or without. */
function environmentOf(compaction: URL | null): Environment {
  const threads = compaction === null ? {} : { threads: { compaction } }
  const real = createNodeEnvironment({ log: { level: 'silent' }, ...threads })
  return { ...real, clock: { ...real.clock, now: () => now } }
}

class Opened {
  readonly directory: LogDirectory
  readonly log: Log
  readonly compactor: Compactor
  readonly path: string

  constructor(path: string, environment: Environment, config: Partial<CompactionConfig> = {}) {
    this.path = join(path, 'orders-0')
    this.directory = LogDirectory.open({ environment, path })
    this.log = Log.open({
      ...{ environment, directory: this.directory, topic: 'orders', partition: 0, topicId },
      config: {
        ...defaultLogConfig,
        ...{ cleanupPolicy: ['compact'], minCleanableDirtyRatio: 0, segmentBytes: 4 << 20 },
      },
      ...{ tailCache: null, onDamage: 'cut' },
    })
    this.log.updateHighWatermark(this.log.logEndOffset)
    this.compactor = new Compactor({
      environment,
      logs: () => [this.log.cleanable],
      config: () => ({ ...defaultCompactionConfig, ...config }),
    })
  }

  /** The bytes of all files, by name. */
  get files(): Record<string, string> {
    const names = readdirSync(this.path).filter((name) =>
      /\.(log|index|timeindex|txnindex)$/.test(name),
    )
    return Object.fromEntries(
      names.map((name) => [name, readFileSync(join(this.path, name), 'hex')]),
    )
  }

  get temporary(): string[] {
    return readdirSync(this.path).filter((name) => /cleaned|swap/.test(name))
  }

  async close(): Promise<void> {
    await this.compactor.stop()
    await this.directory.close(1)
  }
}

/** 20 MB of all there may be in a log. */
async function fill({ log }: Opened): Promise<void> {
  const random = new SeededRandom(3)
  const record = () => {
    const value = random.chance(0.1) ? null : random.bytes(random.between(1, 4000))
    const key = Buffer.from(`key ${random.between(0, 2000)}`)
    return { timestamp: now - random.between(0, 5000), key, value }
  }
  let written: Promise<unknown> = Promise.resolve()
  const from = log.logEndOffset
  for (let batch = 0; log.size < 20e6; batch++) {
    const records = Array.from({ length: random.between(1, 40) }, record)
    const compression = random.pick(['none', 'none', 'gzip', 'snappy'] as const)
    const isTransactional = random.chance(0.1)
    const producer = { id: isTransactional ? from + batch : -1, epoch: isTransactional ? 0 : -1 }
    const sequence = { producerId: producer.id, producerEpoch: producer.epoch }
    const baseSequence = isTransactional ? 0 : -1
    const data = { records, compression, isTransactional, ...sequence, baseSequence }
    written = log.append(encodeBatch(data), 0).written
    if (!isTransactional) continue
    const type = random.chance(0.5) ? 'commit' : 'abort'
    const end = [{ type, value: { coordinatorEpoch: 0 } }] as const
    const marker = encodeControlBatch({ records: end, timestamp: now, producer })
    written = log.append(marker, 0, 'coordinator').written
  }
  log.roll()
  await written
  await log.flush()
}

const root = mkdtempSync(join(tmpdir(), 'millrace-thread-'))
// Neither timers nor threads keep a process alive; a broker's listeners do.
const alive = setInterval(() => {}, 1000)
t.teardown(() => {
  clearInterval(alive)
  rmSync(root, { recursive: true, force: true })
})
const filled = join(root, 'filled')
t.before(async () => {
  const opened = new Opened(filled, environmentOf(null))
  await fill(opened)
  await opened.close()
})

/** The filled log once more, after `change`. */
function again(name: string, change: (path: string) => void = () => {}): string {
  const path = join(root, name)
  cpSync(filled, path, { recursive: true })
  change(join(path, 'orders-0'))
  return path
}

t.test('a thread leaves the same bytes', async (t) => {
  const [here, there] = [null, program].map(
    (where, index) => new Opened(again(`same-${index}`), environmentOf(where)),
  ) as [Opened, Opened]
  for (let pass = 0; pass < 2; pass++) {
    for (const opened of [here, there]) t.ok(await opened.compactor.compactOne())
    const { indexMs, totalMs, ...counts } = here.compactor.counters.last as object as Record<
      string,
      number
    >
    t.match(there.compactor.counters.last, counts)
    t.ok((counts['recordsAfter'] ?? 0) < (counts['recordsBefore'] ?? 0) / 2, 'much is gone')
    t.strictSame(there.files, here.files)
    t.strictSame(there.temporary, [])
    for (const opened of [here, there]) await fill(opened)
    for (const { log } of [here, there]) log.updateHighWatermark(log.logEndOffset)
  }
  for (const opened of [here, there]) await opened.close()
})

/** Compacts so slowly in a thread that something may happen meanwhile. */
async function during(t: Test, name: string, happen: (opened: Opened) => void): Promise<Opened> {
  const slow = { ioMaxBytesPerSecond: 20e6 }
  const opened = new Opened(again(name), environmentOf(program), slow)
  const compacting = opened.compactor.compactOne()
  await new Promise((resolve) => setTimeout(resolve, 300))
  const startedMs = performance.now()
  happen(opened)
  await compacting
  t.ok(performance.now() - startedMs < 2000, 'it ends soon')
  t.match(opened.compactor.counters, { cleanings: 0, ended: 1 })
  t.strictSame([...opened.compactor.uncleanable.values()], [])
  return opened
}

t.test('what happens to the log ends the thread, and leaves nothing', async (t) => {
  const stopped = await during(t, 'stopped', ({ compactor }) => void compactor.stop())
  t.strictSame(stopped.temporary, [])
  await stopped.close()
  const cut = await during(t, 'cut', ({ log }) => void log.truncateTo(log.logEndOffset - 10))
  t.strictSame(cut.temporary, [])
  t.ok(await cut.compactor.compactOne(), 'another thread does it')
  t.equal(cut.compactor.counters.cleanings, 1)
  await cut.close()
  const removed = await during(t, 'removed', ({ log }) => log.delete())
  await removed.close()
})

t.test('what goes wrong there is told here', async (t) => {
  const damaged = again('damaged', (path) => {
    const name = join(path, readdirSync(path).filter((file) => file.endsWith('.log'))[2] as string)
    const bytes = readFileSync(name)
    bytes[1_000_000] = (bytes[1_000_000] as number) ^ 1
    writeFileSync(name, bytes)
  })
  const reasons = []
  for (const where of [null, program]) {
    const opened = new Opened(damaged, environmentOf(where))
    await opened.compactor.compactOne()
    reasons.push([...opened.compactor.uncleanable.values()])
    await opened.close()
  }
  t.match(reasons[0], [{ name: 'DamagedLog', message: /damaged at byte \d+/ }])
  t.match(reasons[1], [{ name: 'DamagedLog', message: String(reasons[0]?.[0]?.message) }])

  const opened = new Opened(again('failing'), environmentOf(program))
  const compacting = opened.compactor.compactOne()
  for (const name of readdirSync(opened.path)) {
    if (name.endsWith('.log')) rmSync(join(opened.path, name))
  }
  await compacting
  t.match([...opened.compactor.uncleanable.values()], [{ name: 'DiskError', code: 'ENOENT' }])
  await opened.close()

  const missing = new URL('no-such-program.js', import.meta.url)
  const without = new Opened(again('without'), environmentOf(missing))
  await without.compactor.compactOne()
  t.match([...without.compactor.uncleanable.values()], [/Cannot find module/])
  await without.close()
})

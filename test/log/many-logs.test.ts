/** A directory of many logs is closed: what the file system brought to the device at once is not asked for again. */
import t from 'tap'
import { encodeBatch } from '../../protocol/records/record.ts'
import { Log } from '../../src/log/log.ts'
import { defaultLogConfig } from '../../src/log/log-config.ts'
import { LogDirectory } from '../../src/log/log-directory.ts'
import { type SimulatedProcess, SimulatedWorld } from '../simulator/simulated-world.ts'
import { directoryPath as path, topicId } from './log-fixture.ts'

const count = 80

class ManyLogs {
  readonly lines: string[] = []
  readonly world: SimulatedWorld
  process: SimulatedProcess
  directory: LogDirectory
  logs: Log[]

  constructor(seed: number) {
    this.world = new SimulatedWorld(seed, { onLog: (line) => void this.lines.push(line) })
    this.process = this.world.start('broker')
    this.directory = this.#openDirectory()
    this.logs = this.#openLogs()
  }

  /** Files that hold nothing of their own are not synced, and are made again. */
  get linesOfLoss(): string[] {
    const isMadeAgain = /partition.metadata is damaged|an index is missing or damaged/
    return this.lines.filter((line) => !isMadeAgain.test(line))
  }

  append(log: Log, value: string): Promise<void> {
    const record = { timestamp: 1, key: null, value: Buffer.from(value) }
    return log.append(encodeBatch({ records: [record] }), 3).written
  }

  /** Gives how often each operation of the disk was done meanwhile, by its name and its path. */
  async close(): Promise<ReadonlyMap<string, number>> {
    const counts = new Map<string, number>()
    const { disk } = this.process
    const before = disk.fault
    disk.fault = (operation, at) => {
      const key = `${operation} ${at.slice(at.lastIndexOf('/') + 1).replace(/\d+$/, '')}`
      counts.set(key, (counts.get(key) ?? 0) + 1)
      return before?.(operation, at)
    }
    await this.world.run(this.directory.close(7))
    return counts
  }

  /** The power goes. */
  restart(): void {
    this.world.crash(this.process)
    this.lines.length = 0
    this.process = this.world.start('broker')
    this.directory = this.#openDirectory()
    this.logs = this.#openLogs()
  }

  #openDirectory(): LogDirectory {
    return LogDirectory.open({ environment: this.process.environment, path })
  }

  #openLogs(): Log[] {
    const { process, directory } = this
    const { environment } = process
    return Array.from({ length: count }, (_, partition) =>
      Log.open({
        ...{ environment, directory, topic: 'orders', partition, topicId },
        ...{ config: defaultLogConfig, tailCache: null },
      }),
    )
  }
}

async function filled(seed: number): Promise<ManyLogs> {
  const many = new ManyLogs(seed)
  for (const log of many.logs) log.assignEpochStart(3)
  await many.world.run(Promise.all(many.logs.map((log) => many.append(log, 'value'))))
  return many
}

const ends = (many: ManyLogs) => many.logs.map((log) => log.endOffsetFor(3).endOffset)

t.test('names are durable with the file system, records by their own files', async (t) => {
  for (let seed = 1; seed <= 5; seed++) {
    const many = await filled(seed)
    const counts = await many.close()
    t.equal(counts.get('sync 00000000000000000000.log'), count)
    t.equal(counts.get('syncDirectory orders-'), undefined)
    t.equal(counts.get('sync leader-epoch-checkpoint'), undefined)
    many.restart()
    t.ok(many.directory.isClean)
    t.same(many.lines, [])
    t.same(ends(many), new Array(count).fill(1))
  }
})

t.test('what could not be brought there at once is, one after the other', async (t) => {
  for (let seed = 1; seed <= 5; seed++) {
    const many = await filled(seed)
    many.process.disk.fault = (operation, at) =>
      operation === 'sync' && at === path ? 'EIO' : undefined
    const counts = await many.close()
    t.equal(counts.get('syncDirectory orders-'), count)
    t.equal(counts.get('sync leader-epoch-checkpoint'), count)
    many.restart()
    t.ok(many.directory.isClean)
    t.same(many.linesOfLoss, [])
    t.same(ends(many), new Array(count).fill(1))
  }
})

t.test('what is new since it began is synced by itself', async (t) => {
  for (let seed = 1; seed <= 5; seed++) {
    const many = await filled(seed)
    const { disk } = many.process
    const writeBack = disk.writeBack.bind(disk)
    const appended: Promise<void>[] = []
    disk.writeBack = (at) => {
      const written = writeBack(at)
      for (const log of many.logs.slice(10, 20)) {
        log.roll()
        log.assignEpochStart(4)
        appended.push(many.append(log, 'another'))
      }
      return written
    }
    await many.close()
    await Promise.all(appended)
    many.restart()
    t.ok(many.directory.isClean)
    t.same(many.linesOfLoss, [])
    const wasRolled = (partition: number) => partition >= 10 && partition < 20
    t.same(
      many.logs.map((log) => log.logEndOffset),
      Array.from({ length: count }, (_, partition) => (wasRolled(partition) ? 2 : 1)),
    )
  }
})

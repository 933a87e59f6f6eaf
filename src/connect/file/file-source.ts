/**
 * Kafka's file source: each line of a file as a record, whose offset is the position behind the line. The
 * file may grow, or be made later; what is appended to it follows. Positions count bytes.
 */
import { atLeast, int, matching, string } from '../../config/definition.ts'
import { DiskError, type DiskFile } from '../../environment/disk.ts'
import { ConfigDef, key, required, type Settings } from '../config-def.ts'
import { primitive } from '../data.ts'
import { ConnectException } from '../failures.ts'
import type { Idle } from '../idle.ts'
import type { SourcePlugin, SourceTaskContext } from '../plugin.ts'
import { PolledConnector, type Poller, polledTask } from '../polled-source.ts'
import { type SourcePosition, type SourceRecord, sourceRecord } from '../records.ts'
import { connectVersion } from '../version.ts'

const config = new ConfigDef({
  file: key(string(null), 'HIGH', 'The file to read.'),
  topic: required(
    string(null, matching(/./, 'a non-empty string')),
    'HIGH',
    'The topic to write the lines to.',
  ),
  'batch.size': key(
    int(2000, atLeast(1)),
    'LOW',
    'The maximum number of records that the task reads from the file each time it is polled.',
  ),
})

const waitMs = 1000
const chunkBytes = 64 * 1024
/** A line that is longer has no end in sight. */
const lineBytesMax = 32 * 1024 * 1024
const lineSchema = primitive('STRING')

function check(settings: Settings): void {
  const { file } = config.parse(settings)
  if (file === null || file === '')
    throw new ConnectException('file must be set: a broker has no standard input to read')
}

/** Throws ConnectException. */
function checkOffset(offset: SourcePosition, partition: SourcePosition): void {
  const position = offset.get('position')
  if (position === undefined)
    throw new ConnectException("Offset objects should either be null or contain the key 'position'")
  if (typeof position !== 'bigint')
    throw new ConnectException(
      "The value for the 'position' key in the offset is expected to be a Long value",
    )
  if (position < 0n)
    throw new ConnectException(
      "The value for the 'position' key in the offset should be a non-negative value",
    )
  if (!partition.has('filename'))
    throw new ConnectException("Partition objects should contain the key 'filename'")
}

class FileLines implements Poller {
  readonly #context: SourceTaskContext
  readonly #idle: Idle
  readonly #path: string
  readonly #topic: string
  readonly #recordsMax: number
  #file: DiskFile | null = null
  /** Where the bytes begin that are not yet lines. */
  #position = 0
  #rest: Buffer = Buffer.alloc(0)
  /** It was said that the file is missing. */
  #isAwaited = false

  constructor(context: SourceTaskContext, idle: Idle) {
    const { file, topic, 'batch.size': batchSize } = config.parse(context.settings)
    this.#context = context
    this.#idle = idle
    this.#path = file ?? ''
    this.#topic = topic
    this.#recordsMax = batchSize
  }

  async poll(): Promise<SourceRecord[] | null> {
    if (!this.#open()) {
      await this.#wait()
      return null
    }
    const records: SourceRecord[] = []
    while (records.length < this.#recordsMax) {
      const line = this.#nextLine()
      if (line !== null) records.push(this.#recordOf(line))
      else if (!this.#readMore()) break
    }
    if (records.length > 0) return records
    await this.#wait()
    return null
  }

  close(): void {
    this.#file?.close()
    this.#file = null
  }

  /** False: there is no such file yet. */
  #open(): boolean {
    if (this.#idle.isStopped) return false
    if (this.#file !== null) return true
    const { environment, log } = this.#context
    try {
      this.#file = environment.disk.open(this.#path, 'read')
    } catch (error) {
      if (!(error instanceof DiskError) || error.code !== 'ENOENT') throw error
      if (!this.#isAwaited)
        log.warn(`Couldn't find file ${this.#path}, waiting for it to be created`)
      this.#isAwaited = true
      return false
    }
    this.#isAwaited = false
    const position = this.#context.offset(new Map([['filename', this.#path]]))?.get('position')
    if (position !== undefined && position !== null && typeof position !== 'bigint')
      throw new ConnectException('Offset position is the incorrect type')
    this.#position = Number(position ?? 0n)
    return true
  }

  /** False: nothing has come since. */
  #readMore(): boolean {
    const chunk = Buffer.allocUnsafe(chunkBytes)
    const bytes = this.#file!.read(chunk, this.#position + this.#rest.length)
    if (bytes === 0) return false
    this.#rest = Buffer.concat([this.#rest, chunk.subarray(0, bytes)])
    if (this.#rest.length > lineBytesMax && !this.#rest.includes(0x0a))
      throw new ConnectException(
        `${this.#path} has a line of more than ${lineBytesMax} bytes at ${this.#position}`,
      )
    return true
  }

  /** Null: the rest is no whole line. Lines end with \n, \r\n or \r. */
  #nextLine(): string | null {
    const rest = this.#rest
    const feed = rest.indexOf(0x0a)
    const before = feed < 0 ? rest : rest.subarray(0, feed)
    const carriage = before.indexOf(0x0d)
    let end = feed
    let next = feed + 1
    if (carriage >= 0) {
      // What follows decides whether it is an end of its own.
      if (carriage + 1 === rest.length) return null
      end = carriage
      next = rest[carriage + 1] === 0x0a ? carriage + 2 : carriage + 1
    }
    if (end < 0) return null
    const line = rest.toString('utf8', 0, end)
    this.#rest = rest.subarray(next)
    this.#position += next
    return line
  }

  #recordOf(line: string): SourceRecord {
    return sourceRecord({
      topic: this.#topic,
      valueSchema: lineSchema,
      value: line,
      timestamp: this.#context.environment.clock.now(),
      sourcePartition: new Map([['filename', this.#path]]),
      sourceOffset: new Map([['position', BigInt(this.#position)]]),
    })
  }

  #wait(): Promise<void> {
    return this.#idle.wait(this.#context.environment.timers, waitMs)
  }
}

export const fileSource: SourcePlugin = {
  type: 'source',
  className: 'org.apache.kafka.connect.file.FileStreamSourceConnector',
  version: connectVersion,
  config,
  connector: () => new PolledConnector({ check, checkOffset, hasOffsets: () => true }),
  task: () => polledTask((context, idle) => new FileLines(context, idle)),
}

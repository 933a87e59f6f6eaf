/**
 * What the Delta sink costs by itself, without a broker or a network: bytes of JSON through the converter into rows,
 * columns and files, with a commit every so many records. The measure to profile (`node --cpu-prof`).
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { JsonConverter } from '../../src/connect/converters/json.ts'
import { DeltaSinkTask } from '../../src/connect/delta/delta-sink-task.ts'
import type { SinkRecord } from '../../src/connect/records.ts'
import { createNodeEnvironment } from '../../src/environment/node/environment.ts'
import { LocalStorage } from '../../src/environment/node/local-storage.ts'
import { memoryMb } from './broker-cpu.ts'
import { recordText, type Shape } from './table-records.ts'

const commitRecords = 50_000
/** Records of a poll, as consumers take them. */
const pollRecords = 500

export interface SinkCost {
  readonly records: number
  readonly bytes: number
  readonly convertSeconds: number
  readonly rowSeconds: number
  readonly commitSeconds: number
  readonly cpuSeconds: number
  readonly peakMb: number
}

/** Lands records of a shape; their texts are made before, and again and again where they are many. */
export async function sinkAlone(shape: Shape, records: number): Promise<SinkCost> {
  const texts = Array.from({ length: Math.min(records, commitRecords) }, (_, number) =>
    Buffer.from(recordText(shape, number)),
  )
  const location = mkdtempSync(join(tmpdir(), 'millrace-sink-alone-'))
  const converter = new JsonConverter(new Map([['schemas.enable', 'false']]))
  const task = new DeltaSinkTask((at) => new LocalStorage(at))
  const settings = new Map([
    ['name', 'alone'],
    ['table.path', location],
    ['kafka.offset.column', 'kafka_offset'],
  ])
  task.start(settings, {
    ...{ environment: createNodeEnvironment({ log: { level: 'silent' } }), settings },
    log: createNodeEnvironment({ log: { level: 'silent' } }).log,
    ...{ assignment: () => [], errantRecordReporter: null },
    offset: () => undefined,
    pause: () => undefined,
    resume: () => undefined,
    timeout: () => undefined,
    requestCommit: () => undefined,
  })
  let [convertMs, rowMs, commitMs, bytes] = [0, 0, 0, 0]
  const before = process.cpuUsage()
  for (let from = 0; from < records; from += pollRecords) {
    const startedMs = performance.now()
    const batch: SinkRecord[] = []
    for (let offset = from; offset < Math.min(from + pollRecords, records); offset++) {
      const text = texts[offset % texts.length] as Buffer
      bytes += text.length
      const { value } = converter.toConnectData('t', text)
      batch.push(recordAt(offset, value))
    }
    const convertedMs = performance.now()
    await task.put(batch)
    const putMs = performance.now()
    convertMs += convertedMs - startedMs
    rowMs += putMs - convertedMs
    const end = from + pollRecords
    if (end % commitRecords !== 0 && end < records) continue
    await task.preCommit([])
    commitMs += performance.now() - putMs
  }
  const { user, system } = process.cpuUsage(before)
  task.stop()
  rmSync(location, { recursive: true })
  return {
    ...{ records, bytes, cpuSeconds: (user + system) / 1e6 },
    ...{ convertSeconds: convertMs / 1000, rowSeconds: rowMs / 1000 },
    ...{ commitSeconds: commitMs / 1000, peakMb: memoryMb(process.pid, 'VmHWM') },
  }
}

function recordAt(offset: number, value: unknown): SinkRecord {
  return {
    ...{ topic: 't', kafkaPartition: 0, kafkaOffset: offset },
    ...{ originalTopic: 't', originalKafkaPartition: 0, originalKafkaOffset: offset },
    ...{ keySchema: null, key: null, valueSchema: null, value, timestamp: offset, headers: [] },
  }
}

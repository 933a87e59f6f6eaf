/**
 * What the Delta sink costs by itself, without a broker or a network: bytes of JSON made rows, columns and files, with a commit every so many records. The measure to profile (`node --cpu-prof`).
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { JsonConverter } from '../../src/connect/converters/json.ts'
import { DeltaSinkTask } from '../../src/connect/delta/delta-sink-task.ts'
import type { JsonRecord, SinkRecord } from '../../src/connect/records.ts'
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
  /** As rows are made of their bytes, where they can be. */
  readonly takeSeconds: number
  /** As they are converted and put, where they cannot. */
  readonly convertSeconds: number
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
  let [takeMs, convertMs, commitMs, bytes] = [0, 0, 0, 0]
  const before = process.cpuUsage()
  for (let from = 0; from < records; from += pollRecords) {
    const startedMs = performance.now()
    const given: JsonRecord[] = []
    for (let offset = from; offset < Math.min(from + pollRecords, records); offset++) {
      const json = texts[offset % texts.length] as Buffer
      bytes += json.length
      given.push({ record: recordAt(offset), json })
    }
    const taken = task.takeJson(partition, given)
    const takenMs = performance.now()
    const batch = given.slice(taken).map(({ record, json }) => {
      const { value } = converter.toConnectData('t', json)
      return { ...record, value }
    })
    await task.put(batch)
    const putMs = performance.now()
    takeMs += takenMs - startedMs
    convertMs += putMs - takenMs
    const end = from + pollRecords
    if (end % commitRecords !== 0 && end < records) continue
    await task.preCommit([])
    commitMs += performance.now() - putMs
  }
  const { user, system } = process.cpuUsage(before)
  await task.stop()
  rmSync(location, { recursive: true })
  return {
    ...{ records, bytes, cpuSeconds: (user + system) / 1e6 },
    ...{ takeSeconds: takeMs / 1000, convertSeconds: convertMs / 1000 },
    ...{ commitSeconds: commitMs / 1000, peakMb: memoryMb(process.pid, 'VmHWM') },
  }
}

const partition = { topic: 't', partition: 0 }

function recordAt(offset: number): SinkRecord {
  return {
    topic: 't',
    kafkaPartition: 0,
    kafkaOffset: offset,
    originalTopic: 't',
    originalKafkaPartition: 0,
    originalKafkaOffset: offset,
    keySchema: null,
    key: null,
    valueSchema: null,
    value: null,
    timestamp: offset,
    headers: [],
  }
}

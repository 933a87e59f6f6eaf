// Load by KafkaJS; one line of output per event.
// usage: load.mjs produce bootstrap=… seconds=N rate=N bytes=N producer=ID,TOPIC,idempotent|plain,CODEC,ACKS,keyed|unkeyed …
//        load.mjs consume bootstrap=… seconds=N group=G topics=T,…
import { writeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { setTimeout } from 'node:timers/promises'

const require = createRequire(`${process.env.KAFKAJS_HOME}/`)
process.env.KAFKAJS_NO_PARTITIONER_WARNING = '1'
const { CompressionCodecs, CompressionTypes, Kafka, logLevel } = require('kafkajs')
CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy')
const codecs = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
}

const [command, ...args] = process.argv.slice(2)
const options = {}
for (const arg of args) {
  const at = arg.indexOf('=')
  options[arg.slice(0, at)] ??= []
  options[arg.slice(0, at)].push(arg.slice(at + 1))
}
const text = (name) => options[name][0]
const endMs = Date.now() + Number(text('seconds')) * 1000
const kafka = new Kafka({
  brokers: [text('bootstrap')],
  logLevel: logLevel.NOTHING,
  connectionTimeout: 2000,
  requestTimeout: 10_000,
  retry: { retries: 200, initialRetryTime: 100, maxRetryTime: 800 },
})

let lines = []
const say = (line) => lines.push(line)
function flush() {
  if (lines.length > 0) writeAll(Buffer.from(`${lines.join('\n')}\n`))
  lines = []
}
function writeAll(bytes) {
  for (let written = 0; written < bytes.length; ) written += writeSync(1, bytes, written)
}

/** How long acknowledgements took, told once a second. */
let second = 0
let values = []
function measured(value) {
  const now = Math.floor(Date.now() / 1000)
  if (now !== second && values.length > 0) {
    values.sort((a, b) => a - b)
    const at = (share) => values[Math.min(values.length - 1, Math.floor(values.length * share))]
    say(
      `latency ${second} ${values.length} ${at(0.5).toFixed(2)} ${at(0.99).toFixed(2)} ${at(1).toFixed(2)}`,
    )
    values = []
  }
  second = now
  values.push(value)
}

async function produceAs(specification) {
  const [id, topic, mode, codec, acks, keyed] = specification.split(',')
  const idempotent = mode === 'idempotent'
  const producer = kafka.producer({ idempotent, maxInFlightRequests: 1 })
  await producer.connect()
  const padding = ` ${`${id}-padding-`.repeat(Number(text('bytes')))}`.slice(0, text('bytes'))
  const partitions = (await metadata([topic]))[0].partitions.length
  let next = 0
  // One send at a time: it either succeeds as a whole or is repeated by the client.
  while (Date.now() < endMs) {
    const startedMs = performance.now()
    const first = next
    const messages = []
    const count = Math.max(1, Math.floor(Number(text('rate')) / 20))
    for (let at = 0; at < count; at++) {
      const n = next++
      // A partition per send, so that the base offset of its answer tells every offset.
      const partition = keyed === 'keyed' ? n % partitions : (first / count) % partitions
      messages.push({
        key: keyed === 'keyed' ? String(n % 17) : null,
        value: `${id} ${n}${padding}`,
        partition,
      })
    }
    try {
      const answers = await producer.send({
        topic,
        messages,
        acks: acks === 'all' ? -1 : Number(acks),
        compression: codecs[codec],
      })
      const bases = new Map(answers.map((a) => [a.partition, Number(a.baseOffset)]))
      messages.forEach(({ partition }, at) => {
        const base = bases.get(partition)
        bases.set(partition, base < 0 ? base : base + 1)
        say(`ack ${topic} ${partition} ${base} ${id} ${first + at}`)
        measured(performance.now() - startedMs)
      })
    } catch (error) {
      // What the client gave up on may be there or not; its sequence numbers cannot go on.
      for (let n = first; n < next; n++) say(`fail ${topic} ${id} ${n} ${error.message}`)
      break
    }
    flush()
    await setTimeout(Math.max(0, 50 - (performance.now() - startedMs)))
  }
  say(`sent ${topic} ${id} ${next}`)
  await producer.disconnect()
}

async function metadata(topics) {
  const admin = kafka.admin()
  await admin.connect()
  try {
    return (await admin.fetchTopicMetadata({ topics })).topics
  } finally {
    await admin.disconnect()
  }
}

async function consume() {
  const group = text('group')
  const consumer = kafka.consumer({
    groupId: group,
    sessionTimeout: 2000,
    heartbeatInterval: 500,
    maxWaitTimeInMs: 500,
  })
  const expected = new Map()
  consumer.on(consumer.events.GROUP_JOIN, () => expected.clear())
  await consumer.connect()
  await consumer.subscribe({ topics: text('topics').split(','), fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachBatch: async ({ batch, heartbeat, isStale, isRunning, commitOffsetsIfNecessary }) => {
      if (isStale() || !isRunning() || batch.messages.length === 0) return
      const at = `${batch.topic} ${batch.partition}`
      for (const { offset } of batch.messages) {
        const awaited = expected.get(at)
        if (awaited === undefined) say(`from ${group} ${at} ${offset} ${Date.now()}`)
        else if (awaited !== Number(offset)) say(`gap ${group} ${at} ${awaited} ${offset}`)
        expected.set(at, Number(offset) + 1)
      }
      const { topic, partition } = batch
      const offset = String(expected.get(at))
      try {
        // `consumer.commitOffsets` hides failures once the consumer is about to end.
        await commitOffsetsIfNecessary({ topics: [{ topic, partitions: [{ partition, offset }] }] })
        say(`commit ${group} ${at} ${offset} ${Date.now()}`)
      } catch (error) {
        say(`uncommitted ${group} ${error.message}`)
        expected.delete(at)
        throw error
      } finally {
        flush()
      }
      // If it failed here, KafkaJS would hand out again what is committed; its own next one says the same.
      await heartbeat().catch((error) => say(`unheard ${group} ${error.message}`))
    },
  })
  await setTimeout(Math.max(0, endMs - Date.now()))
  // KafkaJS may go on trying to fetch for ever once it was told to end while the broker was away.
  await Promise.race([consumer.disconnect(), setTimeout(10_000)])
  flush()
  process.exit()
}

if (command === 'produce') await Promise.all(options.producer.map(produceAs))
else await consume()
flush()

// KafkaJS: produce a file's lines, consume them in a group, administer.
// usage: roundtrip.mjs produce|consume|admin|version BOOTSTRAP TOPIC [GROUP COUNT]
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'

const require = createRequire(`${process.env.KAFKAJS_HOME}/`)
const { CompressionCodecs, CompressionTypes, Kafka, logLevel } = require('kafkajs')
// KafkaJS leaves snappy, which franz-go writes unless told otherwise, to a package of its own.
CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy')
const [command, bootstrap, topic, group, count] = process.argv.slice(2)
process.env.KAFKAJS_NO_PARTITIONER_WARNING = '1'
const kafka = () => new Kafka({ brokers: [bootstrap], logLevel: logLevel.NOTHING })

const commands = {
  version: async () => console.log(`kafkajs ${require('kafkajs/package.json').version}`),

  async produce() {
    const producer = kafka().producer({ idempotent: true })
    await producer.connect()
    let number = 0
    let messages = []
    for await (const value of createInterface({ input: process.stdin })) {
      messages.push({ key: String(number++), value })
      if (messages.length === 5000) {
        await producer.send({ topic, messages })
        messages = []
      }
    }
    if (messages.length > 0) await producer.send({ topic, messages })
    await producer.disconnect()
  },

  async consume() {
    const consumer = kafka().consumer({ groupId: group })
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    let seen = 0
    const lines = []
    await new Promise((resolve, reject) => {
      consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error))
      consumer.run({
        eachBatch: async ({ batch, resolveOffset }) => {
          for (const { value, offset } of batch.messages) {
            lines.push(value)
            seen++
            resolveOffset(offset)
          }
          if (seen >= Number(count)) resolve()
        },
      })
    })
    await consumer.stop()
    await consumer.disconnect()
    for (const line of lines) process.stdout.write(`${line}\n`)
  },

  async admin() {
    const admin = kafka().admin()
    await admin.connect()
    const create = { topics: [{ topic, numPartitions: 3 }], waitForLeaders: true }
    assert.equal(await admin.createTopics(create), true)
    assert.equal(await admin.createTopics(create), false, 'a topic was created twice')
    await admin.createPartitions({ topicPartitions: [{ topic, count: 5 }] })
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
    assert.equal(topics[0].partitions.length, 5)
    const resource = { type: 2, name: topic }
    await admin.alterConfigs({
      resources: [{ ...resource, configEntries: [{ name: 'retention.ms', value: '12345' }] }],
    })
    const { resources } = await admin.describeConfigs({ resources: [resource] })
    assert.equal(
      resources[0].configEntries.find((e) => e.configName === 'retention.ms').configValue,
      '12345',
    )
    assert.equal((await admin.fetchTopicOffsets(topic)).length, 5)
    await admin.listGroups()
    await admin.describeCluster()
    await admin.deleteTopics({ topics: [topic] })
    await admin.disconnect()
  },
}

await commands[command]()

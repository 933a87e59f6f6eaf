/** Attacks by what is asked: trees, counts and names out of proportion, and bytes that are not what they say. */
import { randomBytes } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { type ApiRow, apis } from '../../protocol/apis.ts'
import { setCrc } from '../../protocol/records/batch.ts'
import { crc32 } from '../../protocol/records/crc32.ts'
import { encodeMessageSet } from '../../protocol/records/message-set.ts'
import { encodeBatch } from '../../protocol/records/record.ts'
import type { InputOf } from '../../protocol/schema.ts'
import { includes } from '../../protocol/types.ts'
import {
  type Attack,
  crowded,
  isOver,
  noteErrors,
  openMany,
  repeat,
  servedApis,
  smallest,
  type Target,
  untilOver,
} from './attack.ts'
import { decodeAnswer, errorCodes, frameOf, frameWith } from './peer.ts'

const frameBytes = 4 * 1024 * 1024

/** The same request again and again, its answers looked at for errors. */
function ask<Api extends ApiRow>(
  api: Api,
  version: number,
  request: (target: Target) => InputOf<Api['request']>,
): Attack['run'] {
  return (target) => repeat(target, frameOf(api, version, request(target)), { api, version })
}

function times<T>(count: number, make: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => make(index))
}

/** One request of every API after the other, in a 4 MiB frame full of the smallest elements. */
async function crowdEveryApi(target: Target): Promise<void> {
  const served = await servedApis(target)
  while (!isOver(target)) {
    for (const [api, version] of served) {
      if (isOver(target)) return
      const frame = crowded(api, version, frameBytes)
      const peer = frame && (await target.open())
      if (frame === undefined || peer === undefined) continue
      const answered = peer.answer(500)
      await peer.send(frame)
      const answer = await answered
      if (answer !== undefined && answer.length < 2_000_000) {
        target.outcome.note(errorCodes(decodeAnswer(api, version, answer)))
      }
      peer.close()
    }
  }
}

/** One request of every API whose every count says 2^31 - 1. */
async function lieAboutCounts(target: Target): Promise<void> {
  const served = await servedApis(target)
  while (!isOver(target)) {
    for (const [api, version] of served) {
      const body = Buffer.alloc(200, 0x7f)
      const frames = [
        frameWith(api.key, version, Buffer.alloc(200, 0xff)),
        frameWith(api.key, version, body, includes(api.request.flexible, version)),
      ]
      for (const frame of frames) {
        const peer = await target.open()
        await peer?.send(frame)
        await Promise.race([peer?.answer(50), untilOver(target)])
        peer?.close()
      }
    }
  }
}

/** 32 KB of tags that nobody knows, and a count of 2^28. */
function tagFlood(): Buffer {
  const known = frameOf(apis.metadata, 12, smallest(apis.metadata.request, 12) as never)
  const body = known.subarray(14, known.length - 1)
  const tags = Buffer.concat(times(10_000, (tag) => Buffer.from([0x80 | (tag & 127), 0x7f, 0])))
  const count = Buffer.from([0xff, 0xff, 0xff, 0x7f])
  return frameWith(apis.metadata.key, 12, Buffer.concat([body, count, tags]))
}

const zeros = gzipSync(Buffer.alloc(256 * 1024 * 1024), { level: 9 })

/** A batch whose records are these bytes, said to be packed by gzip. */
function packedBatch(packed: Buffer): Buffer {
  const header = encodeBatch({
    records: [{ timestamp: Date.now(), key: null, value: Buffer.alloc(0) }],
  }).subarray(0, 61)
  const batch = Buffer.concat([header, packed])
  batch.writeInt32BE(batch.length - 12, 8)
  batch.writeInt16BE(1, 21)
  setCrc(batch, 0)
  return batch
}

function produceOf(topic: string, version: number, batches: readonly Buffer[]): Buffer {
  return frameOf(apis.produce, version, {
    transactionalId: null,
    acks: 1,
    timeoutMs: 1000,
    topicData: [
      { name: topic, partitionData: batches.map((records) => ({ index: 0, records: [records] })) },
    ],
  })
}

/** A set of one compressed message that unpacks to 256 MiB. */
function messageSetBomb(): Buffer {
  const wrapper = encodeMessageSet({
    magic: 1,
    messages: [{ offset: 0, timestamp: 1, key: null, value: Buffer.alloc(1000) }],
    compression: 'gzip',
  })
  const head = Buffer.from(wrapper.subarray(0, 34))
  const set = Buffer.concat([head, zeros])
  set.writeInt32BE(set.length - 12, 8)
  set.writeInt32BE(zeros.length, 30)
  set.writeInt32BE(crc32(set, 16) | 0, 12)
  return set
}

async function corruptBatches(target: Target): Promise<void> {
  const good = encodeBatch({
    records: times(10, (n) => ({ timestamp: n, key: null, value: randomBytes(100) })),
  })
  const damaged = [17, 0, 8, 16, 21, 23, 57, 61].map((at) => {
    const batch = Buffer.from(good)
    batch[at] = (batch[at] as number) ^ 0x55
    if (at >= 21 && at !== 61) setCrc(batch, 0)
    return batch
  })
  const [peer] = await openMany(target, 1)
  if (peer === undefined) return
  while (!isOver(target)) {
    for (const batch of [...damaged, good.subarray(0, 60), packedBatch(randomBytes(1000))]) {
      if (peer.isClosed) return
      noteErrors(peer, apis.produce, 7, target.outcome)
      await peer.send(produceOf(target.empty, 7, [batch]))
    }
    await setTimeout(5)
  }
}

async function downConvertBomb(target: Target): Promise<void> {
  const [peer] = await openMany(target, 1)
  const topic = 'bombs'
  await peer?.call(apis.metadata, 4, { topics: [{ name: topic }], allowAutoTopicCreation: true })
  for (let count = 0; count < 20; count++) {
    await peer?.send(produceOf(topic, 7, [packedBatch(zeros)]))
    await peer?.answer()
  }
  const fetch = frameOf(apis.fetch, 2, {
    maxWaitMs: 0,
    minBytes: 1,
    topics: [
      { topic, partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 60_000_000 }] },
    ],
  })
  await repeat(target, fetch, { api: apis.fetch, version: 2 })
}

async function manyMembers(target: Target): Promise<void> {
  const join = (n: number) =>
    frameOf(apis.joinGroup, 3, {
      groupId: 'crowd',
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 10_000,
      memberId: '',
      protocolType: 'consumer',
      protocols: [{ name: `range-${n % 3}`, metadata: Buffer.alloc(1000) }, range],
    })
  const range = { name: 'range', metadata: Buffer.alloc(1000) }
  let joined = 0
  for (const peer of await openMany(target, 1000)) {
    noteErrors(peer, apis.joinGroup, 3, target.outcome)
    void peer.send(Buffer.concat(times(10, () => join(joined++))))
  }
  await untilOver(target)
}

async function manyGroups(target: Target): Promise<void> {
  const peers = await openMany(target, 20)
  let made = 0
  while (!isOver(target)) {
    for (const peer of peers) {
      noteErrors(peer, apis.joinGroup, 1, target.outcome)
      const request = {
        groupId: `group-${made++}`,
        sessionTimeoutMs: 6000,
        rebalanceTimeoutMs: 1000,
        memberId: '',
        protocolType: 'consumer',
        protocols: [{ name: 'range', metadata: Buffer.alloc(1000) }],
      }
      void peer.send(frameOf(apis.joinGroup, 1, request))
    }
    await setTimeout(1)
  }
}

async function manySessions(target: Target): Promise<void> {
  const topics = times(1000, (n) => ({
    topic: `unknown-${n}`,
    partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1000 }],
  }))
  const request = { maxWaitMs: 0, minBytes: 1, sessionId: 0, sessionEpoch: 0, topics }
  const frame = frameOf(apis.fetch, 7, { ...request, isolationLevel: 0, forgottenTopicsData: [] })
  await repeat(target, frame, { api: apis.fetch, version: 7 })
}

/** Less than the limit on what a request decodes to. */
const many = 40_000

const longName = 'n'.repeat(32_000)

export const requestAttacks: readonly Attack[] = [
  { name: 'every API: 4 MiB of the smallest elements', run: crowdEveryApi },
  { name: 'every API: counts of 2^31 - 1', run: lieAboutCounts },
  { name: 'tags without end', run: (t) => repeat(t, tagFlood()) },
  {
    name: 'Fetch v2 of a partition 100 000 times',
    run: ask(apis.fetch, 2, ({ filled }) => ({
      maxWaitMs: 0,
      minBytes: 1,
      topics: [
        {
          topic: filled,
          partitions: times(100_000, () => ({
            partition: 0,
            fetchOffset: 0,
            partitionMaxBytes: 1_000_000,
          })),
        },
      ],
    })),
  },
  {
    name: 'Fetch of 100 000 partitions, parked',
    run: ask(apis.fetch, 4, ({ filled }) => ({
      maxWaitMs: 60_000,
      minBytes: 60_000_000,
      maxBytes: 60_000_000,
      isolationLevel: 0,
      topics: [
        {
          topic: filled,
          partitions: times(100_000, (partition) => ({
            partition,
            fetchOffset: 0,
            partitionMaxBytes: 1_000_000,
          })),
        },
      ],
    })),
  },
  { name: 'fetch sessions of 1 000 partitions, again and again', run: manySessions },
  {
    name: 'Metadata of 40 000 names',
    run: ask(apis.metadata, 4, () => ({
      topics: times(many, (n) => ({ name: `unknown-${n}` })),
      allowAutoTopicCreation: false,
    })),
  },
  {
    name: 'Metadata that would make 40 000 topics',
    run: ask(apis.metadata, 4, () => ({
      topics: times(many, (n) => ({ name: `made-${n}` })),
      allowAutoTopicCreation: true,
    })),
  },
  {
    name: 'DescribeConfigs of a broker 40 000 times',
    run: ask(apis.describeConfigs, 3, () => ({
      resources: times(many, () => ({
        resourceType: 4,
        resourceName: '1',
        configurationKeys: null,
      })),
      includeSynonyms: true,
      includeDocumentation: true,
    })),
  },
  {
    name: 'DescribeConfigs of 40 000 groups',
    run: ask(apis.describeConfigs, 3, () => ({
      resources: times(many, (n) => ({
        resourceType: 32,
        resourceName: `g${n}`,
        configurationKeys: null,
      })),
      includeSynonyms: true,
      includeDocumentation: true,
    })),
  },
  {
    name: 'ListOffsets of a partition 40 000 times',
    run: ask(apis.listOffsets, 1, ({ filled }) => ({
      replicaId: -1,
      topics: [
        { name: filled, partitions: times(many, () => ({ partitionIndex: 0, timestamp: 1 })) },
      ],
    })),
  },
  {
    name: 'ListOffsets of a topic 40 000 times',
    run: ask(apis.listOffsets, 1, ({ filled }) => ({
      replicaId: -1,
      topics: times(many, () => ({
        name: filled,
        partitions: [{ partitionIndex: 0, timestamp: 1 }],
      })),
    })),
  },
  {
    name: 'DescribeProducers of a partition 40 000 times',
    run: ask(apis.describeProducers, 0, ({ filled }) => ({
      topics: [{ name: filled, partitionIndexes: times(many, () => 0) }],
    })),
  },
  {
    name: 'DescribeTopicPartitions of 40 000 names',
    run: ask(apis.describeTopicPartitions, 0, () => ({
      topics: times(many, (n) => ({ name: `unknown-${n}` })),
      responsePartitionLimit: 2 ** 31 - 1,
      cursor: null,
    })),
  },
  {
    name: 'FindCoordinator of 40 000 keys',
    run: ask(apis.findCoordinator, 4, () => ({
      keyType: 0,
      coordinatorKeys: times(many, (n) => `g${n}`),
    })),
  },
  {
    name: 'OffsetFetch of a group 40 000 times',
    run: ask(apis.offsetFetch, 8, () => ({
      groups: times(many, () => ({ groupId: 'og', topics: null })),
      requireStable: false,
    })),
  },
  {
    name: 'OffsetCommit of a topic 100 000 times',
    run: ask(apis.offsetCommit, 2, ({ filled }) => ({
      groupId: 'og',
      generationIdOrMemberEpoch: -1,
      memberId: '',
      topics: times(100_000, () => ({
        name: filled,
        partitions: [{ partitionIndex: 9, committedOffset: 1, committedMetadata: '' }],
      })),
    })),
  },
  {
    name: 'OffsetCommit of a partition 100 000 times with metadata',
    run: ask(apis.offsetCommit, 2, ({ filled }) => ({
      groupId: 'og',
      generationIdOrMemberEpoch: -1,
      memberId: '',
      topics: [
        {
          name: filled,
          partitions: times(10_000, () => ({
            partitionIndex: 0,
            committedOffset: 1,
            committedMetadata: 'm'.repeat(4000),
          })),
        },
      ],
    })),
  },
  {
    name: 'OffsetDelete of a topic 40 000 times',
    run: ask(apis.offsetDelete, 0, ({ filled }) => ({
      groupId: 'og',
      topics: times(many, (n) => ({
        name: `${filled}${n}`,
        partitions: [{ partitionIndex: 0 }],
      })),
    })),
  },
  {
    name: 'DeleteRecords of a partition 40 000 times',
    run: ask(apis.deleteRecords, 0, ({ empty }) => ({
      topics: [{ name: empty, partitions: times(many, () => ({ partitionIndex: 0, offset: -1 })) }],
      timeoutMs: 1000,
    })),
  },
  {
    name: 'DescribeGroups and DeleteGroups of 40 000 names',
    run: async (target) => {
      const names = times(many, (n) => `unknown-${n}`)
      await Promise.all([
        ask(apis.describeGroups, 0, () => ({ groups: names }))(target),
        ask(apis.deleteGroups, 0, () => ({ groupsNames: names }))(target),
      ])
    },
  },
  {
    name: 'CreateTopics of 10 000 topics of 10 000 partitions',
    run: ask(apis.createTopics, 2, () => ({
      topics: times(10_000, (n) => ({
        name: `huge-${n}`,
        numPartitions: 9_000,
        replicationFactor: 1,
        assignments: [],
        configs: [],
      })),
      timeoutMs: 1000,
      validateOnly: true,
    })),
  },
  {
    name: 'CreateTopics of 2^31 - 1 partitions',
    run: ask(apis.createTopics, 2, () => ({
      topics: [
        {
          name: 'endless',
          numPartitions: 2 ** 31 - 1,
          replicationFactor: 1,
          assignments: [],
          configs: [],
        },
      ],
      timeoutMs: 1000,
      validateOnly: false,
    })),
  },
  { name: '10 000 members of one group', run: manyMembers },
  { name: 'new groups without end', run: manyGroups },
  {
    name: 'JoinGroup with 10 MB of metadata',
    run: ask(apis.joinGroup, 1, () => ({
      groupId: 'heavy',
      sessionTimeoutMs: 6000,
      rebalanceTimeoutMs: 1000,
      memberId: '',
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: Buffer.alloc(10_000_000) }],
    })),
  },
  {
    name: 'client and transactional ids of 32 KB',
    run: (target) => {
      const request = { transactionalId: longName, transactionTimeoutMs: 1000 }
      const frame = frameOf(apis.initProducerId, 1, request, longName)
      return repeat(target, frame, { api: apis.initProducerId, version: 1 })
    },
  },
  {
    name: 'InitProducerId without end',
    run: ask(apis.initProducerId, 1, () => ({ transactionalId: null, transactionTimeoutMs: 1000 })),
  },
  { name: 'batches with wrong CRC, length, count, magic, codec', run: corruptBatches },
  {
    name: 'old Produce of a set that unpacks to 256 MiB',
    run: (target) => repeat(target, produceOf(target.empty, 2, [messageSetBomb()])),
  },
  { name: 'old Fetch of batches that unpack to 256 MiB', run: downConvertBomb },
  {
    name: 'Produce with acks=0 as fast as it goes',
    run: async (target) => {
      const records = encodeBatch({
        records: times(100, (n) => ({ timestamp: n, key: null, value: randomBytes(1000) })),
      })
      const frame = frameOf(apis.produce, 7, {
        transactionalId: null,
        acks: 0,
        timeoutMs: 1000,
        topicData: [{ name: target.empty, partitionData: [{ index: 0, records: [records] }] }],
      })
      await repeat(target, frame, { hasAnswer: false, connections: 2 })
    },
  },
]

/** Fetching and group membership, against a broker whose log and answers the test writes. */
import t, { type Test } from 'tap'
import { codec } from '../../protocol/codec.ts'
import { Reader } from '../../protocol/reader.ts'
import { encodeControlBatch } from '../../protocol/records/control.ts'
import { encodeBatch, type NewBatch } from '../../protocol/records/record.ts'
import { consumerProtocolSubscription } from '../../protocol/state/consumer-protocol.ts'
import { Cluster } from '../../src/client/cluster.ts'
import { Consumer, type ConsumerOptions } from '../../src/client/consumer.ts'
import type { PartitionRecords } from '../../src/client/fetcher.ts'
import type { SimulatedWorld } from '../simulator/simulated-world.ts'
import { besideScriptedBroker, idOf, type ScriptedBroker } from './scripted-broker.ts'

const batch = (values: string[], rest: Partial<NewBatch> = {}) => ({
  end: (rest.baseOffset ?? 0) + values.length,
  bytes: encodeBatch({
    records: values.map((value) => ({ timestamp: 1, key: null, value: Buffer.from(value) })),
    ...rest,
  }),
})

/** Partitions as lists of batches, served whole from the batch that holds the offset. */
class Shelf {
  readonly partitions = new Map<number, { end: number; bytes: Buffer }[]>()
  startOffset = 0
  aborted: { producerId: number; firstOffset: number }[] = []
  readonly committed = new Map<number, number>()
  readonly committedEpochs = new Map<number, number>()
  fetchErrors: number[] = []

  constructor(broker: ScriptedBroker) {
    broker.answers.listOffsets = ({ topics }) => ({
      topics: topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partitionIndex, timestamp }) => ({
          partitionIndex,
          errorCode: 0,
          timestamp: -1,
          offset:
            timestamp === -2
              ? this.startOffset
              : (this.partitions.get(partitionIndex)?.at(-1)?.end ?? 0),
        })),
      })),
    })
    broker.answers.fetch = async ({ topics, maxWaitMs }) => {
      const responses = topics.map(({ topic, topicId, partitions }) => ({
        topic,
        topicId,
        partitions: partitions.map((row) => this.#fetch(row, broker.leaderEpoch)),
      }))
      const isEmpty = responses.every(({ partitions }) =>
        partitions.every(({ records, errorCode }) => records.length === 0 && errorCode === 0),
      )
      if (isEmpty) await new Promise<void>((resolve) => broker.after(maxWaitMs, resolve))
      return { responses }
    }
    broker.answers.offsetFetch = ({ groups, groupId, topics }) => {
      const asked = groups[0]?.topics ?? topics ?? []
      const found = asked.map(({ name, partitionIndexes }) => ({
        name,
        partitions: partitionIndexes.map((partitionIndex) => ({
          partitionIndex,
          committedOffset: this.committed.get(partitionIndex) ?? -1,
          committedLeaderEpoch: this.committedEpochs.get(partitionIndex) ?? -1,
          metadata: '',
          errorCode: 0,
        })),
      }))
      return { topics: found, groups: [{ groupId: groups[0]?.groupId ?? groupId, topics: found }] }
    }
    broker.answers.offsetCommit = ({ topics }) => ({
      topics: topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partitionIndex, committedOffset, committedLeaderEpoch }) => {
          this.committed.set(partitionIndex, committedOffset)
          this.committedEpochs.set(partitionIndex, committedLeaderEpoch)
          return { partitionIndex, errorCode: 0 }
        }),
      })),
    })
  }

  #fetch(
    asked: { partition: number; fetchOffset: number; currentLeaderEpoch: number },
    leaderEpoch: number,
  ) {
    const { partition: partitionIndex, fetchOffset, currentLeaderEpoch } = asked
    const batches = this.partitions.get(partitionIndex) ?? []
    const end = batches.at(-1)?.end ?? 0
    const isOut = fetchOffset < this.startOffset || fetchOffset > end
    const isFenced = currentLeaderEpoch >= 0 && currentLeaderEpoch < leaderEpoch
    const errorCode = this.fetchErrors.shift() ?? (isFenced ? 74 : isOut ? 1 : 0)
    const records =
      errorCode === 0
        ? batches.filter((one) => one.end > fetchOffset).map(({ bytes }) => bytes)
        : []
    return {
      partitionIndex,
      errorCode,
      highWatermark: end,
      abortedTransactions: this.aborted,
      records,
    }
  }
}

interface Parts {
  readonly t: Test
  readonly world: SimulatedWorld
  readonly broker: ScriptedBroker
  readonly shelf: Shelf
  readonly cluster: Cluster
  readonly consumer: Consumer
}

function withConsumer(options: ConsumerOptions, run: (parts: Parts) => Promise<void>) {
  return async (t: Test) => {
    await besideScriptedBroker(6, {}, async ({ world, broker, cluster }) => {
      broker.topics.set('t', [1, 1])
      const shelf = new Shelf(broker)
      const consumer = new Consumer(cluster, options)
      await run({ t, world, broker, shelf, cluster, consumer })
      await consumer.close()
    })
  }
}

const valuesOf = (taken: readonly PartitionRecords[]) =>
  taken.flatMap(({ records }) => records.map(({ value }) => value?.toString()))
const offsetsOf = (taken: readonly PartitionRecords[]) =>
  taken.flatMap(({ records }) => records.map(({ offset }) => offset))

/** Polls until so many records came, or nothing did. */
async function take(consumer: Consumer, count: number): Promise<PartitionRecords[]> {
  const taken: PartitionRecords[] = []
  let records = 0
  while (records < count) {
    const arrived = await consumer.poll({ timeoutMs: 3000, recordsMax: count - records })
    if (arrived.length === 0) break
    taken.push(...arrived)
    records += valuesOf(arrived).length
  }
  return taken
}

t.test(
  'from the middle of a batch, in pieces as small as one likes',
  withConsumer({}, async ({ t, shelf, consumer }) => {
    shelf.partitions.set(0, [
      batch(['a', 'b', 'c', 'd']),
      batch(['e', 'f'], { baseOffset: 4, compression: 'gzip' }),
    ])
    consumer.assign([{ topic: 't', partition: 0, offset: 2 }])
    const [first] = await consumer.poll({ timeoutMs: 1000, recordsMax: 1 })
    t.same(valuesOf([first!]), ['c'])
    t.equal(first?.nextOffset, 3)
    t.equal(consumer.position({ topic: 't', partition: 0 }), 3)
    t.same(offsetsOf(await take(consumer, 3)), [3, 4, 5])
    t.same(await consumer.poll({ timeoutMs: 600 }), [], 'and then nothing')
    consumer.seek({ topic: 't', partition: 0 }, 1)
    t.same(valuesOf(await take(consumer, 5)), ['b', 'c', 'd', 'e', 'f'], 'and back')
    t.equal(consumer.highWatermark({ topic: 't', partition: 0 }), 6)
  }),
)

t.test(
  'a cluster that is closed first ends the fetching',
  withConsumer({}, async ({ t, shelf, cluster, consumer }) => {
    shelf.partitions.set(0, [batch(['a'])])
    consumer.assign([{ topic: 't', partition: 0, offset: 'earliest' }])
    t.same(valuesOf(await take(consumer, 1)), ['a'])
    cluster.close()
    t.same(await consumer.poll({ timeoutMs: 100 }), [])
  }),
)

t.test(
  'earliest, latest, and paused partitions',
  withConsumer({}, async ({ t, shelf, consumer }) => {
    shelf.partitions.set(0, [batch(['a'])])
    shelf.partitions.set(1, [batch(['b', 'c'])])
    consumer.assign([
      { topic: 't', partition: 0, offset: 'latest' },
      { topic: 't', partition: 1, offset: 'earliest' },
    ])
    t.same(valuesOf(await take(consumer, 3)), ['b', 'c'])
    consumer.pause({ topic: 't', partition: 1 })
    consumer.seek({ topic: 't', partition: 0 }, 'earliest')
    consumer.seek({ topic: 't', partition: 1 }, 'earliest')
    consumer.pause({ topic: 't', partition: 1 })
    t.same(valuesOf(await take(consumer, 1)), ['a'])
    t.throws(() => consumer.seek({ topic: 't', partition: 9 }, 0), RangeError)
  }),
)

t.test(
  'committed records only',
  withConsumer(
    { isolation: 'read_committed', groupId: 'g', autoCommitIntervalMs: 100 },
    async ({ t, shelf, consumer }) => {
      const transactional = { isTransactional: true, producerEpoch: 0, baseSequence: 0 }
      const marker = (type: 'abort' | 'commit', baseOffset: number, id: number) => ({
        end: baseOffset + 1,
        bytes: encodeControlBatch({
          records: [{ type, value: { coordinatorEpoch: 0 } }],
          timestamp: 1,
          baseOffset,
          producer: { id, epoch: 0 },
        }),
      })
      shelf.aborted = [{ producerId: 1, firstOffset: 0 }]
      shelf.partitions.set(0, [
        batch(['x', 'x'], { ...transactional, producerId: 1 }),
        batch(['a'], { ...transactional, producerId: 2, baseOffset: 2 }),
        marker('abort', 3, 1),
        marker('commit', 4, 2),
        batch(['b'], { ...transactional, producerId: 1, baseOffset: 5 }),
        batch(['c'], { baseOffset: 6 }),
      ])
      consumer.assign([{ topic: 't', partition: 0, offset: 0 }])
      t.same(valuesOf(await take(consumer, 4)), ['a', 'b', 'c'])
      t.equal(consumer.position({ topic: 't', partition: 0 }), 7)
      shelf.partitions.get(0)?.push(marker('commit', 7, 3))
      t.same(await consumer.poll({ timeoutMs: 2000 }), [])
      t.equal(consumer.position({ topic: 't', partition: 0 }), 8)
      await consumer.poll({ timeoutMs: 2000 })
      t.equal(shelf.committed.get(0), 8, 'a marker is behind nothing that could still be done')
    },
  ),
)

t.test(
  'an offset that is gone',
  withConsumer({ autoOffsetReset: 'earliest' }, async ({ t, shelf, consumer, cluster }) => {
    shelf.startOffset = 2
    shelf.partitions.set(0, [batch(['c', 'd'], { baseOffset: 2 })])
    consumer.assign([{ topic: 't', partition: 0, offset: 0 }])
    t.same(valuesOf(await take(consumer, 2)), ['c', 'd'])
    const strict = new Consumer(cluster, { autoOffsetReset: 'none' })
    strict.assign([{ topic: 't', partition: 0, offset: 9 }])
    await t.rejects(strict.poll({ timeoutMs: 5000 }), /t-0 has no offset 9/)
    await strict.close()
  }),
)

t.test(
  'failures that pass are waited out, others are told, damaged records too',
  withConsumer({}, async ({ t, shelf, consumer }) => {
    shelf.partitions.set(0, [batch(['a'])])
    shelf.fetchErrors = [6, 5, 9, 74]
    consumer.assign([{ topic: 't', partition: 0, offset: 0 }])
    t.same(valuesOf(await take(consumer, 1)), ['a'])
    shelf.fetchErrors = [29]
    await t.rejects(consumer.poll({ timeoutMs: 5000 }), /t-0: /)
    const damaged = batch(['b'], { baseOffset: 1 })
    damaged.bytes[damaged.bytes.length - 1]! ^= 1
    shelf.partitions.get(0)?.push(damaged)
    await t.rejects(take(consumer, 1), /corrupt/)
  }),
)

/** Joins are answered at once: one generation per join, and the test says who leads. */
function scriptGroup(broker: ScriptedBroker) {
  const group = { generation: 0, beats: 0, heartbeat: 0, syncs: 0, knownMember: 'm1' }
  let assignment: Buffer = Buffer.alloc(0)
  broker.answers.joinGroup = ({ memberId, protocols }) => {
    if (memberId === '')
      return {
        errorCode: 79,
        protocolName: '',
        leader: '',
        memberId: group.knownMember,
        members: [],
      }
    group.generation++
    group.heartbeat = 0
    return {
      errorCode: 0,
      generationId: group.generation,
      protocolType: 'consumer',
      protocolName: protocols[0]!.name,
      leader: memberId,
      memberId,
      members: [{ memberId, metadata: protocols[0]!.metadata }],
    }
  }
  broker.answers.syncGroup = ({ assignments, memberId }) => {
    group.syncs++
    assignment = assignments.find((row) => row.memberId === memberId)?.assignment ?? assignment
    return { errorCode: 0, assignment }
  }
  broker.answers.heartbeat = () => {
    group.beats++
    return { errorCode: group.heartbeat }
  }
  return group
}

t.test(
  'a member: joins, leads, reads from where the group was, commits, leaves',
  withConsumer(
    { groupId: 'g', autoCommitIntervalMs: 5000, autoOffsetReset: 'earliest' },
    async (parts) => {
      const { t, world, broker, shelf, consumer } = parts
      const group = scriptGroup(broker)
      shelf.partitions.set(0, [batch(['a', 'b', 'c'])])
      shelf.partitions.set(1, [batch(['d'])])
      shelf.committed.set(0, 1)
      const events: string[] = []
      consumer.subscribe(['t'], {
        onAssigned: (partitions) => void events.push(`assigned ${partitions.length}`),
        onRevoked: (partitions, isLost) =>
          void events.push(`revoked ${partitions.length} ${isLost}`),
      })
      t.same(valuesOf(await take(consumer, 3)).sort(), ['b', 'c', 'd'])
      t.same(events, ['assigned 2'])
      const [, joined] = broker.requests('joinGroup')
      t.equal(joined?.memberId, 'm1', 'it asks again with the id that it was given')
      t.same(
        joined?.protocols.map(({ name }) => name),
        ['range', 'roundrobin'],
      )
      const subscription = codec(consumerProtocolSubscription, 1).read(
        new Reader(joined!.protocols[0]!.metadata, 2),
      )
      t.same(subscription.topics, ['t'])
      await consumer.poll({ timeoutMs: 12_000 })
      t.ok(group.beats >= 3, 'heartbeats go on by themselves')
      t.same(
        [...shelf.committed],
        [
          [0, 3],
          [1, 1],
        ],
        'what was handed out is committed',
      )
      group.heartbeat = 27
      await consumer.poll({ timeoutMs: 8_000 })
      t.same(events, ['assigned 2', 'revoked 2 false', 'assigned 2'])
      t.equal(group.generation, 2)
      group.knownMember = 'm2'
      group.heartbeat = 25
      await consumer.poll({ timeoutMs: 8_000 })
      t.same(
        events.slice(3),
        ['revoked 2 true', 'assigned 2'],
        'thrown out: it comes back as another',
      )
      t.equal(broker.requests('joinGroup').at(-1)?.memberId, 'm2')
      await consumer.close()
      t.equal(broker.requests('leaveGroup')[0]?.members[0]?.memberId, 'm2')
      t.ok(world.nowMs > 0)
    },
  ),
)

t.test(
  'what a commit of a membership that is over is answered says nothing of the next one',
  withConsumer(
    { groupId: 'g', autoOffsetReset: 'earliest', autoCommitIntervalMs: null },
    async ({ t, broker, shelf, consumer }) => {
      const group = scriptGroup(broker)
      shelf.partitions.set(0, [batch(['a'])])
      consumer.subscribe(['t'])
      await take(consumer, 1)
      let isJoining = false
      const join = broker.answers.joinGroup!
      broker.answers.joinGroup = async (request, version) => {
        if (request.memberId === 'm2') {
          isJoining = true
          await new Promise<void>((resolve) => broker.after(2_000, resolve))
        }
        return join(request, version)
      }
      // It is repeated until the answer to the new member is on its way, and answered right behind that.
      broker.answers.offsetCommit = ({ topics }) => ({
        topics: topics.map(({ name, partitions }) => ({
          name,
          partitions: partitions.map((row) => ({ ...row, errorCode: isJoining ? 25 : 14 })),
        })),
      })
      const refused = t.rejects(consumer.commit(), /no member/)
      group.knownMember = 'm2'
      group.heartbeat = 25
      await consumer.poll({ timeoutMs: 12_000 })
      await refused
      t.same(
        broker.requests('syncGroup').map(({ memberId }) => memberId),
        ['m1', 'm2'],
      )
      t.equal(group.generation, 2)
      broker.answers.offsetCommit = ({ topics }) => ({
        topics: topics.map(({ name, partitions }) => ({
          name,
          partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode: 0 })),
        })),
      })
      await consumer.close()
    },
  ),
)

t.test(
  'a consumer that is not polled leaves, so that others get its partitions',
  withConsumer(
    { groupId: 'g', maxPollIntervalMs: 10_000 },
    async ({ t, world, broker, consumer, cluster }) => {
      scriptGroup(broker)
      consumer.subscribe(['t'])
      await consumer.poll({ timeoutMs: 1000 })
      await new Promise<void>((resolve) => cluster.environment.timers.after(20_000, resolve))
      t.equal(broker.requests('leaveGroup').length, 1)
      await consumer.poll({ timeoutMs: 1000 })
      t.ok(broker.requests('joinGroup').length >= 3, 'and joins again with the next poll')
      t.ok(world.nowMs >= 20_000)
    },
  ),
)

t.test(
  'what cannot be cured is told by poll',
  withConsumer({ groupId: 'g', groupInstanceId: 'i' }, async ({ t, broker, consumer }) => {
    const group = scriptGroup(broker)
    consumer.subscribe(['t'])
    await consumer.poll({ timeoutMs: 1000 })
    group.heartbeat = 82
    await t.rejects(consumer.poll({ timeoutMs: 8000 }), /instance/)
    t.equal(broker.requests('leaveGroup').length, 0)
    t.equal(idOf('t').length, 22)
  }),
)

t.test(
  'offsets under a name, without membership',
  withConsumer(
    { groupId: 'g', autoOffsetReset: 'none' },
    async ({ t, broker, shelf, consumer }) => {
      shelf.partitions.set(0, [batch(['a', 'b'])])
      shelf.committed.set(0, 1)
      consumer.assign([{ topic: 't', partition: 0 }])
      t.same(valuesOf(await take(consumer, 1)), ['b'])
      await consumer.commit()
      t.equal(shelf.committed.get(0), 2)
      t.match(broker.requests('offsetCommit')[0], { memberId: '', generationIdOrMemberEpoch: -1 })
      consumer.assign([{ topic: 't', partition: 1 }])
      await t.rejects(consumer.poll(), /t-1 has no committed offset/)
      t.throws(
        () =>
          new Consumer({ environment: { clock: { monotonic: () => 0 } } } as never).subscribe([
            't',
          ]),
        /group id/,
      )
    },
  ),
)

/** A log that a crash has cut: of epoch 2 two records are left, and epoch 4 has begun behind them. */
function cut(broker: ScriptedBroker, shelf: Shelf): void {
  broker.leaderEpoch = 4
  shelf.partitions.set(0, [
    batch(['a', 'b'], { leaderEpoch: 2 }),
    batch(['x', 'y', 'z'], { baseOffset: 2, leaderEpoch: 4 }),
  ])
  broker.answers.offsetForLeaderEpoch = ({ topics }) => ({
    topics: topics.map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map(({ partition, currentLeaderEpoch, leaderEpoch }) => {
        // FENCED_LEADER_EPOCH
        if (currentLeaderEpoch < 4) return { partition, errorCode: 74 }
        if (leaderEpoch === 4) return { partition, errorCode: 0, leaderEpoch, endOffset: 5 }
        return { partition, errorCode: 0, leaderEpoch: 2, endOffset: 2 }
      }),
    })),
  })
}

t.test(
  'what the group has committed is looked for in the log, and read anew from where that was cut',
  withConsumer(
    { groupId: 'g', autoOffsetReset: 'earliest' },
    async ({ t, broker, shelf, consumer }) => {
      cut(broker, shelf)
      shelf.committed.set(0, 4)
      shelf.committedEpochs.set(0, 3)
      consumer.assign([{ topic: 't', partition: 0 }])
      t.same(valuesOf(await take(consumer, 3)), ['x', 'y', 'z'])
      const [asked] = broker.requests('offsetForLeaderEpoch')
      t.match(asked, { replicaId: -1, topics: [{ topic: 't' }] })
      t.same(asked?.topics[0]?.partitions, [
        { partition: 0, currentLeaderEpoch: 4, leaderEpoch: 3 },
      ])
      const [fetched] = broker.requests('fetch')
      t.match(fetched?.topics[0]?.partitions, [{ fetchOffset: 2, currentLeaderEpoch: 4 }])
      await consumer.commit()
      t.same([shelf.committed.get(0), shelf.committedEpochs.get(0)], [5, 4])
    },
  ),
)

t.test(
  'a log is cut while it is read: what was read on of it does not count',
  withConsumer(
    { groupId: 'g', autoOffsetReset: 'earliest', autoCommitIntervalMs: 60_000 },
    async ({ t, broker, shelf, consumer }) => {
      broker.leaderEpoch = 3
      shelf.partitions.set(0, [
        batch(['a', 'b'], { leaderEpoch: 2 }),
        batch(['c', 'd'], { baseOffset: 2, leaderEpoch: 3 }),
      ])
      consumer.assign([{ topic: 't', partition: 0, offset: 0 }])
      t.same(valuesOf(await take(consumer, 3)), ['a', 'b', 'c'], 'd has arrived, and waits')
      t.same(broker.requests('offsetForLeaderEpoch'), [], 'nothing gave cause to ask')
      cut(broker, shelf)
      await new Promise<void>((resolve) => broker.after(3_000, resolve))
      const taken = await take(consumer, 3)
      t.same(valuesOf(taken), ['x', 'y', 'z'], 'd does not wait any more')
      t.equal(taken.at(-1)?.leaderEpoch, 4)
    },
  ),
)

t.test(
  'without a place to begin again a cut log is told by poll, and by brokers before 2.3 not at all',
  withConsumer(
    { groupId: 'g', autoOffsetReset: 'none' },
    async ({ t, broker, shelf, consumer, cluster }) => {
      cut(broker, shelf)
      shelf.committed.set(0, 4)
      shelf.committedEpochs.set(0, 3)
      consumer.assign([{ topic: 't', partition: 0 }])
      await t.rejects(take(consumer, 1), /t-0 has lost records below 4, .* another from 2 on/)
      consumer.seek({ topic: 't', partition: 0 }, 4)
      t.same(valuesOf(await take(consumer, 1)), ['z'], 'who seeks knows where to')
      cluster.close()
      broker.versionMax.set('OffsetForLeaderEpoch', 2)
      const { environment } = cluster
      const other = new Cluster(environment, { bootstrap: [{ host: 'broker', port: 9092 }] })
      const later = new Consumer(other, { groupId: 'g', autoOffsetReset: 'none' })
      later.assign([{ topic: 't', partition: 0 }])
      t.same(valuesOf(await take(later, 1)), ['z'])
      await later.close()
      other.close()
    },
  ),
)

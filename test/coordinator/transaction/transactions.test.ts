/** Transactions as their producers see them: begun, ended, repeated, fenced, timed out, expired. */
import t from 'tap'
import { errors, KafkaError } from '../../../protocol/errors.ts'
import { encodeTransactionRecord } from '../../../src/coordinator/transaction/records.ts'
import { idBytesMax } from '../../../src/coordinator/transaction/transaction-coordinator.ts'
import { TransactionStory } from './transaction-story.ts'

t.test('a transaction commits, the next aborts, each with its own epoch', async (t) => {
  const story = new TransactionStory()
  const producer = story.producer()
  t.equal(await producer.init(), 'NONE')
  t.strictSame(producer.identity, { transactionalId: 'tx', producerId: 1000, producerEpoch: 0 })
  t.equal(await story.state(), 'Empty')
  t.equal(await producer.add(2, 't-0', 't-1'), 'NONE')
  t.equal(await producer.add(2, 'u-3'), 'NONE')
  const { startMs } = (await story.known()) ?? {}
  t.equal(await producer.add(2, 'u-3'), 'NONE', 'again')
  t.equal((await story.known())?.startMs, startMs)
  t.equal(story.log.batches.length, 3, 'what is there already is not recorded again')
  await story.replay(t)
  t.equal(await producer.end(true), 'NONE')
  t.equal(producer.producerEpoch, 1)
  t.equal(await story.state(), 'CompleteCommit')
  t.strictSame(story.partitions.written, [
    {
      producerId: 1000,
      producerEpoch: 1,
      coordinatorEpoch: 5,
      isCommit: true,
      transactionVersion: 2,
      partitions: [
        { topic: 't', partitions: [0, 1] },
        { topic: 'u', partitions: [3] },
      ],
    },
  ])
  await story.replay(t)
  t.equal(await producer.add(), 'NONE')
  t.equal(await producer.end(false), 'NONE')
  t.equal(producer.producerEpoch, 2)
  t.equal(await story.state(), 'CompleteAbort')
  t.equal(story.partitions.ends.at(-1), 't-0 abort 1000/2')
  await story.replay(t)
})

t.test('an epoch whose record may be lost is not given out twice', async (t) => {
  const story = new TransactionStory()
  const producer = story.producer()
  await producer.init()
  await producer.add()
  await producer.end(true)
  story.mayLackRecords = true
  const other = await story.restarted()
  const init = async (expected: { producerId: number; producerEpoch: number } | null = null) => {
    const request = { transactionalId: 'tx', timeoutMs: 60_000, expected }
    const asked = { ...request, isTwoPhaseCommit: false, keepsPrepared: false }
    const { error, producerId, producerEpoch } = await story.now(other.initProducerId(asked))
    return `${error.name} ${producerId}/${producerEpoch}`
  }
  t.equal(await init({ producerId: 1000, producerEpoch: 2 }), 'PRODUCER_FENCED -1/-1')
  t.equal(await init({ producerId: 1000, producerEpoch: 1 }), 'NONE 1001/0', 'another id')
  t.equal(await init(), 'NONE 1001/1', 'whose epochs are all known')
  t.equal(await init({ producerId: 1000, producerEpoch: 1 }), 'PRODUCER_FENCED -1/-1')
  other.close()
})

t.test('which transactions nobody would end', async (t) => {
  const story = new TransactionStory()
  const open = (producerId: number, producerEpoch: number) => {
    return { topic: 't', partition: 0, producerId, producerEpoch }
  }
  const [begun, lost, unknown] = [open(1000, 0), open(1000, 1), open(7, 0)]
  const [ended, again] = [open(1001, 0), open(1001, 1)]
  const all = [begun, ended, again, lost, unknown]
  await story.producer('begun').init()
  const producer = story.producer('ended')
  await producer.init()
  await producer.add()
  await producer.end(true)
  await story.now(
    story.coordinator.addPartitions(
      {
        transactionalId: 'begun',
        ...begun,
        partitions: [{ topic: 't', partitions: [0] }],
      },
      2,
    ),
  )
  const fates = (coordinator = story.coordinator) =>
    coordinator.orphansAmong(all).map(({ isCommit, ...one }) => [one, isCommit])
  const expected = [
    [ended, true],
    [again, false],
    [lost, false],
    [unknown, false],
  ]
  t.strictSame(fates(), expected)
  story.mayLackRecords = true
  const doubtful = await story.restarted()
  t.strictSame(fates(doubtful), expected, 'an epoch stands for one transaction')
  doubtful.close()
  story.log.damage = { from: 0, to: 1 }
  const other = await story.restarted()
  t.strictSame(fates(other), [], 'nobody knows what else there was')
  other.close()
  t.strictSame(fates(other), [])
})

t.test(
  'without epochs of their own transactions are told apart where nothing is lost',
  async (t) => {
    const story = new TransactionStory({ transactionVersion: 0 })
    const producer = story.producer()
    await producer.init()
    await producer.add(0)
    const { producerId, producerEpoch } = producer
    const open = [{ topic: 't', partition: 0, producerId, producerEpoch }]
    t.strictSame(story.coordinator.orphansAmong(open), [])
    await producer.end(true, 0)
    t.match(story.coordinator.orphansAmong(open), [{ isCommit: true }])
    story.mayLackRecords = true
    const other = await story.restarted()
    t.match(other.orphansAmong(open), [{ isCommit: false }], 'it may be a later one')
    other.close()
    await producer.add(0)
    await producer.end(false, 0)
    t.match(story.coordinator.orphansAmong(open), [{ isCommit: false }])
  },
)

t.test('older clients keep their epoch', async (t) => {
  const story = new TransactionStory({ transactionVersion: 0 })
  const producer = story.producer()
  await producer.init()
  for (const isCommit of [true, false, true]) {
    t.equal(await producer.add(0), 'NONE')
    t.equal(await producer.end(isCommit, 0), 'NONE')
    t.equal(await producer.end(isCommit, 0), 'NONE', 'said again')
    t.equal(await producer.end(!isCommit, 0), 'INVALID_TXN_STATE')
  }
  t.equal(story.partitions.written.at(-1)?.transactionVersion, 0)
  t.equal((await story.known())?.producerEpoch, 0)
  const other = await story.restarted()
  t.equal((await story.known('tx', other))?.state, 'CompleteCommit')
})

t.test('an EndTxn that is repeated is harmless, whatever became of the answer', async (t) => {
  const story = new TransactionStory()
  const producer = story.producer()
  const end = async (isCommit: boolean) => {
    const { producerId, producerEpoch } = producer
    const error = await producer.end(isCommit)
    Object.assign(producer, { producerId, producerEpoch })
    return error
  }
  await producer.init()
  t.equal(await end(true), 'INVALID_TXN_STATE', 'there is nothing to commit')
  await producer.add()
  t.equal(await end(true), 'NONE')
  t.equal(await end(false), 'INVALID_TXN_STATE')
  t.equal(await producer.end(true), 'NONE', 'and brings the new epoch')
  t.equal(producer.producerEpoch, 1)
  t.equal(await end(true), 'INVALID_TXN_STATE', 'the next has not begun')
  t.equal(await producer.end(false), 'NONE', 'but can be aborted')
  t.equal(producer.producerEpoch, 2)
  t.equal(await story.state(), 'CompleteAbort')
  producer.producerEpoch = 1
  t.equal(await end(true), 'INVALID_TXN_STATE')
  t.equal(await producer.end(false), 'NONE')
  producer.producerEpoch = 0
  t.equal(await end(false), 'PRODUCER_FENCED')
  producer.producerEpoch = 3
  t.equal(await end(false), 'PRODUCER_FENCED')
  await story.replay(t)
})

t.test('while a decision is carried out nothing else may be decided', async (t) => {
  const story = new TransactionStory()
  const producer = story.producer()
  await producer.init()
  await producer.add()
  story.partitions.rows.set('t-0', errors.NOT_LEADER_OR_FOLLOWER)
  t.equal(await producer.end(true, 2, true), 'NONE')
  t.equal(await story.state(), 'PrepareCommit')
  t.equal(await producer.end(true), 'CONCURRENT_TRANSACTIONS')
  t.equal(await producer.end(false), 'CONCURRENT_TRANSACTIONS')
  t.equal(await producer.add(), 'CONCURRENT_TRANSACTIONS')
  t.equal(await story.producer().init(), 'CONCURRENT_TRANSACTIONS')
  producer.producerEpoch = 1
  t.equal(await producer.add(), 'CONCURRENT_TRANSACTIONS', 'also for who knows the answer')
  const early = producer.add()
  story.partitions.rows.clear()
  await story.pass(30_000)
  t.equal(await story.state(), 'CompleteCommit')
  t.equal(await early.catch((err: Error) => err.message), 'CONCURRENT_TRANSACTIONS')
  t.equal(await producer.add(), 'NONE')
})

t.test('partitions wait for the end of the transaction before', async (t) => {
  const story = new TransactionStory()
  const producer = story.producer()
  await producer.init()
  await producer.add()
  story.partitions.rows.set('t-0', errors.NOT_LEADER_OR_FOLLOWER)
  await producer.end(true)
  const added = story.coordinator.addPartitions(
    { ...producer.identity, partitions: [{ topic: 't', partitions: [0] }] },
    2,
  )
  await story.pass(1)
  story.partitions.rows.clear()
  t.equal((await story.now(added, 90)).name, 'NONE')
  t.equal(await story.state(), 'Ongoing')
  await story.replay(t)
})

t.test('a producer that takes over fences the one before', async (t) => {
  for (const transactionVersion of [0, 2]) {
    const story = new TransactionStory({ transactionVersion })
    const [old, next] = [story.producer(), story.producer()]
    await old.init()
    await old.add(transactionVersion)
    t.equal(await next.init(), 'CONCURRENT_TRANSACTIONS')
    t.equal(await story.state(), 'CompleteAbort')
    t.equal(story.partitions.ends.at(-1), 't-0 abort 1000/1', 'the epoch is above the producer’s')
    const told = transactionVersion === 2 ? 'INVALID_TXN_STATE' : 'PRODUCER_FENCED'
    t.equal(await old.end(true, transactionVersion), told)
    t.equal(await next.init(), 'NONE')
    t.equal(next.producerEpoch, 2)
    t.equal(await old.end(true, transactionVersion), 'PRODUCER_FENCED')
    t.equal(await old.add(transactionVersion), 'PRODUCER_FENCED')
    t.strictSame(await old.verify(false, 't-0'), { 't-0': 'PRODUCER_FENCED' })
    t.equal(await old.init(true), 'PRODUCER_FENCED')
    t.equal(await next.add(transactionVersion), 'NONE')
    t.equal(await next.end(true, transactionVersion), 'NONE')
    if (transactionVersion === 2) await story.replay(t)
  }
})

t.test('a producer goes on after a failure with the next epoch', async (t) => {
  const story = new TransactionStory()
  const producer = story.producer()
  await producer.init()
  t.equal(await producer.init(true), 'NONE')
  t.equal(producer.producerEpoch, 1)
  producer.producerEpoch = 0
  t.equal(await producer.init(true), 'NONE', 'the answer was lost')
  t.equal(producer.producerEpoch, 1)
  t.equal(await story.producer().init(), 'NONE')
  t.equal(await producer.init(true), 'PRODUCER_FENCED')
  t.equal(
    await story
      .producer('unheard-of')
      .init(true, { expected: { producerId: 5, producerEpoch: 3 } }),
    'NONE',
  )
  await story.replay(t)
})

t.test('a producer id whose epochs are used up makes way for another', async (t) => {
  const story = new TransactionStory()
  const producer = story.producer()
  await producer.init()
  const exhausted = await raised(story, producer, 32_766)
  t.equal(exhausted, 32_766)
  t.equal(await producer.add(), 'NONE')
  const before = { ...producer.identity }
  t.equal(await producer.end(true), 'NONE')
  t.strictSame(producer.identity, { transactionalId: 'tx', producerId: 1001, producerEpoch: 0 })
  t.equal(story.partitions.ends.at(-1), 't-0 commit 1000/32767')
  await story.replay(t)
  const next = { ...producer.identity }
  Object.assign(producer, before)
  t.equal(await producer.end(false), 'INVALID_TXN_STATE')
  t.equal(await producer.end(true), 'NONE', 'said again by its old id')
  t.strictSame(producer.identity, next)
  t.equal(await producer.add(), 'NONE')
  await producer.end(false)
  t.equal((await story.known())?.previousProducerId, 1001)
  await story.replay(t)
})

t.test('a fence that takes the last epoch brings another producer id', async (t) => {
  for (const transactionVersion of [0, 2]) {
    const story = new TransactionStory({ transactionVersion })
    const producer = story.producer()
    await producer.init()
    await raised(story, producer, 32_766)
    await producer.add(transactionVersion)
    const next = story.producer()
    t.equal(await next.init(), 'CONCURRENT_TRANSACTIONS')
    t.equal(story.partitions.ends.at(-1), 't-0 abort 1000/32767')
    t.equal(await next.init(), 'NONE')
    t.not(next.producerId, 1000)
    t.ok(next.producerEpoch <= 1)
    t.equal(await producer.add(transactionVersion), 'INVALID_PRODUCER_ID_MAPPING')
  }
})

t.test('no producer id at hand is said, and nothing is recorded', async (t) => {
  const story = new TransactionStory()
  const producer = story.producer()
  story.producerIdFailure = new KafkaError(errors.NOT_CONTROLLER)
  t.equal(await producer.init(), 'COORDINATOR_NOT_AVAILABLE')
  t.equal(await story.known(), undefined)
  story.producerIdFailure = null
  t.equal(await producer.init(), 'NONE')
})

t.test('what InitProducerId refuses', async (t) => {
  const story = new TransactionStory({ transactionMaxTimeoutMs: 1000 })
  const producer = story.producer('tx', 1000)
  t.equal(await story.producer('').init(), 'INVALID_REQUEST')
  t.equal(
    await producer.init(false, { isTwoPhaseCommit: true }),
    'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
  )
  t.equal(await producer.init(false, { keepsPrepared: true }), 'UNSUPPORTED_VERSION')
  for (const timeoutMs of [0, -1, 1001]) {
    t.equal(await producer.init(false, { timeoutMs }), 'INVALID_TRANSACTION_TIMEOUT')
  }
  t.equal(await story.known(), undefined)
  story.config.isTwoPhaseCommitEnabled = true
  t.equal(await producer.init(false, { isTwoPhaseCommit: true }), 'NONE')
  await producer.add()
  await story.pass(100_000)
  t.equal(await story.state(), 'Ongoing', 'never times out')
})

t.test('who is not the producer adds and ends nothing', async (t) => {
  const story = new TransactionStory()
  const producer = story.producer()
  for (const version of [0, 2]) {
    t.equal(await producer.add(version), 'INVALID_PRODUCER_ID_MAPPING')
    t.equal(await producer.end(true, version), 'INVALID_PRODUCER_ID_MAPPING')
  }
  t.strictSame(await producer.verify(false, 't-0'), { 't-0': 'INVALID_PRODUCER_ID_MAPPING' })
  await producer.init()
  producer.producerId++
  for (const version of [0, 2]) {
    t.equal(await producer.add(version), 'INVALID_PRODUCER_ID_MAPPING')
    t.equal(await producer.end(false, version), 'INVALID_PRODUCER_ID_MAPPING')
  }
  producer.producerId--
  producer.producerEpoch++
  for (const version of [0, 2]) {
    t.equal(await producer.add(version), 'PRODUCER_FENCED')
    t.equal(await producer.end(false, version), 'PRODUCER_FENCED')
  }
  producer.producerEpoch--
  t.equal(await producer.end(false, 0), 'INVALID_TXN_STATE')
  t.equal(await story.producer('').add(), 'INVALID_REQUEST')
  t.equal(await story.producer('').end(true), 'INVALID_REQUEST')
  t.strictSame(await story.producer('').verify(false, 't-0'), { 't-0': 'INVALID_REQUEST' })
})

t.test('leaders ask for the partitions of their clients', async (t) => {
  const story = new TransactionStory()
  const producer = story.producer()
  await producer.init()
  t.strictSame(await producer.verify(false, 't-0'), { 't-0': 'TRANSACTION_ABORTABLE' })
  t.strictSame(await producer.verify(true, 't-0', 't-1'), { 't-0': 'NONE', 't-1': 'NONE' })
  t.strictSame(await producer.verify(false, 't-1', 't-2'), {
    't-1': 'NONE',
    't-2': 'TRANSACTION_ABORTABLE',
  })
  t.equal((await story.known())?.clientVersion, 2)
})

t.test('a transaction that takes too long is aborted, and its producer fenced', async (t) => {
  for (const transactionVersion of [0, 1, 2]) {
    const story = new TransactionStory({ transactionVersion })
    const producer = story.producer('tx', 5000)
    await producer.init()
    await story.pass(20_000)
    t.equal(await story.state(), 'Empty', 'there is nothing to abort')
    await producer.add(0)
    await story.pass(15_100)
    t.equal(await story.state(), 'CompleteAbort')
    t.strictSame(story.partitions.ends, ['t-0 abort 1000/1'])
    t.equal(await producer.end(true, 0), 'PRODUCER_FENCED')
    t.equal(await producer.init(true), transactionVersion === 2 ? 'NONE' : 'PRODUCER_FENCED')
    if (transactionVersion > 0) await story.replay(t)
  }
})

t.test('who sets the clock neither ends nor keeps a transaction', async (t) => {
  const story = new TransactionStory({ abortTimedOutIntervalMs: 1000 })
  const producer = story.producer('tx', 5000)
  await producer.init()
  for (const byMs of [-36_000_000, 36_000_000]) {
    await producer.add()
    story.setClock(byMs)
    await story.pass(4500)
    t.equal(await story.state(), 'Ongoing', `after ${byMs} ms`)
    await story.pass(1600)
    t.equal(await story.state(), 'CompleteAbort', `after ${byMs} ms`)
    await producer.init()
  }
  await producer.add()
  await story.pass(2000)
  const other = await story.restarted()
  const known = async () => (await story.known('tx', other))?.state
  await story.pass(2500)
  t.equal(await known(), 'Ongoing', 'time before a restart is not forgotten')
  await story.pass(2000)
  t.equal(await known(), 'CompleteAbort')
  other.close()
})

t.test(
  'after a restart a clock that was set back keeps a transaction no longer than its time',
  async (t) => {
    const story = new TransactionStory({ abortTimedOutIntervalMs: 1000 })
    const producer = story.producer('tx', 5000)
    await producer.init()
    await producer.add()
    story.setClock(-36_000_000)
    const other = await story.restarted()
    await story.pass(6100)
    t.equal((await story.known('tx', other))?.state, 'CompleteAbort')
    other.close()
  },
)

t.test('a transaction of the last epoch that takes too long is aborted, too', async (t) => {
  const story = new TransactionStory()
  const producer = story.producer('tx', 5000)
  await producer.init()
  await raised(story, producer, 32_766)
  await producer.add()
  story.producerIdFailure = new Error('no ids')
  await story.pass(20_000)
  t.equal(await story.state(), 'Ongoing')
  story.producerIdFailure = null
  await story.pass(10_000)
  t.equal(await story.state(), 'CompleteAbort')
  t.strictSame(story.partitions.ends, ['t-0 abort 1000/32767'])
  t.equal((await story.known())?.producerId, 1001)
  await story.replay(t)
})

t.test('transactional ids take so much memory, and no more', async (t) => {
  const story = new TransactionStory({ transactionalIdExpirationMs: 100_000 })
  const { idMemory } = story.coordinator
  const held = () => idMemory.bytes
  const [first, second, third] = ['a', 'b'.repeat(100), 'c'].map((id) => story.producer(id))
  t.equal(await first?.init(), 'NONE')
  const one = held()
  t.ok(one > 0)
  t.equal(await first?.init(), 'NONE')
  t.equal(held(), one, 'an id that was there')
  story.log.failure = new Error('the disk is gone')
  t.not(await second?.init(), 'NONE')
  t.equal(held(), one, 'what the log refuses takes nothing')
  story.log.failure = null

  idMemory.hold(idBytesMax - one - one)
  t.equal(await second?.init(), 'COORDINATOR_NOT_AVAILABLE')
  t.equal(await story.known(second?.transactionalId), undefined)
  t.equal(await third?.init(), 'NONE', 'a shorter one')
  t.equal(await third?.init(), 'NONE', 'and those there are go on')
  idMemory.hold(one + one - idBytesMax)
  t.equal(await second?.init(), 'NONE')
  const other = await story.restarted()
  t.equal(other.idMemory.bytes, held())
  other.close()
  t.equal(other.idMemory.bytes, 0)
  await story.pass(2 * story.config.removeExpiredIntervalMs)
  t.equal(held(), 0, 'all have expired')
})

t.test('transactional ids that nobody uses are forgotten', async (t) => {
  const story = new TransactionStory({
    transactionalIdExpirationMs: 100_000,
    removeExpiredIntervalMs: 10_000,
  })
  const [idle, open, stuck] = [
    story.producer('idle'),
    story.producer('open', 900_000),
    story.producer('stuck'),
  ]
  for (const producer of [idle, open, stuck]) await producer.init()
  await idle.add()
  await idle.end(true)
  await open.add()
  await stuck.add(2, 'x-0')
  story.partitions.rows.set('x-0', errors.UNKNOWN_TOPIC_OR_PARTITION)
  await stuck.end(true)
  await story.pass(90_000)
  t.equal(await story.state('idle'), 'CompleteCommit')
  await story.pass(30_000)
  t.equal(await story.state('idle'), undefined)
  t.equal(await story.state('open'), 'Ongoing')
  t.equal(await story.state('stuck'), 'PrepareCommit')
  t.equal(await idle.add(), 'INVALID_PRODUCER_ID_MAPPING')
  await story.replay(t)
  t.equal(await idle.init(true), 'NONE')
  t.equal(idle.producerId, 1003)
})

/** Raises the producer's epoch to `epoch` as if by as many transactions. */
async function raised(
  story: TransactionStory,
  producer: { producerEpoch: number; init(isAgain?: boolean): Promise<string> },
  epoch: number,
): Promise<number> {
  const { log } = story
  const value = await story.known()
  if (value === undefined) throw new Error('no transaction')
  const record = { transactionalId: 'tx', value: { ...value, producerEpoch: epoch - 1 } }
  log.put({ records: [{ timestamp: 0, ...encodeTransactionRecord(record, 2) }] })
  await story.now(story.coordinator.onElection(0, 6, log))
  producer.producerEpoch = epoch - 1
  await producer.init(true)
  return producer.producerEpoch
}

/** Which of the batches read for a share group belong to aborted transactions, against a plain search. */
import t from 'tap'
import { encodeBatch } from '../../../protocol/records/record.ts'
import type { AbortedTransaction } from '../../../src/log/transaction-index.ts'
import type { Partition } from '../../../src/replication/partition.ts'
import { fetchedBatches } from '../../../src/replication/share/fetched-records.ts'
import { SeededRandom } from '../../simulator/random.ts'

t.test('batches of aborted transactions are told, however they are interleaved', async (t) => {
  const random = new SeededRandom(1)
  const below = (limit: number) => Math.floor(random.float() * limit)
  const begun = new Map<number, number>()
  const aborted: AbortedTransaction[] = []
  const written: { producerId: number; offset: number; isTransactional: boolean }[] = []
  const chunks: Buffer[] = []
  const end = 2000
  for (let offset = 0; offset < end; offset++) {
    const producerId = below(8)
    const firstOffset = begun.get(producerId)
    // A marker takes an offset, but none of them is in what is read here.
    if (firstOffset !== undefined && below(4) === 0) {
      begun.delete(producerId)
      const transaction = { producerId, firstOffset, lastOffset: offset, lastStableOffset: 0 }
      if (below(2) === 0) aborted.push(transaction)
      continue
    }
    const isTransactional = producerId !== 7
    if (isTransactional && firstOffset === undefined) begun.set(producerId, offset)
    const producer = { producerId, producerEpoch: 0, baseSequence: 0, isTransactional }
    const records = [{ timestamp: 0, key: null, value: Buffer.from('v') }]
    chunks.push(encodeBatch({ ...producer, records, baseOffset: offset }))
    written.push({ producerId, offset, isTransactional })
  }
  const log = { reader: { abortedTransactions: () => aborted } }
  const read = { chunks, bytes: 1, firstOffset: 0, nextOffset: end }
  const told = (isReadCommitted: boolean) =>
    fetchedBatches({ log } as unknown as Partition, 0, read, isReadCommitted).batches
  const expected = written.map(({ producerId, offset, isTransactional }) => ({
    firstOffset: offset,
    lastOffset: offset,
    isAborted:
      isTransactional &&
      aborted.some(
        (one) =>
          one.producerId === producerId && one.firstOffset <= offset && offset < one.lastOffset,
      ),
  }))
  t.strictSame(told(true), expected)
  t.ok(expected.some(({ isAborted }) => isAborted))
  t.ok(expected.some(({ isAborted }) => !isAborted))
  t.notOk(told(false).some(({ isAborted }) => isAborted))
})

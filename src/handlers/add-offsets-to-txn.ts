/**
 * AddOffsetsToTxn (KIP-98): enters the partition that holds a group's offsets into a transaction. Newer
 * producers leave that to TxnOffsetCommit (KIP-890).
 */
import { apis } from '../../protocol/apis.ts'
import type { GroupCoordinator } from '../coordinator/group/group-coordinator.ts'
import type { TransactionCoordinator } from '../coordinator/transaction/transaction-coordinator.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'
import { fencedAs } from './fenced-as.ts'

const writeTransactionalId = rule('WRITE', 'TRANSACTIONAL_ID', 'errorCode')
const readGroup = rule('READ', 'GROUP', 'errorCode')

const firstVersionWithProducerFenced = 2

interface Parts {
  readonly groups: GroupCoordinator
  readonly transactions: TransactionCoordinator
}

export const addOffsetsToTxn = ({ groups, transactions }: Parts) =>
  handler(
    apis.addOffsetsToTxn,
    async ({ groupId, ...producer }, context) => {
      const { apiVersion } = context
      writeTransactionalId.require(context, producer.transactionalId)
      readGroup.require(context, groupId)
      const partitions = [{ topic: groups.topic, partitions: [groups.partitionFor(groupId)] }]
      const error = await transactions.addPartitions({ ...producer, partitions }, 0)
      return { errorCode: fencedAs(error, apiVersion >= firstVersionWithProducerFenced).code }
    },
    {
      access: [writeTransactionalId, readGroup],
      onError: (_, error) => ({ errorCode: error.code }),
    },
  )

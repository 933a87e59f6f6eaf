/** Error codes in answers, wherever the table has some. */
import t from 'tap'
import { type ApiRow, apis } from '../../protocol/apis.ts'
import { ErrorFields } from '../../protocol/error-fields.ts'
import { errors } from '../../protocol/errors.ts'

function counted(api: ApiRow, answer: object): Record<string, number> {
  const counts: number[] = []
  new ErrorFields(api.response).count(answer, counts)
  const byCode = new Map(Object.values(errors).map(({ code, name }) => [code, name]))
  return Object.fromEntries(
    [...counts.entries()]
      .filter(([, count]) => count !== undefined)
      .map(([at, count]) => [byCode.get(at - 1), count]),
  )
}

t.test('each code is counted, those of partitions and those without an error too', (t) => {
  const partitions = [{ errorCode: 0 }, { errorCode: 6 }, { errorCode: 6 }, { errorCode: -1 }]
  const answer = { errorCode: 0, responses: [{ partitions }, { partitions: [] }] }
  const expected = { UNKNOWN_SERVER_ERROR: 1, NONE: 2, NOT_LEADER_OR_FOLLOWER: 2 }
  t.strictSame(counted(apis.fetch, answer), expected)
  t.strictSame(counted(apis.heartbeat, {}), { NONE: 1 }, 'what is left out is none')
  const added = { errorCode: 0, resultsByTransaction: null, resultsByTopicV3AndBelow: [] }
  t.strictSame(counted(apis.addPartitionsToTxn, added), { NONE: 1 })
  const acknowledged = { errorCode: 0, responses: [{ partitions: [{ acknowledgeErrorCode: 35 }] }] }
  const both = { NONE: 2, UNSUPPORTED_VERSION: 1 }
  t.strictSame(counted(apis.shareFetch, acknowledged), both, 'of any name')
  t.end()
})

t.test('all APIs but those that cannot fail have some', (t) => {
  const without = Object.values<ApiRow>(apis).filter(
    ({ response }) => new ErrorFields(response).isEmpty,
  )
  t.strictSame(
    without.map(({ name }) => name),
    [],
  )
  t.end()
})

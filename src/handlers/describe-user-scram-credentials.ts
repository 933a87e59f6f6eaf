/** DescribeUserScramCredentials: which users have passwords, and for which mechanisms (KIP-554). */

import { apis } from '../../protocol/apis.ts'
import { type ErrorRow, errors } from '../../protocol/errors.ts'
import type { DescribeUserScramCredentialsResponse } from '../../protocol/messages/describe-user-scram-credentials.ts'
import { mapInSteps } from '../environment/in-turns.ts'
import type { MetadataCache } from '../metadata/metadata-cache.ts'
import { rule } from '../server/access.ts'
import { handler } from '../server/handler.ts'

type Result = DescribeUserScramCredentialsResponse['results'][number]
type Credential = Result['credentialInfos'][number]

const describeCluster = rule('DESCRIBE', 'CLUSTER', 'errorCode')

export const describeUserScramCredentials = ({ cache }: { cache: MetadataCache }) =>
  handler(
    apis.describeUserScramCredentials,
    async ({ users }, context) => {
      describeCluster.require(context)
      const credentials = new Map<string, Credential[]>()
      for (const { name, mechanism, iterations } of cache.image.scramCredentials.values()) {
        const ofUser = credentials.get(name) ?? []
        credentials.set(name, [...ofUser, { mechanism, iterations }])
      }
      const counts = new Map<string, number>()
      const all = users === null || users.length === 0
      for (const name of all ? credentials.keys() : users.map((user) => user.name)) {
        counts.set(name, (counts.get(name) ?? 0) + 1)
      }
      const answers = mapInSteps(counts, ([user, count]) =>
        describe(user, count, credentials.get(user)),
      )
      const results = await context.inTurns(answers)
      return { errorCode: errors.NONE.code, errorMessage: null, results }
    },
    {
      access: [describeCluster],
      onError: (_request, error, _version, errorMessage) => ({
        errorCode: error.code,
        errorMessage,
        results: [],
      }),
    },
  )

function describe(
  user: string,
  count: number,
  credentialInfos: readonly Credential[] | undefined,
): Result {
  const failed = ({ code: errorCode }: ErrorRow, why: string): Result => {
    return { user, errorCode, errorMessage: `${why}: ${user}`, credentialInfos: [] }
  }
  if (count > 1) {
    const why = 'Cannot describe SCRAM credentials for the same user twice in a single request'
    return failed(errors.DUPLICATE_RESOURCE, why)
  }
  if (credentialInfos === undefined) {
    const why = 'Attempt to describe a user credential that does not exist'
    return failed(errors.RESOURCE_NOT_FOUND, why)
  }
  return { user, errorCode: errors.NONE.code, errorMessage: null, credentialInfos }
}

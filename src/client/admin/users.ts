/** Users' passwords for SCRAM: a broker never sees them, only what proves that one knows them. */
import { apis } from '../../../protocol/apis.ts'
import type { KafkaError } from '../../../protocol/errors.ts'
import {
  type ScramMechanism,
  saltPassword,
  scramMechanismOf,
  scramMechanisms,
} from '../../../protocol/scram.ts'
import type { Cluster } from '../cluster.ts'
import type { Asked } from '../connection.ts'
import { check, failure, type Outcome, outcome, throwMoved } from './outcome.ts'

export interface DescribedUser {
  readonly name: string
  readonly error: KafkaError | null
  readonly credentials: readonly { readonly mechanism: string; readonly iterations: number }[]
}

export interface NewPassword {
  readonly user: string
  readonly password: string
  readonly mechanism: ScramMechanism
  readonly iterations: number
  /** Random bytes. */
  readonly salt: Buffer
}

/** null: all that have one. */
export function describeUsers(
  cluster: Cluster,
  names: readonly string[] | null,
): Promise<DescribedUser[]> {
  return cluster.retrying('read users', async () => {
    const users = names?.map((name) => ({ name })) ?? null
    const answer = await cluster.callAny(apis.describeUserScramCredentials, { users })
    check(answer.errorCode, answer.errorMessage)
    return answer.results.map(({ user, errorCode, errorMessage, credentialInfos }) => ({
      name: user,
      error: failure(errorCode, errorMessage),
      credentials: credentialInfos.map(({ mechanism, iterations }) => ({
        mechanism: scramMechanismOf(mechanism) ?? 'unknown',
        iterations,
      })),
    }))
  })
}

export function setPassword(cluster: Cluster, given: NewPassword): Promise<Outcome[]> {
  const { user, password, mechanism, salt, iterations } = given
  const upsertion = {
    name: user,
    mechanism: scramMechanisms[mechanism],
    iterations,
    salt,
    saltedPassword: saltPassword(mechanism, password, salt, iterations),
  }
  return alter(cluster, { deletions: [], upsertions: [upsertion] })
}

export function deletePassword(
  cluster: Cluster,
  user: string,
  mechanism: ScramMechanism,
): Promise<Outcome[]> {
  const deletion = { name: user, mechanism: scramMechanisms[mechanism] }
  return alter(cluster, { deletions: [deletion], upsertions: [] })
}

type Alteration = Asked<typeof apis.alterUserScramCredentials>

function alter(cluster: Cluster, request: Alteration): Promise<Outcome[]> {
  return cluster.retrying('change users', async () => {
    const { results } = await cluster.callAny(apis.alterUserScramCredentials, request)
    const outcomes = results.map(({ user, errorCode, errorMessage }) =>
      outcome(user, errorCode, errorMessage),
    )
    throwMoved(outcomes)
    return outcomes
  })
}

/**
 * AlterUserScramCredentials: what is kept of users' passwords. Each user of a request may be changed once;
 * what is wrong with one user does not keep the others from being changed.
 */
import { errors } from '../../../protocol/errors.ts'
import type {
  AlterUserScramCredentialsRequest,
  AlterUserScramCredentialsResponse,
} from '../../../protocol/messages/alter-user-scram-credentials.ts'
import {
  type ScramMechanism,
  scramIterations,
  scramKeys,
  scramMechanismOf,
} from '../../../protocol/scram.ts'
import { mapInSteps, type Steps } from '../../environment/in-turns.ts'
import { type MetadataImage, scramKey } from '../image.ts'
import { type MetadataRecord, record } from '../record.ts'
import {
  type Decision,
  failed,
  type Outcome,
  recordsPerRequestMax,
  succeeded,
  tooLarge,
} from './decision.ts'

type Result = AlterUserScramCredentialsResponse['results'][number]
type Deletion = AlterUserScramCredentialsRequest['deletions'][number]
type Upsertion = AlterUserScramCredentialsRequest['upsertions'][number]

/** One result for each user. Throws KafkaError POLICY_VIOLATION for too large a request. */
export function* alterUserScramCredentials(
  image: MetadataImage,
  { deletions, upsertions }: AlterUserScramCredentialsRequest,
): Steps<Decision<Result[]>> {
  if (deletions.length + upsertions.length > recordsPerRequestMax) throw tooLarge()
  const changes = new Map<string, MetadataRecord | Outcome>()
  const change = (user: string, decide: () => MetadataRecord | Outcome): void => {
    const before = changes.get(user)
    if (before === undefined) changes.set(user, decide())
    // As in Kafka, which looks at the salted password last.
    else if ('type' in before || before === emptyPassword) changes.set(user, alteredTwice)
  }
  for (const deletion of deletions) {
    change(deletion.name, () => deletionOf(image, deletion))
    yield
  }
  for (const upsertion of upsertions) {
    change(upsertion.name, () => credentialOf(upsertion))
    yield
  }
  const records: MetadataRecord[] = []
  const reply = yield* mapInSteps(changes, ([user, decided]) => {
    if ('type' in decided) records.push(decided)
    const { error, message } = 'type' in decided ? succeeded : decided
    return { user, errorCode: error.code, errorMessage: message }
  })
  return { records, reply }
}

const alteredTwice = failed(
  errors.DUPLICATE_RESOURCE,
  'A user credential cannot be altered twice in the same request',
)

const emptyPassword = failed(errors.UNACCEPTABLE_CREDENTIAL, 'Empty salted password')

function deletionOf(image: MetadataImage, deletion: Deletion): MetadataRecord | Outcome {
  const { name, mechanism } = deletion
  const known = mechanismFor(name, mechanism)
  if (typeof known !== 'string') return known
  if (image.scramCredentials.has(scramKey(mechanism, name))) {
    return record('RemoveUserScramCredentialRecord', deletion)
  }
  const message = 'Attempt to delete a user credential that does not exist'
  return failed(errors.RESOURCE_NOT_FOUND, message)
}

function credentialOf({ saltedPassword, ...rest }: Upsertion): MetadataRecord | Outcome {
  const { name, mechanism, iterations } = rest
  const known = mechanismFor(name, mechanism)
  if (typeof known !== 'string') return known
  if (iterations < scramIterations.min) {
    return failed(errors.UNACCEPTABLE_CREDENTIAL, 'Too few iterations')
  }
  if (iterations > scramIterations.max) {
    return failed(errors.UNACCEPTABLE_CREDENTIAL, 'Too many iterations')
  }
  if (saltedPassword.length === 0) return emptyPassword
  // A view would keep the whole request in memory.
  const salt = Buffer.from(rest.salt)
  return record('UserScramCredentialRecord', {
    ...rest,
    salt,
    ...scramKeys(known, saltedPassword),
  })
}

function mechanismFor(user: string, mechanism: number): ScramMechanism | Outcome {
  if (user === '') return failed(errors.UNACCEPTABLE_CREDENTIAL, 'Username must not be empty')
  return (
    scramMechanismOf(mechanism) ??
    failed(errors.UNSUPPORTED_SASL_MECHANISM, 'Unknown SCRAM mechanism')
  )
}

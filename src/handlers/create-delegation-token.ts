/**
 * CreateDelegationToken: refused, as Kafka refuses it, to whoever came by a listener that knows nobody: a
 * token would be worth as much as the name of its owner. Nothing is authorised before that.
 */
import { apis } from '../../protocol/apis.ts'
import { errors } from '../../protocol/errors.ts'
import { handler } from '../server/handler.ts'

/** Where there is no time. */
const never = -1

export const createDelegationToken = () =>
  handler(
    apis.createDelegationToken,
    ({ ownerPrincipalType, ownerPrincipalName }, { connection }) => {
      const requester = principalParts(connection.principal)
      const owner = ownerPrincipalName
        ? { type: ownerPrincipalType ?? '', name: ownerPrincipalName }
        : requester
      return {
        errorCode: errors.DELEGATION_TOKEN_REQUEST_NOT_ALLOWED.code,
        principalType: owner.type,
        principalName: owner.name,
        tokenRequesterPrincipalType: requester.type,
        tokenRequesterPrincipalName: requester.name,
        issueTimestampMs: never,
        expiryTimestampMs: never,
        maxTimestampMs: never,
        tokenId: '',
        hmac: Buffer.alloc(0),
      }
    },
    { access: [] },
  )

/** Of `User:alice`. */
function principalParts(principal: string): { readonly type: string; readonly name: string } {
  const colon = principal.indexOf(':')
  return { type: principal.slice(0, colon), name: principal.slice(colon + 1) }
}

/** DescribeDelegationToken: refused, as Kafka refuses it, to whoever came by a listener that knows nobody. */
import { apis } from '../../protocol/apis.ts'
import { errors } from '../../protocol/errors.ts'
import { handler } from '../server/handler.ts'

export const describeDelegationToken = () =>
  handler(
    apis.describeDelegationToken,
    () => ({ errorCode: errors.DELEGATION_TOKEN_REQUEST_NOT_ALLOWED.code, tokens: [] }),
    { access: [] },
  )

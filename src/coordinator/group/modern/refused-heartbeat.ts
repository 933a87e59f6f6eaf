/** The answer to a heartbeat for which nothing but an error can be said. */
import type { ErrorRow } from '../../../../protocol/errors.ts'

export const refusedHeartbeat = ({ code }: ErrorRow, errorMessage: string | null) => ({
  errorCode: code,
  errorMessage,
  memberId: null,
  memberEpoch: 0,
  heartbeatIntervalMs: 0,
  assignment: null,
})

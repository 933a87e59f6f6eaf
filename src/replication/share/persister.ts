/**
 * Where delivery state is kept, as the leader of a partition sees it: the share coordinator, on this
 * node or on another. Neither method rejects but for a bug: failures are rows of `errors.ts`.
 */
import type {
  ReadShareGroupStateRequest,
  ReadShareGroupStateResponse,
} from '../../../protocol/messages/read-share-group-state.ts'
import type {
  WriteShareGroupStateRequest,
  WriteShareGroupStateResponse,
} from '../../../protocol/messages/write-share-group-state.ts'

export interface SharePersister {
  read(request: ReadShareGroupStateRequest): Promise<ReadShareGroupStateResponse>
  /** NONE in the answer only once the state is committed. */
  write(request: WriteShareGroupStateRequest): Promise<WriteShareGroupStateResponse>
}

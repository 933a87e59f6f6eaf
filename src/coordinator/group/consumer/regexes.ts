/** What a regular expression to which members are subscribed stood for when it was last resolved. */
import type { Milliseconds } from '../../../environment/environment.ts'

export interface ResolvedRegex {
  readonly topics: ReadonlySet<string>
  /** Of the metadata in which the topics were found. */
  readonly version: number
  readonly resolvedAtMs: Milliseconds
}

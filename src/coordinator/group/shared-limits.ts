/**
 * What all groups of a coordinator share: the memory for what members say, and the lines about them in
 * the log. Clients make groups, members and rebalances as they like; neither may grow with them.
 */
import type { Logger, Milliseconds } from '../../environment/environment.ts'
import { HeldMemory } from '../held-memory.ts'

/** For members of all groups together: some hundred thousand of the usual kind. */
export const memberBytesMax = 256 * 1024 * 1024

/** What a member, or the expectation of one, takes beside the bytes it sent. */
export const memberOverheadBytes = 1024

const windowMs = 60_000
/**
 * Lines in a window: those of one group, and of all. A client that begins anew again and again has two with each
 * rebalance, and two rebalances each time.
 */
const linesPerGroupMax = 6
const linesMax = 200

export class SharedLimits {
  /** What members say. */
  readonly members = new HeldMemory(memberBytesMax)
  #windowBeganMs = Number.NEGATIVE_INFINITY
  readonly #lines = new Map<string, number>()
  #told = 0
  #leftOut = 0

  /** Logs what happens to a group, at debug level where it happens all the time. */
  tell(log: Logger, nowMs: Milliseconds, message: string, fields: { groupId: string }): void {
    // The clock of the wall may be set back.
    if (Math.abs(nowMs - this.#windowBeganMs) >= windowMs) this.#beginWindow(log, nowMs)
    const lines = this.#lines.get(fields.groupId) ?? 0
    if (lines >= linesPerGroupMax || this.#told >= linesMax) {
      this.#leftOut++
      log.debug(message, fields)
      return
    }
    this.#lines.set(fields.groupId, lines + 1)
    this.#told++
    log.info(message, fields)
  }

  #beginWindow(log: Logger, nowMs: Milliseconds): void {
    if (this.#leftOut > 0) {
      log.info('groups rebalanced so often that lines were left out', { lines: this.#leftOut })
    }
    this.#windowBeganMs = nowMs
    this.#lines.clear()
    this.#told = 0
    this.#leftOut = 0
  }
}

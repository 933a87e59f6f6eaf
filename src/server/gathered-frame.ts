/**
 * What has arrived of a connection's unfinished frame, as it counts in the broker's budget for those
 * (`unfinished-frames.ts`), and how fast it comes.
 */
import type { Clock } from '../environment/environment.ts'
import type { FrameCutter } from './frames.ts'
import type { Limits } from './limits.ts'
import { SendingPace } from './sending-pace.ts'
import type { Gatherer } from './unfinished-frames.ts'

/** What a frame that has not arrived whole may gather without being counted. */
const uncountedBytesMax = 16 * 1024

/** Requests of most producers are smaller: `max.request.size` is 1 MiB by default. */
const largeFrameBytesMin = 2 * 1024 * 1024

/** The connection, as its unfinished frame sees it. */
export interface FrameOwner {
  readonly limits: Limits
  /** A budget of the broker is used up. */
  memoryIsShort(): void
  /** The frame is not held any more. */
  resumeReading(): void
}

export class GatheredFrame implements Gatherer {
  /** The budget is used up: nothing is read until others have finished. */
  isHeld = false
  readonly #owner: FrameOwner
  readonly #frames: FrameCutter
  readonly #clock: Clock
  readonly #pace = new SendingPace()
  /** As counted in the broker's budget. */
  #countedBytes = 0

  constructor(owner: FrameOwner, frames: FrameCutter, clock: Clock) {
    this.#owner = owner
    this.#frames = frames
    this.#clock = clock
  }

  /** Brings the broker's count up to date with what the frames' cutter has gathered. */
  count(): void {
    const { gatheredBytes } = this.#frames
    const bytes = gatheredBytes > uncountedBytesMax ? gatheredBytes : 0
    const counted = this.#countedBytes
    if (bytes === counted) return
    this.#countedBytes = bytes
    const { unfinishedFrames } = this.#owner.limits
    if (bytes > counted) {
      const nowMs = this.#clock.monotonic()
      if (counted === 0) this.#pace.begin(bytes, nowMs)
      else this.#pace.reach(bytes, nowMs)
      this.isHeld = !unfinishedFrames.add(this, bytes - counted)
      if (unfinishedFrames.isExhausted) this.#owner.memoryIsShort()
    } else {
      this.isHeld = false
      unfinishedFrames.remove(this, counted)
    }
  }

  get hasLargeFrame(): boolean {
    return this.#frames.claimedBytes > largeFrameBytesMin
  }

  resumeGathering(): void {
    this.isHeld = false
    this.#pace.begin(this.#countedBytes, this.#clock.monotonic())
    this.#owner.resumeReading()
  }

  /** The peer sends it so slowly that it may as well not. */
  isSlow(): boolean {
    // What has come may have to wait for the memory of whole requests, or for their turn.
    if (this.#countedBytes === 0 || this.isHeld || this.#frames.hasUnread) return false
    return this.#pace.isSlow(this.#clock.monotonic())
  }
}

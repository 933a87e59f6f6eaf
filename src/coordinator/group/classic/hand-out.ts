/**
 * Answers that many members wait for at the same moment. What each is told is decided together, and nobody
 * is awaited any more from then on; but each answer is encoded and sent, so that of a large group only some
 * members are told in a turn of the event loop.
 */
import { allInTurns } from '../../../environment/in-turns.ts'
import type { GroupContext } from '../group.ts'
import type { Answer } from './member.ts'

/** Of most groups that is everybody: they are all told at once. */
const toldAtOnce = 32

export class HandOut {
  readonly #answers: (() => void)[] = []

  /** `then`: what begins for its member when it has its answer. */
  add<T>(answer: Answer<T>, response: T, then: () => void = () => {}): void {
    this.#answers.push(() => {
      answer(response)
      then()
    })
  }

  /** In the order in which they were added. */
  begin({ turns }: GroupContext): void {
    if (this.#answers.length === 0) return
    void allInTurns(turns, this.#answers, (answer) => answer(), { atOnce: toldAtOnce })
  }
}

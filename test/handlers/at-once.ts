/** What takes turns in a broker, without them: there is nobody else. */
import type { Steps } from '../../src/environment/in-turns.ts'

export const atOnce = {
  inTurns<Result>(steps: Steps<Result>): Result {
    for (;;) {
      const step = steps.next()
      if (step.done === true) return step.value
    }
  },
  allInTurns<Item, Made>(
    items: Iterable<Item>,
    make: (item: Item) => Made | Promise<Made>,
  ): Promise<Made[]> {
    return Promise.all(Array.from(items, make))
  },
}

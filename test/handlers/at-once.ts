/** What takes turns in a broker, without them: there is nobody else. */
import { atOnce as finish } from '../../src/environment/in-turns.ts'

export const atOnce = {
  inTurns: finish,
  allInTurns<Item, Made>(
    items: Iterable<Item>,
    make: (item: Item) => Made | Promise<Made>,
  ): Promise<Made[]> {
    return Promise.all(Array.from(items, make))
  },
}

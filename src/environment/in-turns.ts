/**
 * Work that takes long leaves room for others. It is written as a generator, which stops (`yield`) wherever
 * that does no harm:
 *
 *     function* answers(names) {
 *       const sorted = yield* mapInSteps(names, (name) => …)
 *       …
 *     }
 *     await inTurns(environment, answers(names))
 *
 * It runs until it has had a slice of the event loop's turn, and then once more in each of the turns that
 * follow; what others do of the kind lines up with it. So however much is asked for at once, whoever asks
 * for little waits for one slice. What is decided and recorded is so without a stop in between.
 */
import type { Environment } from './environment.ts'

export type Steps<Result> = Generator<void, Result>

/** What a single piece of work may take of a turn. */
const sliceMs = 1

/** So many steps are a slice where no time passes: in a simulation. */
const sliceStepsMax = 1000

/** Elements between two stops: they take microseconds each, at most. */
const elementsPerStep = 8

/** Strings that are sorted between two stops. */
const sortedAtOnce = 256

/** Items that are waited for together, if nothing else is said. */
const itemsAtOnce = 100

type Turns = Pick<Environment, 'clock' | 'timers'>

/**
 * Runs the steps: at once where they take no longer than a slice, else until the promise resolves. Where
 * nobody `isWaiting` any more the rest is not done, and the promise rejects with `NobodyWaits`.
 */
export function inTurns<Result>(
  turns: Turns,
  steps: Steps<Result>,
  isWaiting?: () => boolean,
): Result | Promise<Result> {
  const done = slice(turns, steps)
  return done === undefined ? theRest(turns, steps, isWaiting) : done.value
}

/** The work was given up: whoever asked for it has gone. */
export class NobodyWaits extends Error {
  override name = 'NobodyWaits'
}

async function theRest<Result>(
  turns: Turns,
  steps: Steps<Result>,
  isWaiting: () => boolean = () => true,
): Promise<Result> {
  for (;;) {
    await new Promise<void>((resolve) => turns.timers.lineUp(resolve))
    if (!isWaiting()) throw new NobodyWaits()
    const done = slice(turns, steps)
    if (done !== undefined) return done.value
  }
}

/**
 * Makes something of each item where that may have to wait, several at a time, and leaves room for others in
 * between; otherwise as `inTurns`. Rejects with what the first `make` that fails rejects with.
 */
export async function allInTurns<Item, Made>(
  turns: Turns,
  items: Iterable<Item>,
  make: (item: Item) => Made | Promise<Made>,
  {
    atOnce = itemsAtOnce,
    isWaiting = () => true,
  }: { atOnce?: number; isWaiting?: () => boolean } = {},
): Promise<Made[]> {
  const made: Made[] = []
  let pending: (Made | Promise<Made>)[] = []
  let endMs = turns.clock.monotonic() + sliceMs
  for (const item of items) {
    pending.push(make(item))
    if (pending.length < atOnce) continue
    for (const one of await Promise.all(pending)) made.push(one)
    pending = []
    if (turns.clock.monotonic() < endMs && made.length % sliceStepsMax !== 0) continue
    await new Promise<void>((resolve) => turns.timers.lineUp(resolve))
    if (!isWaiting()) throw new NobodyWaits()
    endMs = turns.clock.monotonic() + sliceMs
  }
  for (const one of await Promise.all(pending)) made.push(one)
  return made
}

/** Where it has to be done now. */
export function atOnce<Result>(steps: Steps<Result>): Result {
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}

function slice<Result>({ clock }: Turns, steps: Steps<Result>): { value: Result } | undefined {
  const endMs = clock.monotonic() + sliceMs
  for (let count = 0; count < sliceStepsMax; count++) {
    const step = steps.next()
    if (step.done === true) return step
    if (clock.monotonic() >= endMs) return undefined
  }
  return undefined
}

/** As `Array.map`. */
export function* mapInSteps<Item, Made>(
  items: Iterable<Item>,
  make: (item: Item) => Made,
): Steps<Made[]> {
  const made: Made[] = []
  for (const item of items) {
    made.push(make(item))
    if (made.length % elementsPerStep === 0) yield
  }
  return made
}

/** As `Array.filter`. */
export function* filterInSteps<Item>(
  items: Iterable<Item>,
  isWanted: (item: Item) => boolean,
): Steps<Item[]> {
  const wanted: Item[] = []
  let count = 0
  for (const item of items) {
    if (isWanted(item)) wanted.push(item)
    if (++count % elementsPerStep === 0) yield
  }
  return wanted
}

/** As `mapInSteps`, where one item may take long by itself. */
export function* mapSteps<Item, Made>(
  items: Iterable<Item>,
  make: (item: Item) => Steps<Made>,
): Steps<Made[]> {
  const made: Made[] = []
  for (const item of items) {
    made.push(yield* make(item))
    if (made.length % elementsPerStep === 0) yield
  }
  return made
}

/** Each item once, as it came first. */
export function* distinctInSteps<Item>(items: Iterable<Item>): Steps<Set<Item>> {
  const distinct = new Set<Item>()
  let count = 0
  for (const item of items) {
    distinct.add(item)
    if (++count % elementsPerStep === 0) yield
  }
  return distinct
}

/** As `toSorted` of strings, which are sorted a few at a time and merged. */
export function* sortInSteps(items: readonly string[]): Steps<string[]> {
  const sorted: string[][] = []
  for (let from = 0; from < items.length; from += sortedAtOnce) {
    sorted.push(items.slice(from, from + sortedAtOnce).sort())
    yield
  }
  // Neighbours first: runs stay of like length.
  while (sorted.length > 1) {
    for (let at = 0; at + 1 < sorted.length; at++) {
      const merged = yield* mergeInSteps(sorted[at] as string[], sorted[at + 1] as string[])
      sorted.splice(at, 2, merged)
    }
  }
  return sorted[0] ?? []
}

function* mergeInSteps(left: readonly string[], right: readonly string[]): Steps<string[]> {
  const merged: string[] = []
  let [leftAt, rightAt] = [0, 0]
  while (leftAt < left.length && rightAt < right.length) {
    const [first, second] = [left[leftAt] as string, right[rightAt] as string]
    if (second < first) {
      merged.push(second)
      rightAt++
    } else {
      merged.push(first)
      leftAt++
    }
    if (merged.length % elementsPerStep === 0) yield
  }
  const rest = leftAt < left.length ? left.slice(leftAt) : right.slice(rightAt)
  return merged.concat(rest)
}

/** The assignors of consumer groups, by name; a broker offers those of group.consumer.assignors. */
import type { Assignor } from '../modern/target-assignment.ts'
import { range } from './range.ts'
import { uniform } from './uniform.ts'

const assignors: ReadonlyMap<string, Assignor> = new Map(
  [uniform, range].map((assignor) => [assignor.name, assignor]),
)

/** Of one that a member was allowed to ask for. */
export function assignorNamed(name: string): Assignor {
  return assignors.get(name) ?? uniform
}

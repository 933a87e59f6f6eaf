/** Which topics, groups and settings are mirrored: those that one list names and the other does not leave out. */
import { javaPattern } from '../java-pattern.ts'

/** Matches whole names; null matches none. Throws Error for what is no regular expression. */
export function patternOf(texts: readonly string[]): RegExp | null {
  return texts.length === 0 ? null : javaPattern(texts.join('|'))
}

export function selector(
  included: readonly string[],
  excluded: readonly string[],
): (name: string) => boolean {
  const [mine, others] = [patternOf(included), patternOf(excluded)]
  return (name) => mine?.test(name) === true && others?.test(name) !== true
}

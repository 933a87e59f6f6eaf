/**
 * A way to break the product: a wrong program that somebody might have written, and that the simulator has
 * to tell from the right one. It names the text that it replaces, which occurs once in its file.
 */

export interface Mutation {
  readonly name: string
  /** What is wrong with the product then. */
  readonly breaks: string
  readonly file: string
  readonly find: string
  readonly replace: string
}

/** The source with the mutation in it. Throws Error where its text does not occur exactly once. */
export function mutated(source: string, { name, file, find, replace }: Mutation): string {
  const parts = source.split(find)
  if (parts.length !== 2) {
    const found = `${JSON.stringify(find)} occurs ${parts.length - 1} times in ${file}`
    throw new Error(`mutation ${name} no longer applies: ${found}, not once`)
  }
  return parts.join(replace)
}

/** JSON for programs: one document on one line, indented only where a person is looking. */

export function json(value: unknown): string {
  return `${JSON.stringify(value, null, process.stdout.isTTY ? 2 : undefined)}\n`
}

/** Java's `.properties` text: `key=value`, `key: value` or `key value`, comments, escapes, continued lines. */

/** The settings of a properties text, in order; a later one of the same name wins. */
export function parseProperties(text: string): Map<string, string> {
  const settings = new Map<string, string>()
  for (const line of logicalLines(text)) {
    const [key, value] = split(line)
    settings.set(unescaped(key), unescaped(value))
  }
  return settings
}

/** Lines with continuations joined, comments and blank lines left out. */
function* logicalLines(text: string): Generator<string> {
  let joined: string | null = null
  for (const raw of text.split(/\r\n|\r|\n/)) {
    const line = raw.replace(/^[ \t\f]+/, '')
    if (joined === null && (line === '' || line.startsWith('#') || line.startsWith('!'))) continue
    const continued = /(^|[^\\])(\\\\)*\\$/.test(line)
    const current: string = (joined ?? '') + (continued ? line.slice(0, -1) : line)
    if (continued) {
      joined = current
      continue
    }
    joined = null
    yield current
  }
  if (joined !== null && joined !== '') yield joined
}

function split(line: string): [string, string] {
  let end = 0
  while (end < line.length && !/[=: \t\f]/.test(line[end] ?? '')) end += line[end] === '\\' ? 2 : 1
  const rest = line.slice(end).replace(/^[ \t\f]*[=:]?[ \t\f]*/, '')
  return [line.slice(0, end), rest]
}

const escapes: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', f: '\f' }

function unescaped(text: string): string {
  return text.replace(/\\(u[0-9a-fA-F]{4}|.)/g, (_, escaped: string) =>
    escaped.length === 5
      ? String.fromCharCode(Number.parseInt(escaped.slice(1), 16))
      : (escapes[escaped] ?? escaped),
  )
}

/** The words, names, constants and marks that an expression in SQL is made of. */

export interface Token {
  readonly kind: 'name' | 'quoted' | 'text' | 'number' | 'mark' | 'end'
  /** Of a name in back-ticks and of a text what they stand for. */
  readonly text: string
}

const token =
  /\s*(?:(?<name>[A-Za-z_]\w*)|`(?<quoted>(?:[^`]|``)+)`|'(?<text>(?:[^']|'')*)'|(?<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?<mark><=|>=|<>|!=|==|\|\||[=<>(),.+\-*/%]))/y

/** Throws RangeError. */
export function tokensOf(text: string): Token[] {
  const tokens: Token[] = []
  const end = text.trimEnd().length
  for (let at = 0; at < end; ) {
    token.lastIndex = at
    const found = token.exec(text)
    if (found === null) throw new RangeError(`unexpected ${text.slice(at).trim().slice(0, 20)}`)
    const [kind, one] = Object.entries(found.groups!).find(([, group]) => group !== undefined)!
    tokens.push({ kind: kind as Token['kind'], text: unquoted(kind, one) })
    at = token.lastIndex
  }
  return [...tokens, { kind: 'end', text: '' }]
}

function unquoted(kind: string, text: string): string {
  if (kind === 'quoted') return text.replaceAll('``', '`')
  return kind === 'text' ? text.replaceAll("''", "'") : text
}

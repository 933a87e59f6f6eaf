/** Strings of JSON, found by their ends and not by a pattern, whose matching would need memory for each character. */

/** Behind the closing quote of the string that opens at `start`, or the end of the text. */
export function stringEnd(text: string, start: number): number {
  for (let from = start + 1; ; ) {
    const quote = text.indexOf('"', from)
    if (quote < 0) return text.length
    let first = quote
    while (text[first - 1] === '\\') first--
    if ((quote - first) % 2 === 0) return quote + 1
    from = quote + 1
  }
}

/** Lines of byte streams, as slices of what was read: no text is decoded on the way. */

const newline = 0x0a
const carriageReturn = 0x0d

/**
 * Groups of lines, one per chunk that arrived; each line without its end (`\n` or `\r\n`). A last line
 * without an end counts, an empty rest does not.
 */
export async function* readLines(stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer[]> {
  let rest: Buffer[] = []
  for await (const chunk of stream) {
    const lines: Buffer[] = []
    let start = 0
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      const piece = chunk.subarray(start, end)
      lines.push(bare(rest.length === 0 ? piece : Buffer.concat([...rest, piece])))
      rest = []
      start = end + 1
    }
    if (start < chunk.length) rest.push(chunk.subarray(start))
    if (lines.length > 0) yield lines
  }
  if (rest.length > 0) yield [bare(Buffer.concat(rest))]
}

function bare(line: Buffer): Buffer {
  return line.at(-1) === carriageReturn ? line.subarray(0, -1) : line
}

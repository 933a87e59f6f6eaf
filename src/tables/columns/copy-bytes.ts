/** Bytes from one array to another, most often few. */

/** Below it a loop is faster than a call that needs a view of the source. */
const shortBytes = 48

export function copyBytes(
  source: Uint8Array,
  start: number,
  end: number,
  target: Uint8Array,
  at: number,
): void {
  if (end - start > shortBytes) target.set(source.subarray(start, end), at)
  else for (let from = start, to = at; from < end; from++, to++) target[to] = source[from]!
}

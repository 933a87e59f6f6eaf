/** Tables for people: columns as wide as their widest cell, numbers to the right, nothing drawn. */

export type Cell = string | number | boolean | null | undefined

/** The lines of a table, each ended by a newline. No rows: the empty text. */
export function table(header: readonly string[], rows: readonly (readonly Cell[])[]): string {
  if (rows.length === 0) return ''
  const texts = rows.map((row) => header.map((_, column) => text(row[column])))
  const isNumeric = header.map((_, column) =>
    rows.every((row) => typeof row[column] === 'number' || text(row[column]) === '-'),
  )
  const widths = header.map((title, column) =>
    Math.max(title.length, ...texts.map((row) => row[column]!.length)),
  )
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) =>
        isNumeric[column] ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!),
      )
      .join('  ')
      .trimEnd()
  return [line(header), ...texts.map(line)].map((row) => `${row}\n`).join('')
}

/** Pairs under each other, names to the left. */
export function pairs(rows: readonly (readonly [name: string, value: Cell])[]): string {
  const width = Math.max(0, ...rows.map(([name]) => name.length))
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${text(value)}\n`).join('')
}

/** Bytes in binary units: 1536 is `1.5 KiB`. */
export function bytes(count: number): string {
  if (count < 0) return '-'
  let scaled = count
  for (const unit of ['B', 'KiB', 'MiB', 'GiB', 'TiB']) {
    if (scaled < 1024 || unit === 'TiB')
      return `${unit === 'B' ? scaled : scaled.toFixed(1)} ${unit}`
    scaled /= 1024
  }
  return `${count} B`
}

/** A count with thin groups: 1234567 is `1,234,567`. */
export function count(number: number): string {
  return String(number).replace(/\B(?=(\d{3})+$)/g, ',')
}

/** `1 topic`, `2 topics`. */
export function plural(number: number, noun: string): string {
  return `${count(number)} ${noun}${number === 1 ? '' : 's'}`
}

function text(cell: Cell): string {
  if (cell === null || cell === undefined || cell === '') return '-'
  return typeof cell === 'boolean' ? (cell ? 'yes' : 'no') : String(cell)
}

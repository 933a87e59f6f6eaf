/**
 * Paths of data files. The log has them as URIs, relative to the table's root or absolute; the storage knows them by
 * names. What leads out of the table by `..` is refused.
 */
import { corrupt, unsupported } from './delta-error.ts'

/** The storage's name of the file that the log calls `path`. */
export function fileNameOf(path: string): string {
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]+):/.exec(path)?.[1]?.toLowerCase()
  if (scheme !== undefined && scheme !== 'file' && /^[^/]*:\//.test(path)) {
    throw unsupported(`a file at ${path}: only local files are read`)
  }
  const local = scheme === 'file' ? path.replace(/^file:(\/\/[^/]*)?/i, '') : path
  let name: string
  try {
    name = decodeURIComponent(local)
  } catch {
    // A percent sign that escapes nothing: some writers encode nothing at all.
    name = local
  }
  if (name.includes('\0') || name.split(/[/\\]/).includes('..')) throw corrupt(`path ${path}`)
  return name
}

/** One spelling of an absolute path on this machine, which the log may call `/a`, `file:/a` or `file:///a`. */
export function canonicalPath(path: string): string {
  return path.replace(/^file:(?:\/\/)?(?=\/)/i, '')
}

/** How the log spells a name. */
export function pathOf(name: string): string {
  return encodeURI(name).replace(/[#?]/g, encodeURIComponent)
}

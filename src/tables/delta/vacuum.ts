/**
 * Files deleted that no version within the retention needs: those removed from the table before it, those of writers
 * that never committed them, files of changes by their age alone, and what processes left hidden that died. Whatever is
 * younger than the retention stays, since a writer may be about to commit it; so does what a symbolic link leads to, which
 * may be another's or the table's by another name, and the link itself; and so does a table that lies within this one.
 */
import type { Storage, StoredEntry } from '../../environment/storage.ts'
import type { FileAction } from './actions.ts'
import { changesDirectory } from './changes.ts'
import { isInFile, vectorFileName } from './deletion-vector.ts'
import { invalid } from './delta-error.ts'
import { refuseUnknownWriting } from './features.ts'
import { logDirectory } from './log-files.ts'
import { fileNameOf } from './paths.ts'
import { tombstoneRetentionMs } from './properties.ts'
import { readSnapshot, type Snapshot } from './snapshot.ts'
import type { TableEnvironment } from './table-environment.ts'

const depthMax = 64
/** Of a file that was never finished. */
const hiddenName = /^\.[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.tmp$/

export interface VacuumOptions {
  /** Milliseconds; what the table says unless given. */
  readonly retentionMs?: number | undefined
  /** Allows less retention than the table asks for. */
  readonly force?: boolean
  /** Deletes nothing. */
  readonly dryRun?: boolean
}

export interface Vacuumed {
  /** Names of the files that were deleted, or would be. */
  readonly files: readonly string[]
  readonly bytes: number
}

/** Rejects with DeltaError, DiskError. */
export async function vacuumTable(
  { storage, clock }: TableEnvironment,
  { retentionMs, force = false, dryRun = false }: VacuumOptions = {},
): Promise<Vacuumed> {
  const snapshot = await readSnapshot(storage)
  refuseUnknownWriting(snapshot.protocol)
  const least = tombstoneRetentionMs(snapshot.metadata.configuration)
  const retention = retentionMs ?? least
  if (retention < least && !force) {
    throw invalid(
      `the table keeps removed files for ${least / 3_600_000} hours; less could delete files that ` +
        'a reader or a writer is still at',
    )
  }
  const cutoff = clock.now() - retention
  const kept = new KeptFiles(snapshot, cutoff)
  const found: { name: string; entry: StoredEntry }[] = []
  for await (const { name, entry } of walk(storage, '', 0)) {
    if (entry.modifiedMs < cutoff && !kept.has(name)) found.push({ name, entry })
  }
  if (!dryRun) for (const { name } of found) await storage.remove(name)
  return {
    files: found.map(({ name }) => name),
    bytes: found.reduce((sum, { entry }) => sum + entry.size, 0),
  }
}

class KeptFiles {
  readonly #names = new Set<string>()
  /** Ways to files by their whole path, which may lead into the table. */
  readonly #absolute: string[] = []

  constructor({ files, tombstones }: Snapshot, cutoff: number) {
    for (const file of files.values()) this.#keep(file)
    for (const file of tombstones.values()) {
      if (file.deletionTimestamp >= cutoff) this.#keep(file)
    }
  }

  #keep({ path, deletionVector }: FileAction): void {
    this.#keepName(fileNameOf(path))
    if (deletionVector !== null && isInFile(deletionVector)) {
      this.#keepName(vectorFileName(deletionVector))
    }
  }

  #keepName(name: string): void {
    const normal = normalized(name)
    if (/^(?:[A-Za-z]:)?[/\\]/.test(name)) this.#absolute.push(normal)
    else this.#names.add(normal)
  }

  has(name: string): boolean {
    const normal = normalized(name)
    return this.#names.has(normal) || this.#absolute.some((path) => path.endsWith(`/${normal}`))
  }
}

/** File systems give names back in another form of Unicode than they were written in; paths have slashes twice. */
function normalized(name: string): string {
  return name
    .split(/[/\\]/)
    .filter((part) => part !== '' && part !== '.')
    .join('/')
    .normalize('NFC')
    .replace(/^/, name.startsWith('/') ? '/' : '')
}

/** All files that may be the table's; those of a table that lies within it are not, whatever they are called. */
async function* walk(
  storage: Storage,
  directory: string,
  depth: number,
): AsyncGenerator<{ name: string; entry: StoredEntry }> {
  if (depth > depthMax) throw invalid(`directories lie more than ${depthMax} deep: ${directory}`)
  const entries = await storage.list(directory)
  if (directory !== '' && entries.some(({ name }) => name === logDirectory)) return
  for (const entry of entries) {
    if (entry.isLink) continue
    const name = directory === '' ? entry.name : `${directory}/${entry.name}`
    if (entry.isDirectory) {
      if (isWalked(entry.name, directory)) yield* walk(storage, name, depth + 1)
      else if (name === logDirectory) yield* hiddenFiles(storage)
      continue
    }
    if (!/^[_.]/.test(entry.name) || hiddenName.test(entry.name)) yield { name, entry }
  }
}

/** Not directories of others, but partitions whatever their column's name begins with. */
function isWalked(name: string, above: string): boolean {
  if (above === '' && (name === changesDirectory || name === '_delta_index')) return true
  if (above === '' && name === 'metadata') return false
  return !/^[_.]/.test(name) || name.includes('=')
}

async function* hiddenFiles(
  storage: Storage,
): AsyncGenerator<{ name: string; entry: StoredEntry }> {
  for (const entry of await storage.list(logDirectory)) {
    const isLeft = !entry.isDirectory && !entry.isLink && hiddenName.test(entry.name)
    if (isLeft) yield { name: `${logDirectory}/${entry.name}`, entry }
  }
}

/**
 * Loss of power, as far as one process can tell: `powerloss.c` is preloaded into the broker and notes
 * what was synced; after a kill `lose` turns the data directory into a state that a device may have been
 * left in. All that was synced is there. Of a file's other changes any pages may be, of a directory's
 * other changes the first few. A synced file whose name was not synced with its directory is gone.
 */
import { spawnSync } from 'node:child_process'
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import type { Chance } from './chance.ts'
import { cache, root } from './load-clients.ts'

interface Entry {
  readonly isDirectory: boolean
  /** Of the directory object (its inode may serve another one later), or the file's inode. */
  readonly id: number
}

/** A change of one directory: names that get an entry, or lose theirs. */
type Change = readonly (readonly [name: string, entry: Entry | null])[]

interface Directory {
  readonly kept: Map<string, Entry>
  readonly pending: Change[]
}

const pageBytes = 4096
const sectorBytes = 512

/** Directories as they were at the start, and what `names` tells since. */
class Names {
  readonly #directories = new Map<number, Directory>()
  readonly #idByInode = new Map<number, number>()
  #nextId = 1

  /** Takes a tree that is synced as a whole. */
  take(path: string): number {
    const { id, directory } = this.#make(lstatSync(path).ino)
    for (const { name, isDirectory } of entriesOf(path)) {
      const inner = join(path, name)
      const entry = { isDirectory, id: isDirectory ? this.take(inner) : lstatSync(inner).ino }
      directory.kept.set(name, entry)
    }
    return id
  }

  #make(inode: number): { id: number; directory: Directory } {
    const id = this.#nextId++
    const directory = { kept: new Map(), pending: [] }
    this.#directories.set(id, directory)
    this.#idByInode.set(inode, id)
    return { id, directory }
  }

  #at(inode: string | undefined): Directory {
    const directory = this.#directories.get(this.#idByInode.get(Number(inode)) ?? -1)
    if (directory === undefined) throw new Error(`names tell of an unknown directory ${inode}`)
    return directory
  }

  /** One line of `names`. The broker's file names hold no spaces. */
  apply(line: string): void {
    const [word, inode, ...rest] = line.split(' ')
    if (word === 'link') {
      const [child, kind, name = ''] = rest
      const isDirectory = kind === 'directory'
      const parent = this.#at(inode)
      const id = isDirectory ? this.#make(Number(child)).id : Number(child)
      parent.pending.push([[name, { isDirectory, id }]])
    } else if (word === 'drop') {
      this.#at(inode).pending.push([[rest[1] ?? '', null]])
    } else if (word === 'move') {
      const [child, kind, from = '', target, to = ''] = rest
      if (target !== inode) throw new Error(`a move between directories is not modelled: ${line}`)
      const isDirectory = kind === 'directory'
      const id = isDirectory ? (this.#idByInode.get(Number(child)) ?? -1) : Number(child)
      this.#at(inode).pending.push([
        [from, null],
        [to, { isDirectory, id }],
      ])
    } else if (word === 'sync') {
      const directory = this.#at(inode)
      for (const change of directory.pending.splice(0)) applyTo(directory.kept, change)
    }
  }

  /** The entries that are left of a directory: what was synced and the first few changes since. */
  left(id: number, chance: Chance): Map<string, Entry> {
    const { kept, pending } = this.#directories.get(id) ?? { kept: new Map(), pending: [] }
    const left = new Map(kept)
    const roll = chance.next()
    const count = roll < 0.4 ? 0 : roll < 0.6 ? pending.length : chance.whole(0, pending.length)
    for (const change of pending.slice(0, count)) applyTo(left, change)
    return left
  }
}

function applyTo(entries: Map<string, Entry>, change: Change): void {
  for (const [name, entry] of change) {
    if (entry === null) entries.delete(name)
    else entries.set(name, entry)
  }
}

function entriesOf(path: string): { name: string; isDirectory: boolean }[] {
  return readdirSync(path, { withFileTypes: true }).map((entry) => ({
    name: entry.name,
    isDirectory: entry.isDirectory(),
  }))
}

export class PowerLoss {
  readonly #data: string
  readonly #shadow: string
  readonly #library: string
  readonly #chance: Chance
  #names = new Names()
  #root = 0
  /** What was taken away in all losses. */
  readonly counts = { losses: 0, filesCut: 0, filesMixed: 0, namesLost: 0 }

  constructor(data: string, folder: string, chance: Chance) {
    this.#data = data
    this.#shadow = join(folder, 'shadow')
    this.#library = join(cache, 'powerloss.so')
    this.#chance = chance
  }

  /** Compiles the library; a string says why that cannot be done here. */
  prepare(): string | null {
    if (process.platform !== 'linux') return 'power loss is played on Linux only'
    mkdirSync(cache, { recursive: true })
    const source = join(root, 'test/soak/powerloss.c')
    const options = ['-O2', '-shared', '-fPIC', '-o', this.#library, source, '-ldl', '-lpthread']
    const { status, stderr, error } = spawnSync('cc', options, { encoding: 'utf8' })
    if (error !== undefined) return 'no C compiler'
    return status === 0 ? null : `powerloss.c: ${stderr.slice(-400)}`
  }

  /** For the broker's process. */
  get variables(): Readonly<Record<string, string>> {
    return {
      LD_PRELOAD: this.#library,
      POWERLOSS_DATA: this.#data,
      POWERLOSS_SHADOW: this.#shadow,
      // Writes by io_uring would pass the library by.
      UV_USE_IO_URING: '0',
    }
  }

  /** Before a start: all that is there is synced. */
  begin(): void {
    rmSync(this.#shadow, { recursive: true, force: true })
    for (const folder of ['files', 'graves']) {
      mkdirSync(join(this.#shadow, folder), { recursive: true })
    }
    // A process may be killed before it has begun to note anything.
    writeFileSync(join(this.#shadow, 'names'), '')
    mkdirSync(this.#data, { recursive: true })
    this.#names = new Names()
    this.#root = this.#names.take(this.#data)
  }

  /** After the process was killed: rebuilds the data directory as the loss may have left it. */
  lose(): void {
    const journal = readFileSync(join(this.#shadow, 'names'), 'utf8').split('\n')
    journal.pop()
    for (const line of journal) this.#names.apply(line)
    const paths = new Map<number, string>()
    inodesBelow(this.#data, paths)
    inodesBelow(join(this.#shadow, 'graves'), paths)
    const next = `${this.#data}.next`
    rmSync(next, { recursive: true, force: true })
    const reached = new Set<number>()
    this.#rebuild(this.#root, next, paths, reached)
    this.counts.losses++
    for (const [inode, path] of paths) {
      if (!reached.has(inode) && path.startsWith(`${this.#data}/`)) this.counts.namesLost++
    }
    rmSync(this.#data, { recursive: true })
    renameSync(next, this.#data)
  }

  #rebuild(
    id: number,
    target: string,
    paths: ReadonlyMap<number, string>,
    reached: Set<number>,
  ): void {
    mkdirSync(target)
    for (const [name, entry] of this.#names.left(id, this.#chance)) {
      const inner = join(target, name)
      if (entry.isDirectory) {
        this.#rebuild(entry.id, inner, paths, reached)
        continue
      }
      const path = paths.get(entry.id)
      if (path === undefined) throw new Error(`${inner} has lost its content`)
      reached.add(entry.id)
      this.#restore(path, join(this.#shadow, 'files', String(entry.id)), inner)
    }
  }

  /** All that was synced, and by chance nothing, everything or some pages of what was not. */
  #restore(now: string, synced: string, target: string): void {
    const roll = this.#chance.next()
    if (!existsSync(synced) || roll < 0.15) {
      linkSync(now, target)
    } else if (roll < 0.55) {
      linkSync(synced, target)
      if (lstatSync(now).size !== lstatSync(synced).size) this.counts.filesCut++
    } else {
      const [kept, written] = [readFileSync(synced), readFileSync(now)]
      if (!kept.equals(written)) this.counts.filesMixed++
      writeFileSync(target, this.#mixed(kept, written))
    }
  }

  #mixed(kept: Buffer, written: Buffer): Buffer {
    const [small, large] = [kept.length, written.length].sort((a, b) => a - b) as [number, number]
    const size = this.#chance.pick([small, large, this.#chance.whole(small, large)])
    const mixed = Buffer.alloc(size)
    const step = this.#chance.happens(0.7) ? pageBytes : sectorBytes
    const share = this.#chance.pick([0.5, 0.9, 0.1])
    for (let at = 0; at < size; at += step) {
      const source = this.#chance.happens(share) ? written : kept
      source.copy(mixed, at, Math.min(at, source.length), Math.min(at + step, source.length, size))
    }
    return mixed
  }
}

function inodesBelow(path: string, paths: Map<number, string>): void {
  for (const { name, isDirectory } of entriesOf(path)) {
    const inner = join(path, name)
    if (isDirectory) inodesBelow(inner, paths)
    else paths.set(lstatSync(inner).ino, inner)
  }
}

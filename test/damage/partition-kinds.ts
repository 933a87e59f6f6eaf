/** Damage to the files beside a partition's records: all of it can be rebuilt or told from elsewhere. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { crc32c } from '../../protocol/records/crc32c.ts'
import {
  append,
  cut,
  type DamageKind,
  edit,
  exists,
  firstSegment,
  garbage,
  lastSegment,
  logOf,
  middleSegment,
  remove,
  replaceByDirectory,
  type Site,
  write,
} from './kind.ts'
import { type StoredSegment, segmentName } from './segment-files.ts'

const mentions = /plain-0/

function inSegment(
  file: string,
  name: string,
  change: (path: string, site: Site, segment: StoredSegment) => void,
  segmentOf: (site: Site) => StoredSegment = middleSegment,
): DamageKind {
  return {
    name,
    file,
    mentions,
    apply: (site) => {
      const segment = segmentOf(site)
      const path = logOf(site, segment, file)
      const isMade = /garbage$|garbage, last|zeros, cut|directory/.test(name)
      if (!exists(path) && !isMade) return null
      if (!exists(path)) write(path, '')
      change(path, site, segment)
      return []
    },
  }
}

/** The entries of an index in reverse: `entryBytes` each. */
const reversed = (entryBytes: number) => (path: string) =>
  edit(path, (bytes) => {
    const entries: Buffer[] = []
    for (let at = 0; at + entryBytes <= bytes.length; at += entryBytes)
      entries.unshift(Buffer.from(bytes.subarray(at, at + entryBytes)))
    return Buffer.concat(entries)
  })

/** Adds to the last int32 of every entry: a position, or a relative offset. */
const shifted = (entryBytes: number, by: number) => (path: string) =>
  edit(path, (bytes) => {
    for (let at = 0; at + entryBytes <= bytes.length; at += entryBytes) {
      const last = at + entryBytes - 4
      bytes.writeInt32BE(bytes.readInt32BE(last) + by, last)
    }
    return undefined
  })

const kindsOfIndex = (file: '.index' | '.timeindex', entryBytes: number): DamageKind[] => [
  inSegment(file, 'garbage', (path) => edit(path, (bytes) => garbage(bytes.length))),
  inSegment(file, 'zeros', (path) => edit(path, (bytes) => bytes.fill(0))),
  inSegment(file, 'cut within an entry', (path) => cut(path, readFileSync(path).length - 3)),
  inSegment(file, 'cut in half', (path) => {
    const entries = Math.floor(readFileSync(path).length / entryBytes)
    cut(path, (entries >> 1) * entryBytes)
  }),
  inSegment(file, 'longer by garbage', (path) => append(path, garbage(entryBytes * 50))),
  inSegment(file, 'missing', remove),
  inSegment(file, 'empty', (path) => cut(path, 0)),
  inSegment(file, 'out of order', reversed(entryBytes)),
  inSegment(file, 'last field of each entry + 7', shifted(entryBytes, 7)),
  inSegment(file, 'a directory', replaceByDirectory),
  inSegment(
    file,
    'garbage, last segment',
    (path) => write(path, garbage(entryBytes * 40)),
    lastSegment,
  ),
  inSegment(file, 'missing, last segment', remove, lastSegment),
  inSegment(
    file,
    'last field of each entry + 7, last segment',
    shifted(entryBytes, 7),
    lastSegment,
  ),
]

function eachSnapshot({ target }: Site, change: (path: string) => void): void {
  for (const file of readdirSync(target)) if (file.endsWith('.snapshot')) change(join(target, file))
}

function snapshots(name: string, change: (site: Site) => void, names: RegExp | null): DamageKind {
  return {
    name,
    file: '.snapshot',
    mentions: names,
    apply: (site) => {
      change(site)
      return []
    },
  }
}

const snapshotKinds: readonly DamageKind[] = [
  snapshots(
    'garbage',
    (site) => eachSnapshot(site, (path) => edit(path, (bytes) => garbage(bytes.length))),
    mentions,
  ),
  snapshots(
    'bit flipped',
    (site) =>
      eachSnapshot(site, (path) =>
        edit(path, (bytes) => {
          bytes[bytes.length >> 1]! ^= 4
          return undefined
        }),
      ),
    mentions,
  ),
  snapshots('cut', (site) => eachSnapshot(site, (path) => cut(path, 9)), mentions),
  snapshots('missing', (site) => eachSnapshot(site, remove), null),
  snapshots('a directory', (site) => eachSnapshot(site, replaceByDirectory), mentions),
  snapshots(
    'newer than the log',
    (site) => {
      write(join(site.target, `${segmentName(site.endOffset + 500)}.snapshot`), emptySnapshot())
    },
    null,
  ),
  snapshots(
    'newer than the log, garbage',
    (site) =>
      write(join(site.target, `${segmentName(site.endOffset + 500)}.snapshot`), garbage(90)),
    null,
  ),
]

/** A snapshot without a producer, with the right CRC: a broker that believes it forgets everybody. */
function emptySnapshot(): Buffer {
  const bytes = Buffer.alloc(10)
  bytes.writeInt16BE(1, 0)
  bytes.writeInt32BE(crc32c(bytes, 6) | 0, 2)
  return bytes
}

function partitionFile(
  file: string,
  name: string,
  content: string | Buffer | 'directory' | null | ((site: Site) => string),
  names: RegExp | null = mentions,
): DamageKind {
  return {
    name,
    file,
    mentions: names,
    apply: (site) => {
      const path = join(site.target, file)
      if (content === null) remove(path)
      else if (content === 'directory') replaceByDirectory(path)
      else write(path, typeof content === 'function' ? content(site) : content)
      return []
    },
  }
}

/** The file says that the records are those of another topic: they are kept, but not served. */
const setAside = (kind: DamageKind): DamageKind => ({
  ...kind,
  apply: (site) => {
    kind.apply(site)
    return [{ partition: site.targetName, from: 0, to: site.endOffset }]
  },
})

const epochs = 'leader-epoch-checkpoint'
const metadata = 'partition.metadata'

const smallFiles: readonly DamageKind[] = [
  partitionFile(epochs, 'garbage', garbage(60)),
  partitionFile(epochs, 'missing', null),
  partitionFile(epochs, 'empty', ''),
  partitionFile(epochs, 'cut', '0\n3\n0 0\n'),
  partitionFile(epochs, 'future epochs', '0\n2\n0 0\n9000 100\n'),
  partitionFile(epochs, 'starts beyond the end', '0\n2\n0 0\n1 99999999\n'),
  partitionFile(epochs, 'out of order', '0\n3\n0 0\n5 2000\n3 1000\n'),
  partitionFile(epochs, 'a directory', 'directory'),
  partitionFile(metadata, 'missing', null, null),
  partitionFile(metadata, 'garbage', garbage(60)),
  partitionFile(metadata, 'empty', ''),
  setAside(
    partitionFile(metadata, 'id of no topic', 'version: 0\ntopic_id: AAECAwQFBgcICQoLDA0ODw'),
  ),
  setAside(
    partitionFile(metadata, 'id of another topic', ({ directory }) =>
      readFileSync(join(directory, 'trimmed-0', metadata), 'utf8'),
    ),
  ),
  partitionFile(metadata, 'a directory', 'directory'),
]

function leftover(
  name: string,
  make: (site: Site) => void,
  names: RegExp | null = null,
): DamageKind {
  return {
    name,
    file: 'left behind',
    mentions: names,
    apply: (site) => {
      make(site)
      return []
    },
  }
}

const leftovers: readonly DamageKind[] = [
  leftover('.cleaned of garbage', (site) =>
    write(join(site.target, `${middleSegment(site).name}.log.cleaned`), garbage(5000)),
  ),
  leftover('.swap of the whole segment', (site) =>
    write(
      join(site.target, `${middleSegment(site).name}.log.swap`),
      readFileSync(logOf(site, middleSegment(site))),
    ),
  ),
  leftover(
    '.swap of garbage',
    (site) => write(join(site.target, `${middleSegment(site).name}.log.swap`), garbage(5000)),
    mentions,
  ),
  leftover('.index.swap alone', (site) =>
    write(join(site.target, `${middleSegment(site).name}.index.swap`), garbage(160)),
  ),
  leftover('.deleted segment', (site) =>
    write(join(site.target, `${firstSegment(site).name}.log.deleted`), garbage(5000)),
  ),
  leftover('orphaned .index', (site) =>
    write(join(site.target, `${segmentName(site.endOffset + 7)}.index`), garbage(80)),
  ),
  leftover('unknown file', (site) => write(join(site.target, 'notes.txt'), 'hello\n')),
  leftover('.log with a bad name', (site) => write(join(site.target, 'abc.log'), garbage(80))),
  leftover('directory in the partition', (site) => mkdirSync(join(site.target, 'lost+found'))),
]

const transactionIndexes: readonly DamageKind[] = [
  inSegment('.txnindex', 'garbage', (path) => write(path, garbage(340))),
  inSegment('.txnindex', 'garbage, last segment', (path) => write(path, garbage(340)), lastSegment),
  inSegment('.txnindex', 'zeros, cut within an entry', (path) => write(path, Buffer.alloc(50))),
  inSegment('.txnindex', 'a directory', replaceByDirectory),
  {
    name: '.index garbage: __consumer_offsets',
    file: '.index',
    mentions: /__consumer_offsets-\d/,
    apply: ({ directory }) => {
      for (const name of readdirSync(directory))
        if (/^__consumer_offsets-\d+$/.test(name))
          writeFileSync(join(directory, name, `${segmentName(0)}.index`), garbage(80))
      return []
    },
  },
]

export const partitionKinds: readonly DamageKind[] = [
  ...kindsOfIndex('.index', 8),
  ...kindsOfIndex('.timeindex', 12),
  ...transactionIndexes,
  ...snapshotKinds,
  ...smallFiles,
  ...leftovers,
]

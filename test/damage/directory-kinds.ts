/** Damage to what stands beside the partitions: checkpoints, identity, metadata log, whole directories. */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  append,
  cut,
  type DamageKind,
  edit,
  exists,
  flipBit,
  garbage,
  remove,
  rename,
  replaceByDirectory,
  type Site,
  write,
} from './kind.ts'
import { segmentName, segmentsIn } from './segment-files.ts'

type Change = string | Buffer | 'directory' | null | ((path: string, site: Site) => void)

function file(
  name: string,
  kind: string,
  change: Change,
  rest: Partial<DamageKind> = {},
): DamageKind {
  const own = name.slice(name.lastIndexOf('/') + 1).replace(/[.*+]/g, '\\$&')
  return {
    name: kind,
    file: name,
    mentions: new RegExp(own),
    apply: (site) => {
      const path = join(site.directory, name)
      if (change === null) remove(path)
      else if (change === 'directory') replaceByDirectory(path)
      else if (typeof change === 'function') change(path, site)
      else write(path, change)
      return []
    },
    ...rest,
  }
}

/** Gives the lines of user partitions another offset. */
const offsets = (value: (offset: number) => number) => (path: string) =>
  edit(path, (bytes) =>
    Buffer.from(
      bytes
        .toString()
        .split('\n')
        .map((line) => {
          const [topic, partition, offset] = line.split(' ')
          return offset === undefined || topic?.startsWith('__')
            ? line
            : `${topic} ${partition} ${value(Number(offset))}`
        })
        .join('\n'),
    ),
  )

const nothingToSay = { mentions: null }
const anyPartition = { mentions: /(plain|packed|trimmed)-\d|-offset-checkpoint/ }

const checkpointKinds = [
  'recovery-point-offset-checkpoint',
  'replication-offset-checkpoint',
  'log-start-offset-checkpoint',
].flatMap((name) => [
  file(name, 'garbage', garbage(200)),
  file(name, 'missing', null, nothingToSay),
  file(name, 'empty', ''),
  file(name, 'cut', (path) => cut(path, readFileSync(path).length - 4)),
  file(name, 'another version', (path) =>
    edit(path, (bytes) => Buffer.from(bytes.toString().replace(/^0/, '9'))),
  ),
  file(
    name,
    'offsets too high',
    offsets((offset) => offset + 50_000),
    anyPartition,
  ),
  file(
    name,
    'offsets 0',
    offsets(() => 0),
    nothingToSay,
  ),
  file(
    name,
    'offsets negative',
    offsets(() => -7),
    anyPartition,
  ),
  file(name, 'a directory', 'directory'),
])

const shutdown = '.kafka_cleanshutdown'
const identity = 'meta.properties'
const shutdownKinds: readonly DamageKind[] = [
  file(shutdown, 'missing', null, { ...nothingToSay, only: 'clean' }),
  file(shutdown, 'garbage', garbage(40), { ...nothingToSay, only: 'clean' }),
  file(shutdown, 'empty', '', { ...nothingToSay, only: 'clean' }),
  file(shutdown, 'a directory', 'directory', { ...nothingToSay }),
  file(shutdown, 'there though it crashed', '{"version":0,"brokerEpoch":5}', {
    ...nothingToSay,
    only: 'killed',
  }),
  file(
    shutdown,
    'there though it crashed, and a torn tail',
    (path, site) => {
      write(path, '{"version":0,"brokerEpoch":5}')
      const last = site.segments.at(-1)!
      const log = join(site.target, `${last.name}.log`)
      cut(log, last.bytes)
      append(log, readFileSync(log).subarray(0, 5000))
    },
    { mentions: /plain-0/, only: 'killed' },
  ),
  file('.lock', 'a directory', 'directory', { mayRefuse: true }),
  file('.lock', 'of a process that is gone', '999999\n', nothingToSay),
]

const mayRefuse = { mayRefuse: true }
const identityKinds: readonly DamageKind[] = [
  file(identity, 'missing', null, mayRefuse),
  file(identity, 'garbage', garbage(80), mayRefuse),
  file(identity, 'empty', '', mayRefuse),
  file(
    identity,
    'another cluster',
    (path) =>
      edit(path, (bytes) =>
        Buffer.from(
          bytes.toString().replace(/cluster\.id=.*/, 'cluster.id=AAECAwQFBgcICQoLDA0ODw'),
        ),
      ),
    { ...mayRefuse, mentions: null },
  ),
  file(
    identity,
    'another node',
    (path) => edit(path, (b) => Buffer.from(b.toString().replace(/node\.id=.*/, 'node.id=77'))),
    { ...mayRefuse, mentions: /node|77/ },
  ),
  file(
    identity,
    'without directory.id',
    (path) =>
      edit(path, (bytes) => Buffer.from(bytes.toString().replace(/directory\.id=.*\n/, ''))),
    { ...mayRefuse, mentions: null },
  ),
  file('bootstrap.checkpoint', 'missing', null, { ...mayRefuse, mentions: null }),
  file('bootstrap.checkpoint', 'garbage', garbage(300), { ...mayRefuse, mentions: null }),
]

const quorum = '__cluster_metadata-0'
const metadataLog = `${quorum}/${segmentName(0)}.log`
const refuseByName = { mayRefuse: true, mentions: /__cluster_metadata/ }

/** The middle batch of the metadata log. */
const middleBatch = (site: Site) => {
  const [segment] = segmentsIn(join(site.directory, quorum))
  return segment!.batches[segment!.batches.length >> 1]!
}

const metadataKinds: readonly DamageKind[] = [
  file(
    metadataLog,
    'torn within a batch at the end',
    (path, site) => {
      const { bytes } = segmentsIn(join(site.directory, quorum))[0]!
      const head = readFileSync(path).subarray(0, 60)
      cut(path, bytes)
      append(path, head)
    },
    { mentions: /__cluster_metadata/ },
  ),
  file(
    metadataLog,
    'zeros behind',
    (path, site) => {
      cut(path, segmentsIn(join(site.directory, quorum))[0]!.bytes)
      append(path, Buffer.alloc(4096))
    },
    { mentions: /__cluster_metadata/ },
  ),
  file(
    metadataLog,
    'bit flipped in the middle',
    (path, site) => flipBit(path, middleBatch(site).position + 70),
    refuseByName,
  ),
  file(
    metadataLog,
    'bit flipped in the last batch',
    (path, site) => {
      const last = segmentsIn(join(site.directory, quorum))[0]!.batches.at(-1)!
      flipBit(path, last.position + 62)
    },
    refuseByName,
  ),
  file(
    metadataLog,
    'base offset + 1 in the middle',
    (path, site) =>
      edit(path, (bytes) => {
        const at = middleBatch(site).position
        bytes.writeBigInt64BE(bytes.readBigInt64BE(at) + 1n, at)
        return undefined
      }),
    refuseByName,
  ),
  file(
    metadataLog,
    'leader epoch + 100 in the middle',
    (path, site) =>
      edit(path, (bytes) => {
        const at = middleBatch(site).position + 12
        bytes.writeInt32BE(bytes.readInt32BE(at) + 100, at)
        return undefined
      }),
    refuseByName,
  ),
  file(metadataLog, 'empty', (path) => cut(path, 0), refuseByName),
  file(metadataLog, 'missing', null, refuseByName),
  file(quorum, 'missing', null, refuseByName),
  file(quorum, 'empty', 'directory', refuseByName),
  file(`${quorum}/${segmentName(0)}.index`, 'garbage', garbage(80), {
    mentions: /__cluster_metadata/,
  }),
  file(`${quorum}/${segmentName(0)}.timeindex`, 'garbage', garbage(84), {
    mentions: /__cluster_metadata/,
  }),
  file(`${quorum}/leader-epoch-checkpoint`, 'garbage', garbage(60), {
    mentions: /__cluster_metadata/,
  }),
  file(`${quorum}/partition.metadata`, 'missing', null, nothingToSay),
  file(`${quorum}/quorum-state`, 'missing', null, nothingToSay),
  file(`${quorum}/quorum-state`, 'garbage', garbage(80), mayRefuse),
  file(`${quorum}/quorum-state`, 'empty', '', mayRefuse),
  file(`${quorum}/quorum-state`, 'JSON of something else', '{"a":[1,2]}', mayRefuse),
  file(`${quorum}/quorum-state`, 'a directory', 'directory', mayRefuse),
  file(
    `${quorum}/${segmentName(3)}-0000000001.checkpoint`,
    'garbage as a snapshot',
    garbage(300),
    refuseByName,
  ),
  file(`${quorum}/${segmentName(0)}-0000000000.checkpoint`, 'missing', null, {
    ...mayRefuse,
    mentions: null,
  }),
]

/** The whole partition's records are gone. */
const allOf = (site: Site) => [{ partition: site.targetName, from: 0, to: site.endOffset }]

function directory(
  name: string,
  change: (site: Site) => void,
  rest: Partial<DamageKind> = {},
): DamageKind {
  return {
    name,
    file: 'directory',
    mentions: null,
    apply: (site) => {
      change(site)
      return []
    },
    ...rest,
  }
}

const directoryKinds: readonly DamageKind[] = [
  directory('partition directory missing', () => undefined, {
    mentions: /plain-0/,
    apply: (site) => {
      remove(site.target)
      return allOf(site)
    },
  }),
  directory('partition directory empty', () => undefined, {
    mentions: /plain-0/,
    apply: (site) => {
      replaceByDirectory(site.target)
      return allOf(site)
    },
  }),
  directory('a file in place of the partition directory', () => undefined, {
    mentions: /plain-0/,
    apply: (site) => {
      write(site.target, 'x')
      return allOf(site)
    },
  }),
  directory('renamed to -stray', () => undefined, {
    mentions: /plain-0/,
    apply: (site) => {
      rename(site.target, `${site.target}.0123456789abcdef0123456789abcdef-stray`)
      return allOf(site)
    },
  }),
  directory('a -delete directory left', (site) =>
    cpSync(site.target, `${site.target}.0123456789abcdef0123456789abcdef-delete`, {
      recursive: true,
    }),
  ),
  directory('a -stray directory left', (site) =>
    cpSync(site.target, `${site.target}.0123456789abcdef0123456789abcdef-stray`, {
      recursive: true,
    }),
  ),
  directory('a -future directory left', (site) =>
    cpSync(site.target, `${site.target}.0123456789abcdef0123456789abcdef-future`, {
      recursive: true,
    }),
  ),
  directory(
    'a topic nobody knows',
    (site) => cpSync(site.target, join(site.directory, 'unknown-3'), { recursive: true }),
    { mentions: /unknown-3/ },
  ),
  directory(
    'a partition nobody assigned',
    (site) => cpSync(site.target, join(site.directory, 'plain-17'), { recursive: true }),
    { mentions: /plain-17/ },
  ),
  directory('lost+found', (site) => mkdirSync(join(site.directory, 'lost+found')), mayRefuse),
  directory('an unknown file', (site) => writeFileSync(join(site.directory, 'notes'), 'x')),
  directory(
    'a directory without a number',
    (site) => mkdirSync(join(site.directory, 'foo-')),
    mayRefuse,
  ),
  directory('checkpoint.tmp files left', (site) => {
    for (const name of readdirSync(site.directory))
      if (name.endsWith('-checkpoint'))
        writeFileSync(join(site.directory, `${name}.tmp`), garbage(50))
  }),
  directory(
    'checkpoint.tmp is a directory',
    (site) => mkdirSync(join(site.directory, 'recovery-point-offset-checkpoint.tmp')),
    { mentions: /recovery-point/, mayRefuse: true },
  ),
  directory('read-only file system', () => undefined, {
    ...mayRefuse,
    apply: (site) => (mountReadOnly(site) ? [] : null),
    undo: unmount,
    mentions: /EROFS|ead-only/,
  }),
  directory('full disk', () => undefined, {
    ...mayRefuse,
    apply: (site) => (mountFull(site) ? [] : null),
    undo: unmount,
    mentions: /ENOSPC|No space/,
  }),
]

/** False where mounting is not allowed. */
function mount(...args: string[]): boolean {
  return spawnSync('mount', args, { stdio: 'ignore' }).status === 0
}

function mountReadOnly({ directory: path }: Site): boolean {
  return mount('--bind', path, path) && mount('-o', 'remount,ro,bind', path)
}

/** The directory moves to a file system of its own that has room for nothing more. */
function mountFull({ directory: path }: Site): boolean {
  const aside = `${path}.aside`
  rename(path, aside)
  mkdirSync(path)
  if (!mount('-t', 'tmpfs', '-o', 'size=400m', 'none', path)) return false
  spawnSync('cp', ['-a', '--sparse=always', `${aside}/.`, path])
  remove(aside)
  spawnSync('dd', ['if=/dev/zero', `of=${join(path, 'filler')}`, 'bs=4k'])
  return true
}

function unmount({ directory: path }: Site): void {
  if (exists(path)) spawnSync('umount', ['-l', path])
}

export const directoryKindsAll: readonly DamageKind[] = [
  ...checkpointKinds,
  ...shutdownKinds,
  ...identityKinds,
  ...metadataKinds,
  ...directoryKinds,
]

/**
 * One process per directory. `.lock` in the directory stays open for as long as it is held, and its
 * content names the holder.
 *
 * The kernel decides where it can, because only it knows for sure that a holder has died, across
 * containers too, where every broker is process 1. Node has no call for `flock`, so on Linux the program
 * `flock` (util-linux, BusyBox) takes the lock on our open file and leaves it to us: such locks belong to
 * the open file, not to the process that asked. macOS and Windows lock in `open` itself.
 *
 * On Linux the named holder is looked up in `/proc` as well, for the case that `flock` was not installed,
 * or is not: it lives if its process has the start time in the file, and the boot and process namespace
 * are ours. That tells apart a reused process number, but it cannot see into other containers.
 */
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { DiskError, type DiskLock } from '../disk.ts'

interface Holder {
  readonly pid: number
  readonly host: string
  readonly since: string
  /** Linux only: which boot, which process namespace, and when in that boot the process started. */
  readonly boot?: string
  readonly namespace?: string
  readonly startTicks?: string
}

/** BSD's O_EXLOCK, and libuv's flag for an unshared open on Windows; neither is in `fs.constants`. */
const exclusiveOpen: Partial<Record<NodeJS.Platform, number>> = {
  darwin: 0x20 | fs.constants.O_NONBLOCK,
  freebsd: 0x20 | fs.constants.O_NONBLOCK,
  win32: 0x1000_0000,
}

/** Directories locked by this process: the kernel's locks do not keep a process out of its own. */
const heldHere = new Set<string>()

/** Throws `DiskError` ELOCKED, naming the holder, if another living process (or this one) has the directory. */
export function lockDirectory(directory: string): DiskLock {
  const lockPath = path.join(fs.realpathSync(directory), '.lock')
  if (heldHere.has(lockPath)) throw inUse(directory, 'this process')
  const descriptor = openExclusively(directory, lockPath)
  try {
    const holder = readHolder(descriptor)
    if (holder !== undefined && isAlive(holder)) throw inUse(directory, describe(holder))
    if (process.platform === 'linux') takeByFlock(directory, descriptor)
    writeHolder(descriptor)
  } catch (error) {
    fs.closeSync(descriptor)
    throw error
  }
  heldHere.add(lockPath)
  return {
    release: () => {
      if (!heldHere.delete(lockPath)) return
      // The file stays: to remove it could remove the lock of whoever takes it at this moment.
      fs.ftruncateSync(descriptor)
      fs.closeSync(descriptor)
    },
  }
}

function openExclusively(directory: string, lockPath: string): number {
  const flags = fs.constants.O_RDWR | fs.constants.O_CREAT | (exclusiveOpen[process.platform] ?? 0)
  try {
    return fs.openSync(lockPath, flags, 0o644)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    const isHeld = code === 'EAGAIN' || (process.platform === 'win32' && code === 'EBUSY')
    throw isHeld ? inUse(directory, 'another process') : error
  }
}

/** Throws if another holds the lock. Where `flock` is missing or fails, the named holder has decided. */
function takeByFlock(directory: string, descriptor: number): void {
  const { status } = spawnSync('flock', ['-n', '3'], {
    stdio: ['ignore', 'ignore', 'ignore', descriptor],
  })
  if (status !== 1) return
  const holder = readHolder(descriptor)
  throw inUse(directory, holder === undefined ? 'another process' : describe(holder))
}

function readHolder(descriptor: number): Holder | undefined {
  const content = Buffer.alloc(4096)
  const bytes = fs.readSync(descriptor, content, 0, content.length, 0)
  try {
    return JSON.parse(content.toString('utf8', 0, bytes)) as Holder
  } catch {
    // Empty after a release, Kafka's own (always empty), or cut off by a crash: no holder is named.
    return undefined
  }
}

function writeHolder(descriptor: number): void {
  const holder: Holder = {
    pid: process.pid,
    host: os.hostname(),
    since: new Date().toISOString(),
    ...linuxIdentity(process.pid),
  }
  fs.ftruncateSync(descriptor)
  fs.writeSync(descriptor, `${JSON.stringify(holder)}\n`, 0)
}

function isAlive(holder: Holder): boolean {
  const now = linuxIdentity(holder.pid)
  return (
    now.startTicks !== undefined &&
    now.startTicks === holder.startTicks &&
    now.boot === holder.boot &&
    now.namespace === holder.namespace
  )
}

/** Nothing where there is no `/proc`, or no such process. */
function linuxIdentity(pid: number): Pick<Holder, 'boot' | 'namespace' | 'startTicks'> {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The second field, the name in brackets, may hold anything; the start time is the 22nd.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    // A process that has ended but was not waited for yet holds nothing.
    const hasEnded = fields[0] === 'Z' || fields[0] === 'X'
    const startTicks = hasEnded ? undefined : fields[19]
    return {
      boot: fs.readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim(),
      namespace: fs.readlinkSync('/proc/self/ns/pid'),
      ...(startTicks === undefined ? {} : { startTicks }),
    }
  } catch {
    return {}
  }
}

function describe(holder: Holder): string {
  return `process ${holder.pid} on ${holder.host}, since ${holder.since}`
}

function inUse(directory: string, by: string): DiskError {
  const message = `${directory} is in use by ${by}; stop that, or set log.dirs to another directory`
  return new DiskError('ELOCKED', directory, { message })
}

/**
 * The `quorum-state` file: JSON, as Kafka writes it, replaced atomically. Version 0 names the static
 * voters; version 1 (kraft.version 1) names the directory of the voter that was chosen.
 */
import type { Disk } from '../environment/disk.ts'
import type { ElectionState } from './core.ts'

/** `leaderId` and `votedId` -1: none. */
export interface QuorumState extends ElectionState {
  /** Version of the file. */
  readonly version: 0 | 1
  readonly votedDirectoryId: string
  /** Node ids of the voters, which version 0 names. */
  readonly voters: readonly number[]
}

/** A file that says nothing: torn, overwritten or edited. One of a later version is not damaged. */
export class DamagedQuorumState extends Error {
  constructor(path: string, cause: Error) {
    super(`${path} is not a quorum state: ${cause.message}`, { cause })
    this.name = 'DamagedQuorumState'
  }
}

export class QuorumStateFile {
  readonly #disk: Disk
  readonly #directory: string
  readonly #path: string

  /** `directory` is that of the metadata partition. */
  constructor(disk: Disk, directory: string) {
    this.#disk = disk
    this.#directory = directory
    this.#path = `${directory}/quorum-state`
  }

  get path(): string {
    return this.#path
  }

  /**
   * undefined: there is none. A directory in its place is moved aside. Throws DamagedQuorumState, and
   * Error for a file of a later version.
   */
  read(): QuorumState | undefined {
    if (!this.#disk.exists(this.#path)) return undefined
    if (this.#disk.stat(this.#path).isDirectory) {
      const cause = new Error(`it is a directory, now ${this.#moveAside()}`)
      throw new DamagedQuorumState(this.#path, cause)
    }
    const text = this.#disk.readFile(this.#path).toString('utf8')
    let fields: Record<string, unknown>
    try {
      const json: unknown = JSON.parse(text)
      if (typeof json !== 'object' || json === null) throw new Error('it is no JSON object')
      fields = json as Record<string, unknown>
      numberOf(fields, 'data_version', 0, int16Max)
    } catch (cause) {
      throw new DamagedQuorumState(this.#path, cause as Error)
    }
    const version = fields['data_version']
    if (version !== 0 && version !== 1) {
      throw new Error(
        `${this.#path} is not a quorum state that this version reads: data_version ${version}`,
      )
    }
    try {
      return parse(fields, version)
    } catch (cause) {
      throw new DamagedQuorumState(this.#path, cause as Error)
    }
  }

  /** Durable when it returns. Throws DiskError. */
  write(state: QuorumState): void {
    const { leaderId, leaderEpoch, votedId, voters } = state
    const content =
      state.version === 0
        ? {
            clusterId: '',
            leaderId,
            leaderEpoch,
            votedId,
            appliedOffset: 0,
            currentVoters: voters.map((voterId) => ({ voterId })),
            data_version: 0,
          }
        : {
            leaderId,
            leaderEpoch,
            votedId,
            votedDirectoryId: state.votedDirectoryId,
            data_version: 1,
          }
    const temporary = `${this.#path}.tmp`
    if (this.#disk.exists(temporary) && this.#disk.stat(temporary).isDirectory) {
      this.#moveAside(temporary)
    }
    this.#disk.remove(temporary)
    const file = this.#disk.open(temporary, 'create')
    try {
      file.write([Buffer.from(JSON.stringify(content))], 0)
      file.syncNow()
    } finally {
      file.close()
    }
    this.#disk.rename(temporary, this.#path)
    this.#disk.syncDirectory(this.#directory)
  }

  /** Gives what stands in the place of a file another name; returns that. */
  #moveAside(path = this.#path): string {
    let aside = `${path}.damaged`
    for (let count = 2; this.#disk.exists(aside); count++) aside = `${path}.damaged-${count}`
    this.#disk.rename(path, aside)
    return aside
  }
}

const noDirectory = 'AAAAAAAAAAAAAAAAAAAAAA'
const int16Max = 2 ** 15 - 1
/** The next epoch must be an int32 too. */
const epochMax = 2 ** 31 - 2
const nodeIdMax = 2 ** 31 - 1

function parse(fields: Record<string, unknown>, version: 0 | 1): QuorumState {
  const directory = fields['votedDirectoryId']
  const voters = fields['currentVoters'] ?? []
  if (!Array.isArray(voters)) throw new Error('currentVoters is no list')
  return {
    version,
    leaderId: numberOf(fields, 'leaderId', -1, nodeIdMax),
    leaderEpoch: numberOf(fields, 'leaderEpoch', 0, epochMax),
    votedId: numberOf(fields, 'votedId', -1, nodeIdMax),
    votedDirectoryId: typeof directory === 'string' ? directory : noDirectory,
    voters: voters.map((voter: unknown) =>
      numberOf((voter ?? {}) as Record<string, unknown>, 'voterId', 0, nodeIdMax),
    ),
  }
}

function numberOf(
  fields: Record<string, unknown>,
  name: string,
  least: number,
  most: number,
): number {
  const value = fields[name]
  if (!Number.isSafeInteger(value)) throw new Error(`${name} is not a number`)
  if ((value as number) < least || (value as number) > most) {
    throw new Error(`${name} is ${String(value)}`)
  }
  return value as number
}

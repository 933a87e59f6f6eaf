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

  /** undefined: there is none yet. Throws Error for a file that cannot be understood. */
  read(): QuorumState | undefined {
    if (!this.#disk.exists(this.#path)) return undefined
    const text = this.#disk.readFile(this.#path).toString('utf8')
    try {
      return parse(JSON.parse(text))
    } catch (cause) {
      throw new Error(`${this.#path} is not a quorum state: ${(cause as Error).message}`, { cause })
    }
  }

  /** Durable when it returns. Throws DiskError. */
  write(state: QuorumState, voters: readonly number[]): void {
    const { leaderId, leaderEpoch, votedId } = state
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
}

const noDirectory = 'AAAAAAAAAAAAAAAAAAAAAA'

function parse(json: unknown): QuorumState {
  const fields = json as Record<string, unknown>
  const version = fields['data_version']
  if (version !== 0 && version !== 1) throw new Error(`unknown data_version ${String(version)}`)
  const number = (name: string): number => {
    const value = fields[name]
    if (!Number.isSafeInteger(value)) throw new Error(`${name} is not a number`)
    return value as number
  }
  const directory = fields['votedDirectoryId']
  return {
    version,
    leaderId: number('leaderId'),
    leaderEpoch: number('leaderEpoch'),
    votedId: number('votedId'),
    votedDirectoryId: typeof directory === 'string' ? directory : noDirectory,
  }
}

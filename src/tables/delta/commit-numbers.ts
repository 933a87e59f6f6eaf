/**
 * What of a commit depends on its version and so on who came before: in-commit timestamps, which rise from version to
 * version, and the ids of new rows, which go on where the last commit ended (row tracking).
 */

import { type Json, parseJson } from '../columns/exact-json.ts'
import type { Action, AddAction } from './actions.ts'
import { rowTrackingDomain } from './conflicts.ts'
import { corrupt } from './delta-error.ts'
import type { Snapshot } from './snapshot.ts'

export interface Numbered {
  readonly actions: readonly Action[]
  /** Where the table keeps them. */
  readonly inCommitTimestamp: number | null
}

export class CommitNumbers {
  readonly #keepsTimes: boolean
  readonly #tracksRows: boolean
  #lastTimestamp: number
  /** The highest id that a row has. */
  #highWaterMark: bigint

  constructor(
    snapshot: Snapshot | null,
    configuration: ReadonlyMap<string, string>,
    features: readonly string[],
  ) {
    this.#keepsTimes =
      features.includes('inCommitTimestamp') &&
      configuration.get('delta.enableInCommitTimestamps') === 'true'
    this.#tracksRows =
      features.includes('rowTracking') && configuration.get('delta.rowTrackingSuspended') !== 'true'
    this.#lastTimestamp = snapshot?.inCommitTimestamp ?? 0
    const domain = snapshot?.domains.get(rowTrackingDomain)
    this.#highWaterMark = domain === undefined ? -1n : highWaterMarkOf(domain.configuration)
  }

  /** Whether the time of the last commit is asked for, but was in no checkpoint. */
  get lacksTime(): boolean {
    return this.#keepsTimes && this.#lastTimestamp === 0
  }

  /** A commit that came before ours. */
  follow(commit: readonly Action[]): void {
    for (const action of commit) {
      if (action.kind === 'commitInfo') {
        const time = action.commitInfo['inCommitTimestamp']
        if (typeof time === 'number') this.#lastTimestamp = Math.max(this.#lastTimestamp, time)
      }
      if (action.kind === 'domainMetadata' && action.domainMetadata.domain === rowTrackingDomain) {
        this.#highWaterMark = highWaterMarkOf(action.domainMetadata.configuration)
      }
    }
  }

  /** The actions as they are in the commit of `version`. */
  number(actions: readonly Action[], version: number, now: number): Numbered {
    const inCommitTimestamp = this.#keepsTimes ? Math.max(now, this.#lastTimestamp + 1) : null
    if (!this.#tracksRows) return { actions, inCommitTimestamp }
    let highWaterMark = this.#highWaterMark
    const numbered = actions.map((action): Action => {
      if (action.kind !== 'add') return action
      const { add } = action
      const baseRowId = add.baseRowId ?? highWaterMark + 1n
      if (add.baseRowId === null) highWaterMark += rowCountOf(add)
      const defaultRowCommitVersion = add.defaultRowCommitVersion ?? BigInt(version)
      return { kind: 'add', add: { ...add, baseRowId, defaultRowCommitVersion } }
    })
    if (highWaterMark > this.#highWaterMark) {
      const configuration = `{"rowIdHighWaterMark":${highWaterMark}}`
      const domainMetadata = { domain: rowTrackingDomain, configuration, removed: false }
      numbered.push({ kind: 'domainMetadata', domainMetadata })
    }
    return { actions: numbered, inCommitTimestamp }
  }
}

function highWaterMarkOf(configuration: string): bigint {
  const value = fieldOf(configuration, 'rowIdHighWaterMark', `domain ${rowTrackingDomain}`)
  if (typeof value === 'bigint') return value
  if (typeof value === 'number' && Number.isInteger(value)) return BigInt(value)
  throw corrupt(`domain ${rowTrackingDomain}: no rowIdHighWaterMark`)
}

function rowCountOf({ path, stats }: AddAction): bigint {
  const value = fieldOf(stats ?? '{}', 'numRecords', `stats of ${path}`)
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value)
  throw corrupt(`stats of ${path}: no numRecords, which rowTracking needs`)
}

function fieldOf(text: string, name: string, what: string): Json | undefined {
  let json: Json
  try {
    json = parseJson(text)
  } catch (error) {
    throw corrupt(`${what}: ${(error as Error).message}`, { cause: error })
  }
  if (typeof json !== 'object' || json === null || !Object.hasOwn(json, name)) return undefined
  return (json as { [name: string]: Json })[name]
}

/** Work on a table that begins anew where another writer came first and what it was decided from does not hold any more. */
import { DeltaConflict } from './delta-error.ts'
import { readSnapshot, type Snapshot } from './snapshot.ts'
import type { TableEnvironment } from './table-environment.ts'

/** Times that work is begun, the first included. */
const attemptsMax = 10

/** Rejects with what the work does; with DeltaConflict where others always came first. */
export async function attempting<Result>(
  { storage }: TableEnvironment,
  work: (snapshot: Snapshot) => Promise<Result>,
): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work(await readSnapshot(storage))
    } catch (error) {
      if (!(error instanceof DeltaConflict) || attempt === attemptsMax) throw error
    }
  }
}

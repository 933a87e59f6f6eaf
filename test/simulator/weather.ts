/**
 * How badly the network and the disks of a world behave: chances per write, connection or operation.
 * The calm weathers are what happens on a good day.
 */
import type { Milliseconds } from '../../src/environment/environment.ts'

export interface NetworkWeather {
  /** Of a chunk: that it is late, and by how much at most. */
  readonly lateChance: number
  readonly lateMsMax: Milliseconds
  /** Of a write: that the connection is cut in the middle of it. */
  readonly cutChance: number
  /** Of a write: that this direction of the connection stands still, and how long at most. */
  readonly stallChance: number
  readonly stallMsMax: Milliseconds
  /** Of a write: that nothing arrives in this direction any more, while the other one works. */
  readonly muteChance: number
  /** Of a connection: that it is refused, or that nobody answers. */
  readonly refusedChance: number
  readonly unansweredChance: number
  /** Of a connection: that the first bytes of what is written arrive one by one. */
  readonly trickleChance: number
}

export interface DiskWeather {
  /** Of a sync or a read that leaves the event loop: that it takes long, and how long at most. */
  readonly slowChance: number
  readonly slowMsMax: Milliseconds
}

export const calmNetwork: NetworkWeather = {
  lateChance: 0.05,
  lateMsMax: 30,
  cutChance: 0,
  stallChance: 0,
  stallMsMax: 0,
  muteChance: 0,
  refusedChance: 0,
  unansweredChance: 0,
  trickleChance: 0,
}

export const calmDisk: DiskWeather = { slowChance: 0, slowMsMax: 0 }

/** What a worker tells of the connectors and tasks that run on it, for whoever makes metrics of it. Plain data. */
import type { State } from '../storage/status-state.ts'
import type { TaskMeasured } from './task-measures.ts'

export interface ConnectorMeasured {
  readonly name: string
  readonly type: 'sink' | 'source'
  readonly className: string
  readonly version: string
  /** Null: it runs on another worker, and only tasks of it run here. */
  readonly state: State | null
  readonly tasks: readonly {
    readonly task: number
    readonly state: State
    /** Null: it could not even begin. */
    readonly measured: TaskMeasured | null
  }[]
}

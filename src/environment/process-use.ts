/** What this process takes of the machine, as those see it who tell of it. */
export interface ProcessUse {
  /** Since the epoch. */
  readonly startSeconds: number
  readonly cpuSeconds: { readonly user: number; readonly system: number }
  /** Of Node, and of V8 in it. */
  readonly versions: { readonly node: string; readonly v8: string }
  /** Bytes. */
  readonly memory: {
    readonly rss: number
    readonly heapTotal: number
    readonly heapUsed: number
    readonly external: number
    readonly arrayBuffers: number
  }
  /** The part of the time that the event loop works: since the look before, or since the start. */
  readonly loopUtilization: number
  /** How much later than planned the event loop turned lately, in seconds. */
  readonly loopDelay: LoopDelay
  /** Pauses for garbage collection since the first look, by its kind. */
  readonly collections: ReadonlyMap<string, { readonly count: number; readonly seconds: number }>
}

export interface LoopDelay {
  readonly min: number
  readonly max: number
  readonly mean: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
}

export interface OpenFiles {
  /** Undefined: the platform does not tell. */
  readonly open: number | undefined
  readonly most: number | undefined
}

export interface ProcessWatch {
  look(): ProcessUse
  openFiles(): Promise<OpenFiles>
}

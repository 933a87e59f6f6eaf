/**
 * A thread's side of connectors that run in it: each as a worker runs it, but that what it tells and asks goes to the
 * worker that started the thread.
 */
import { ConnectException } from '../failures.ts'
import type { ConnectorPlugin } from '../plugin.ts'
import { RunningConnector } from '../runtime/running-connector.ts'
import type { SourceOffsets } from '../runtime/source-writes.ts'
import type { Worker } from '../runtime/worker.ts'
import { keptIn } from '../storage/kept-in.ts'
import type { Entry } from '../storage/storage.ts'
import { AskedOffsets } from './asked-offsets.ts'
import { answerPlugin } from './plugin-questions.ts'
import {
  type ConnectorQuestion,
  contentOf,
  type HostedConnector,
  type HostQuestion,
  type Outcome,
  outcomeOf,
  type Pulse,
  type WorkerSeed,
} from './questions.ts'
import { told } from './told-error.ts'

type Of<Kind extends HostQuestion['kind']> = HostQuestion & { readonly kind: Kind }

export interface HostOptions {
  /** Rejects with ConfigError. */
  readonly worker: (seed: WorkerSeed, logLevel: string) => Promise<Worker>
  readonly ask: (question: ConnectorQuestion) => Promise<unknown>
  /** Bytes of objects and buffers of this thread, garbage among them. */
  readonly bytes: () => number
  /** Has garbage collected. */
  readonly collect: () => void
}

export class ConnectorHost {
  readonly #options: HostOptions
  readonly #connectors = new Map<number, RunningConnector>()
  /** Of the tasks that were started last. */
  readonly #runs = new Map<number, Map<number, number>>()
  #worker: Worker | null = null

  constructor(options: HostOptions) {
    this.#options = options
  }

  /** Never rejects. */
  async answer(question: HostQuestion): Promise<Outcome> {
    if (question.kind === 'watch') return new Promise(() => undefined)
    return outcomeOf(() => this.#do(question))
  }

  async #do(question: Exclude<HostQuestion, Of<'watch'>>): Promise<unknown> {
    switch (question.kind) {
      case 'open':
        this.#worker = await this.#options.worker(question.seed, question.logLevel)
        return null
      case 'pulse':
        return this.#pulse(question)
      case 'start':
        return this.#connector(question.connector).start()
      case 'taskConfigs':
        return this.#connector(question.connector).taskConfigs(
          question.tasksMax,
          question.isEnforced,
        )
      case 'stop':
        return this.#connector(question.connector).stop()
      case 'startTask':
        return this.#startTask(question)
      case 'setPaused':
        return this.#connector(question.connector).setPaused(question.isPaused)
      case 'stopTasks':
        return this.#connector(question.connector).stopTasks(question.tasks)
      case 'leave':
        this.#connectors.delete(question.id)
        this.#runs.delete(question.id)
        return null
      default:
        return answerPlugin(this.#opened, question)
    }
  }

  get #opened(): Worker {
    if (this.#worker === null) throw new ConnectException('The thread is not open')
    return this.#worker
  }

  /** With its settings as they are now. */
  #connector(hosted: HostedConnector): RunningConnector {
    const { id, className, settings } = hosted
    const plugin = this.#opened.plugins.connector(className)
    if (plugin === undefined)
      throw new ConnectException(`There is no connector ${className} in a new thread any more`)
    const connector = keptIn(this.#connectors, id, () => this.#made(hosted, plugin))
    connector.update(plugin, settings)
    return connector
  }

  #made({ id, name, settings }: HostedConnector, plugin: ConnectorPlugin): RunningConnector {
    const worker = this.#opened
    const { ask } = this.#options
    const offsets = new Map<string | null, SourceOffsets>()
    const runOf = (task: number) => this.#runs.get(id)?.get(task) ?? -1
    const tell = (question: ConnectorQuestion) => void ask(question)
    return new RunningConnector({
      ...{ name, worker, plugin, settings },
      offsets: (topic) =>
        keptIn(offsets, topic, () => {
          return new AskedOffsets({
            topic: topic ?? worker.config['offset.storage.topic'],
            connector: name,
            all: async () =>
              contentOf(await ask({ kind: 'offsets', id, topic })) as readonly Entry[],
            put: async (entries, isWritten) => {
              contentOf(await ask({ kind: 'putOffsets', id, topic, entries, isWritten }))
            },
          })
        }),
      events: {
        onConnectorFailure: (error) => tell({ kind: 'failure', id, error: told(error) }),
        onReconfigure: () => tell({ kind: 'reconfigure', id }),
        onTaskState: (task, state, error) => {
          const failure = error === undefined ? null : told(error)
          tell({ kind: 'state', id, run: runOf(task), state, error: failure })
        },
        onTopic: (task, topic) => tell({ kind: 'topic', id, run: runOf(task), topic }),
      },
    })
  }

  #startTask({ connector: hosted, task, run, settings, isPaused }: Of<'startTask'>): void {
    const { id } = hosted
    const connector = this.#connector(hosted)
    const runs = keptIn(this.#runs, id, () => new Map<number, number>())
    runs.set(task, run)
    const guard = (at: 'before' | 'after') => async () => {
      contentOf(await this.#options.ask({ kind: 'guard', id, run, at }))
    }
    connector.startTask(task, settings, {
      isPaused,
      isCurrent: () => runs.get(task) === run,
      guard: { before: guard('before'), after: guard('after') },
    })
  }

  #pulse({ logLevel, bytesMax }: Of<'pulse'>): Pulse {
    const { logThreshold } = this.#opened.environment
    if (logThreshold !== undefined && logThreshold.level !== logLevel)
      logThreshold.level = logLevel as typeof logThreshold.level
    const bytes = this.#options.bytes()
    if (bytes > bytesMax) this.#options.collect()
    const tasks = [...this.#connectors].flatMap(([id, connector]) =>
      connector.tasks.flatMap((task) => {
        const measured = connector.measured(task)
        return measured === null ? [] : [{ id, task, measured }]
      }),
    )
    return { bytes, tasks }
  }
}

/**
 * `/metrics`: what several parts of the process gather, rendered in slices between which the broker goes
 * on with its work. Scrapes that come while one is being rendered share it, and so do those that come soon
 * after it, so that all scrapes together never cost more than a small part of the time.
 */
import type { Environment } from '../environment/environment.ts'
import { contentTypes, Exposition, type Gather, type MetricFormat } from './exposition.ts'
import type { Page } from './health.ts'

/** Without a pause for others. */
const sliceMsMax = 3

/** A page that took long to gather is told again for so many times as long. */
const reuseFactor = 10

interface Rendered extends Page {
  readonly freshUntilMs: number
}

export class MetricsPage {
  readonly #gatherers: readonly Gather[]
  readonly #environment: Pick<Environment, 'clock' | 'timers'>
  readonly #rendering = new Map<MetricFormat, Promise<Page>>()
  readonly #rendered = new Map<MetricFormat, Rendered>()

  constructor(gatherers: readonly Gather[], environment: Pick<Environment, 'clock' | 'timers'>) {
    this.#gatherers = gatherers
    this.#environment = environment
  }

  /** In the format that an `Accept` header asks for. Rejects with what a gatherer throws. */
  async render(accept: string): Promise<Page> {
    const format = accept.includes('application/openmetrics-text') ? 'openmetrics' : 'text'
    const rendered = this.#rendered.get(format)
    if (rendered !== undefined && this.#environment.clock.monotonic() < rendered.freshUntilMs)
      return rendered
    const rendering = this.#rendering.get(format) ?? this.#render(format)
    this.#rendering.set(format, rendering)
    return await rendering
  }

  async #render(format: MetricFormat): Promise<Page> {
    try {
      const { pieces, workMs } = await this.#gather(format)
      const freshUntilMs = this.#environment.clock.monotonic() + workMs * reuseFactor
      const page = { contentType: contentTypes[format], pieces, freshUntilMs }
      this.#rendered.set(format, page)
      return page
    } finally {
      this.#rendering.delete(format)
    }
  }

  async #gather(format: MetricFormat): Promise<{ pieces: readonly Buffer[]; workMs: number }> {
    const { clock, timers } = this.#environment
    const out = new Exposition(format)
    let workMs = 0
    let sliceMs = clock.monotonic()
    for (const gather of this.#gatherers) {
      for (const awaited of gather(out)) {
        const spentMs = clock.monotonic() - sliceMs
        if (awaited === undefined && spentMs < sliceMsMax) continue
        workMs += spentMs
        await (awaited ?? new Promise<void>((resolve) => timers.nextTurn(resolve)))
        sliceMs = clock.monotonic()
      }
    }
    const pieces = out.pieces()
    return { pieces, workMs: workMs + clock.monotonic() - sliceMs }
  }
}

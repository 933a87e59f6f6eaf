/** Clients that work towards the same end, by name, until each has come to it. */
export class Company {
  readonly #working = new Map<string, Promise<void>>()

  join(name: string, work: Promise<void>): void {
    const leave = (): void => {
      this.#working.delete(name)
    }
    work.then(leave, () => undefined)
    this.#working.set(name, work)
  }

  /** Who has not come to an end. */
  get names(): string[] {
    return [...this.#working.keys()]
  }

  /** Resolves when all have; rejects with what the first of them failed with. */
  async ended(): Promise<void> {
    await Promise.all(this.#working.values())
  }
}

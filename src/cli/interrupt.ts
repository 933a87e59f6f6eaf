/** Ctrl-C and SIGTERM as a request to finish: the first is heard, the second ends the process at once. */

export class Interrupt {
  #isRequested = false
  readonly #listen = () => {
    if (this.#isRequested) process.exit(130)
    this.#isRequested = true
    this.onRequest()
  }
  /** Called once, when it is requested. */
  onRequest: () => void = () => undefined

  constructor() {
    process.on('SIGINT', this.#listen)
    process.on('SIGTERM', this.#listen)
  }

  get isRequested(): boolean {
    return this.#isRequested
  }

  /** Hears no more. */
  dispose(): void {
    process.off('SIGINT', this.#listen)
    process.off('SIGTERM', this.#listen)
  }
}

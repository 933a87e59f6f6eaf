/** A promise was broken: what was promised, and what was seen instead. It ends the run. */
export class Violation extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'Violation'
  }
}

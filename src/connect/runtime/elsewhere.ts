/** Another worker has to do what this one was asked for; `url` is where it is reached, null: nobody knows. */
export class Elsewhere extends Error {
  readonly url: string | null

  constructor(url: string | null) {
    super('Another worker does that')
    this.name = 'Elsewhere'
    this.url = url
  }
}

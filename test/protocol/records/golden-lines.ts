/** The JSON lines of a file in `test/golden/records`, wherever the tests were compiled to. */
import { existsSync, readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'

/** Key and value are base64. */
export type GoldenRecord = [
  offset: number,
  timestamp: number,
  key: string | null,
  value: string | null,
  headers?: [string, string | null][],
]

export interface GoldenLine {
  readonly name: string
  readonly bytes: string
  readonly source?: string
  readonly firstOffset?: number
  readonly records?: GoldenRecord[]
  readonly messages?: GoldenRecord[]
}

export function goldenLines(name: string): GoldenLine[] {
  for (let folder = new URL('.', import.meta.url); ; folder = new URL('..', folder)) {
    const file = new URL(`test/golden/records/${name}.jsonl.gz`, folder)
    if (existsSync(file)) {
      const lines = gunzipSync(readFileSync(file)).toString().trim().split('\n')
      return lines.map((line) => JSON.parse(line) as GoldenLine)
    }
    if (folder.pathname === '/') throw new Error(`no golden file ${name}`)
  }
}

export function base64(bytes: Buffer | null): string | null {
  return bytes === null ? null : bytes.toString('base64')
}

export function fromBase64(text: string | null): Buffer | null {
  return text === null ? null : Buffer.from(text, 'base64')
}

/**
 * The XML that object stores answer with, and no more of it: elements and their text. Attributes are passed over;
 * document types, and with them entities of one's own, are refused. How deep, how many and how long is limited, since
 * whoever has the address may answer anything.
 */
import { isUtf8 } from 'node:buffer'

export interface XmlElement {
  /** Without its prefix. */
  readonly name: string
  readonly children: readonly XmlElement[]
  /** All text directly in it. */
  readonly text: string
}

const bytesMax = 8 * 1024 * 1024
const depthMax = 16
const elementsMax = 50_000

const entities = new Map([
  ['lt', '<'],
  ['gt', '>'],
  ['amp', '&'],
  ['quot', '"'],
  ['apos', "'"],
])

const declaration = /^\uFEFF?\s*(?:<\?xml[^>]{0,200}\?>)?\s*/
/** A comment, a CDATA section, the end of an element or the beginning of one. */
const tag =
  /<(?:!--[\s\S]*?-->|!\[CDATA\[([\s\S]*?)\]\]>|(\/?)([A-Za-z_][\w.:-]*)(?:\s+[\w.:-]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*\s*(\/?)>)/y

interface OpenElement {
  readonly name: string
  readonly children: XmlElement[]
  text: string
}

/** Throws SyntaxError for what is no document, or not one of these. */
export function parseXml(bytes: Uint8Array): XmlElement {
  if (bytes.length > bytesMax) throw new SyntaxError(`XML of ${bytes.length} bytes`)
  if (!isUtf8(bytes)) throw new SyntaxError('XML that is not UTF-8')
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString()
  const path: OpenElement[] = [{ name: '', children: [], text: '' }]
  let elements = 0
  let at = declaration.exec(text)?.[0].length ?? 0
  while (at < text.length) {
    const inside = path.at(-1)!
    const next = text.indexOf('<', at)
    inside.text += unescaped(text.slice(at, next < 0 ? text.length : next))
    if (next < 0) break
    tag.lastIndex = next
    const found = tag.exec(text)
    if (found === null) throw new SyntaxError(`no XML that is understood at ${next}`)
    at = tag.lastIndex
    const [, section = '', slash, name, end] = found
    inside.text += section
    if (name === undefined) continue
    if (slash === '/') {
      if (path.length === 1 || inside.name !== name)
        throw new SyntaxError(`${name} ends at ${next}, which has not begun`)
      close(path)
      continue
    }
    if (++elements > elementsMax) throw new SyntaxError(`XML of more than ${elementsMax} elements`)
    if (path.length > depthMax) throw new SyntaxError(`XML more than ${depthMax} deep`)
    path.push({ name, children: [], text: '' })
    if (end === '/') close(path)
  }
  const [{ children, text: around }] = path as [OpenElement]
  const [root] = children
  if (path.length > 1 || children.length !== 1 || around.trim() !== '')
    throw new SyntaxError('XML that is not one whole document')
  return root!
}

function close(path: OpenElement[]): void {
  const { name, children, text } = path.pop()!
  path.at(-1)!.children.push({ name: name.replace(/^.*:/, ''), children, text })
}

function unescaped(text: string): string {
  if (!text.includes('&')) return text
  return text.replace(/&(?:#(\d{1,7}|x[0-9A-Fa-f]{1,6})|(\w{1,8}))?(;?)/g, (whole, ...groups) => {
    const [code, name, end] = groups as [string | undefined, string | undefined, string]
    const known = code === undefined ? entities.get(name ?? '') : characterOf(code)
    if (known === undefined || end === '')
      throw new SyntaxError(`${whole.slice(0, 20)} is not known`)
    return known
  })
}

function characterOf(code: string): string | undefined {
  const point = Number(code.startsWith('x') ? `0${code}` : code)
  return point <= 0x10ffff ? String.fromCodePoint(point) : undefined
}

/** The text of the first child of that name; empty without one. */
export function textOf(element: XmlElement, name: string): string {
  return element.children.find((child) => child.name === name)?.text ?? ''
}

/** Text as it stands in an element. */
export function escaped(text: string): string {
  return text.replace(/[<>&"']/g, (character) => `&#${character.charCodeAt(0)};`)
}

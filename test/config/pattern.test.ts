/** Patterns against JavaScript's own, where both mean the same; and where theirs would take for ever. */
import t from 'tap'
import { Pattern } from '../../src/config/pattern.ts'
import { PatternError } from '../../src/config/pattern-syntax.ts'
import { SeededRandom } from '../simulator/random.ts'

const cases: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  ['', [''], ['a']],
  ['abc', ['abc'], ['', 'ab', 'abcd', 'xabc']],
  ['a|bc|', ['a', 'bc', ''], ['ab', 'c']],
  ['(a|b)*c', ['c', 'abbac'], ['ab', 'ca']],
  ['a{2}', ['aa'], ['a', 'aaa']],
  ['a{2,}', ['aa', 'aaaaa'], ['a']],
  ['a{1,3}b?', ['a', 'aaab'], ['aaaa', 'b']],
  ['a{,3}', ['a{,3}'], ['a']],
  ['a+?b*?c??', ['a', 'aabbc'], ['b']],
  ['tx-\\d+', ['tx-1', 'tx-42'], ['tx-', 'tx-x']],
  ['my\\.id', ['my.id'], ['myxid']],
  ['.*', ['', 'anything'], ['two\nlines']],
  ['(?s).*', ['two\nlines'], []],
  ['(?i)ab(c)', ['ABC', 'aBc'], ['abd']],
  ['(?i:a)b', ['Ab', 'ab'], ['aB']],
  ['((?i)a)b', ['Ab'], ['AB']],
  ['(?i:a(b)c)d', ['aBCd'], ['abcD']],
  ['(?i-s:A)', ['a'], []],
  ['(?i)[a-c]+', ['aBC'], ['d']],
  ['(?i)S', ['s'], ['ß']],
  ['[a-c]', ['a', 'b', 'c'], ['d', 'A']],
  ['[^a-c]', ['d', '\n'], ['a']],
  ['[]a]', [']', 'a'], ['b']],
  ['[a\\-\\]]', ['a', '-', ']'], ['\\']],
  ['[a-]', ['a', '-'], ['b']],
  ['[\\d_]+', ['1_2'], ['a']],
  ['[[:alpha:]][[:^digit:]]', ['ab', 'a-'], ['1a', 'a1']],
  ['\\Qa.b*\\E+', ['a.b*', 'a.b**'], ['axb', 'a.b']],
  ['\\Qa.b', ['a.b'], ['axb']],
  ['\\x41\\x{1F600}', ['A😀'], ['A']],
  ['\\pL\\p{Lu}\\P{L}', ['aA1'], ['aa1', 'aAa']],
  ['\\p{Greek}+', ['αβγ'], ['abc']],
  ['\\p{^Greek}', ['a'], ['α']],
  ['^a$', ['a'], ['ba']],
  ['\\Aa\\z', ['a'], ['ab']],
  ['(?m)a$\n^b', ['a\nb'], ['ab']],
  ['a\\b.\\Bc', [], ['axc', 'a c']],
  ['a\\b-\\bc', ['a-c'], ['abc']],
  ['a\\Bb', ['ab'], ['a-']],
  ['(?P<name>a)(?<other>b)', ['ab'], ['a']],
  ['(a*)*b', ['b', 'aaab'], ['aaa']],
  ['(|a)+', ['', 'aaa'], ['b']],
  ['\\t\\n\\r\\f\\v\\a\\0', ['\t\n\r\f\v\x07\0'], ['']],
  ['😀?', ['😀', ''], ['😀😀']],
]

t.test('what expressions mean', async (t) => {
  for (const [expression, matching, others] of cases) {
    const pattern = new Pattern(expression)
    for (const text of matching)
      t.ok(pattern.matches(text), `${expression} is ${JSON.stringify(text)}`)
    for (const text of others)
      t.notOk(pattern.matches(text), `${expression} is not ${JSON.stringify(text)}`)
  }
})

t.test('what is no expression', async (t) => {
  const invalid = [
    '(',
    ')',
    'a)',
    '(a',
    '[',
    '[a',
    '[b-a]',
    '*',
    '+a',
    'a|*',
    'a**',
    'a{2}{3}',
    '\\',
    '\\1',
    '\\k',
    '\\C',
    '(?=a)',
    '(?!a)',
    '(?<=a)',
    '(?<!a)',
    '(?P=a)',
    '(?x)',
    '(?<a-b>c)',
    'a{1001}',
    'a{3,2}',
    '(a{1000}){1000}',
    '\\p{Nonsense}',
    '\\p{',
    '\\x{110000}',
    '\\xZZ',
    '[[:nonsense:]]',
    '(?',
    '(?i',
    `${'('.repeat(5000)}`,
  ]
  for (const expression of invalid) {
    t.throws(() => new Pattern(expression), PatternError, expression.slice(0, 40))
  }
})

t.test("RE2's own", async (t) => {
  const cases: [pattern: string, name: string, matches: boolean][] = [
    ['orders', 'orders', true],
    ['orders', 'orders-2', false],
    ['(?i)ORDERS-[a-c]', 'Orders-B', true],
    ['(?i:o)rders', 'Orders', true],
    ['(?i:o)rders', 'oRders', false],
    ['x(?i)y|Z', 'xY', true],
    ['x(?i)y|Z', 'z', true],
    ['(?-i)a', 'A', false],
    ['\\Qa.b\\E+', 'a.bb', true],
    ['\\Qa.b', 'axb', false],
    ['[[:alpha:]]+[[:^digit:]]', 'ab-', true],
    ['\\pL\\p{Nd}\\PL', 'a1-', true],
    ['\\p{^L}+', '12', true],
    ['\\x61\\x{62}\\143', 'abc', true],
    ['\\Aab\\z', 'ab', true],
    ['(?P<name>a)(?<other>b)', 'ab', true],
    ['[]a]+', ']a', true],
    ['[a-]', '-', true],
    ['[^]a]', 'b', true],
    ['a{,2}', 'a{,2}', true],
    ['a{2', 'a{2', true],
    ['(?i)[^a]', 'A', false],
    ['', '', true],
    ['a||b', '', true],
    ['(a|b|)*c', 'ababc', true],
    ['\u00e9|a', 'a', true],
    ['(?s).*', 'anything', true],
  ]
  for (const [text, name, matches] of cases) {
    t.equal(new Pattern(text).matches(name), matches, `${text} on '${name}'`)
  }
})

t.test('what is not valid is told', async (t) => {
  const cases: [pattern: string, reason: RegExp][] = [
    ['(a', /missing closing \)/],
    ['a)', /missing closing \)/],
    ['[a', /missing closing \]/],
    ['[b-a]', /invalid character class range/],
    ['[[:nope:]]', /invalid character class range/],
    ['\\pX', /invalid character class range/],
    ['*a', /missing argument to repetition operator/],
    ['a|+', /missing argument to repetition operator/],
    ['a**', /invalid nested repetition operator/],
    ['a{2}{3}', /invalid nested repetition operator/],
    ['a{1001}', /invalid repeat count/],
    ['a{3,2}', /invalid repeat count/],
    ['\\1', /invalid escape sequence/],
    ['\\y', /invalid escape sequence/],
    ['a\\', /trailing backslash/],
    ['(?=a)', /invalid or unsupported Perl syntax/],
    ['(?<!a)', /invalid or unsupported Perl syntax/],
    ['(a{1000}){1000}', /invalid repeat count/],
    ['((((){1000}){1000}){1000}){1000}', /invalid repeat count/],
    ['('.repeat(1100), /nests too deeply/],
    ['a'.repeat(5000), /longer than/],
  ]
  for (const [text, reason] of cases) {
    t.throws(() => new Pattern(text), reason, text.slice(0, 40))
    t.throws(() => new Pattern(text), PatternError)
  }
})

t.test('small expressions mean what they mean to JavaScript', async (t) => {
  const random = new SeededRandom(17)
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random.float() * items.length)] as T
  const make = (depth: number): string => {
    if (depth === 0) return pick(['a', 'b', '.', '[ab]', '[^a]', '\\b', ''])
    const part = make(depth - 1)
    switch (Math.floor(random.float() * 4)) {
      case 0:
        return `(?:${part})${pick(['*', '+', '?', '{2}', '{1,2}', '{2,}', '*?'])}`
      case 1:
        return `(?:${part}|${make(depth - 1)})`
      default:
        return part + make(depth - 1)
    }
  }
  let compared = 0
  let matched = 0
  for (let round = 0; round < 400; round++) {
    const expression = make(4)
    const pattern = new Pattern(expression)
    const twin = new RegExp(`^(?:${expression})$`, 'u')
    for (const text of ['', 'a', 'b', 'ab', 'ba', 'aab', 'abab', 'bbbaa', 'a b', 'ab-ab']) {
      compared++
      if (twin.test(text)) matched++
      if (pattern.matches(text) !== twin.test(text)) t.fail(`${expression} and ${text}`)
    }
  }
  t.ok(matched > 200 && matched < compared - 200, `${matched} of ${compared} match`)
})

t.test('time is linear in the text', async (t) => {
  for (const expression of ['a{0,200}a{0,200}', '(a?){200}a{200}']) {
    t.notOk(new Pattern(expression).matches(`${'a'.repeat(248)}!`))
  }
  const pattern = new Pattern('(a+)+|(a|a)*b|(.*)*c')
  const before = process.hrtime.bigint()
  t.notOk(pattern.matches(`${'a'.repeat(20_000)}!`))
  const tookMs = Number(process.hrtime.bigint() - before) / 1e6
  t.ok(tookMs < 5000, `${tookMs} ms`)
})

t.test('a match that takes many steps stops in between, a short one does not', async (t) => {
  const stopsOf = (expression: string, text: string) => {
    const matching = new Pattern(expression).matching(text)
    let stops = 0
    for (let next = matching.next(); next.done !== true; next = matching.next()) stops++
    return stops
  }
  t.equal(stopsOf('orders-\\d+', 'orders-12345'), 0)
  const text = 'a'.repeat(240)
  t.ok(stopsOf('(.*a?){200}', text) > text.length / 2, 'at least with every other character')
  t.equal(new Pattern('(.*a?){200}').matches(text), true)
})

t.test('a class of very many parts is asked each of them once, not with every step', async (t) => {
  const parts = '\\p{Greek}'.repeat(400)
  const { test } = RegExp.prototype
  let asked = 0
  t.teardown(() => {
    RegExp.prototype.test = test
  })
  RegExp.prototype.test = function (text) {
    asked++
    return test.call(this, text)
  }
  for (const flags of ['', '(?i)']) {
    const pattern = new Pattern(`${flags}(?:[${parts}b]?){250}[^${parts.slice(0, 90)}b]*`)
    asked = 0
    t.ok(pattern.matches(`${'b'.repeat(200)}${'a'.repeat(40)}`))
    t.ok(asked < 10 * 400, `${asked} parts were asked`)
    t.ok(pattern.matches('βbβaa'))
    t.notOk(pattern.matches('aβ'))
    t.notOk(pattern.matches('ab'))
  }
})

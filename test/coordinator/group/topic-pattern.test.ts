/** Regular expressions in RE2's syntax: against JavaScript's where both mean the same, and where not. */
import t from 'tap'
import { InvalidPattern } from '../../../src/coordinator/group/consumer/pattern-parser.ts'
import { TopicPattern } from '../../../src/coordinator/group/consumer/topic-pattern.ts'
import { type Random, randomFrom } from '../../protocol/generated-values.ts'

const atoms = [
  'a',
  'b',
  'c',
  '.',
  '[ab]',
  '[^a]',
  '[a-c]',
  '\\d',
  '\\w',
  '\\.',
  '[\\w-]',
  '\\b',
  '^',
  '$',
]
const operators = ['', '', '', '*', '+', '?', '*?', '{2}', '{1,3}', '{0,}', '{2,}?']

function pattern(random: Random, depth: number): string {
  const parts = Array.from({ length: 1 + random(3) }, () => {
    const isGroup = depth > 0 && random(3) === 0
    const atom = isGroup
      ? `(${pattern(random, depth - 1)})`
      : (atoms[random(atoms.length)] as string)
    const isAssertion = ['\\b', '^', '$'].includes(atom)
    return atom + (isAssertion ? '' : operators[random(operators.length)])
  })
  return random(4) === 0 ? `${parts.join('')}|${pattern(random, 0)}` : parts.join('')
}

t.test('random expressions match what JavaScript matches', async (t) => {
  const random = randomFrom(11)
  const letters = 'abc1.-'
  let matched = 0
  for (let round = 0; round < 3000; round++) {
    const text = pattern(random, 2)
    const ours = new TopicPattern(text)
    const theirs = new RegExp(`^(?:${text})$`)
    for (let each = 0; each < 10; each++) {
      const name = Array.from({ length: random(6) }, () => letters[random(letters.length)]).join('')
      if (ours.matches(name) !== theirs.test(name)) {
        t.fail(`${text} on '${name}'`)
        return
      }
      if (ours.matches(name)) matched++
    }
  }
  t.ok(matched > 3000, `${matched} matched`)
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
    t.equal(new TopicPattern(text).matches(name), matches, `${text} on '${name}'`)
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
    ['('.repeat(300), /nests too deeply/],
    ['a'.repeat(5000), /longer than/],
  ]
  for (const [text, reason] of cases) {
    t.throws(() => new TopicPattern(text), reason, text.slice(0, 40))
    t.throws(() => new TopicPattern(text), InvalidPattern)
  }
})

t.test('no expression takes more than its time', async (t) => {
  const name = `${'a'.repeat(248)}!`
  for (const text of [
    '(a+)+',
    '(a|aa)+',
    '(a*)*b',
    '(.*)*x',
    'a{0,200}a{0,200}',
    '(a?){200}a{200}',
  ]) {
    const pattern = new TopicPattern(text)
    const startMs = performance.now()
    t.notOk(pattern.matches(name), text)
    t.ok(performance.now() - startMs < 500)
  }
})

/** What object stores answer with is understood, and what nobody should answer with is refused. */
import t from 'tap'
import { escaped, parseXml, textOf } from '../../../src/tables/storage/xml.ts'

const parsed = (text: string) => parseXml(Buffer.from(text))

t.test('elements, and their text without escapes', async (t) => {
  const answer = parsed(
    '<?xml version="1.0" encoding="UTF-8"?>\n' +
      '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><!-- a <b> -->' +
      "<Empty/><a:Key id='1'>x&amp;y &lt;&#252;&#x1F600;&gt;</a:Key ><Key>other</Key>" +
      '<Raw><![CDATA[<&amp;>]]></Raw></ListBucketResult>\n',
  )
  t.equal(answer.name, 'ListBucketResult')
  t.same(
    answer.children.map(({ name, text }) => [name, text]),
    [
      ['Empty', ''],
      ['Key', 'x&y <ü😀>'],
      ['Key', 'other'],
      ['Raw', '<&amp;>'],
    ],
  )
  t.equal(textOf(answer, 'Key'), 'x&y <ü😀>')
  t.equal(textOf(answer, 'None'), '')
  const odd = '"<a>&\'ü'
  t.equal(parsed(`<x>${escaped(odd)}</x>`).text, odd)
})

t.test('nothing else', async (t) => {
  const bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;">]><x>&b;</x>'
  const refused: Record<string, string> = {
    'entities of its own': bomb,
    'an entity that is not known': '<x>&nbsp;</x>',
    'an entity without end': '<x>&amp</x>',
    'no entity': '<x>a & b</x>',
    'a character that there is not': '<x>&#x110000;</x>',
    'an instruction': '<x><?php ?></x>',
    nothing: '',
    text: 'Bad Gateway',
    HTML: '<html><br></html>',
    'two documents': '<x/><x/>',
    'text behind': '<x/>y',
    'an end too much': '<x/></x>',
    'another end': '<x><y></x></y>',
    'no end': '<x><y/>',
    'half a tag': '<x><y',
    'too deep': '<x>'.repeat(17) + '</x>'.repeat(17),
    'too much': `<x>${'<y/>'.repeat(50_000)}</x>`,
    'too long': `<x>${' '.repeat(8 * 1024 * 1024)}</x>`,
  }
  for (const [what, text] of Object.entries(refused)) {
    t.throws(() => parsed(text), { name: 'SyntaxError' }, what)
  }
  t.throws(() => parseXml(Buffer.from('<x>\xff</x>', 'latin1')), { name: 'SyntaxError' })
})

t.test('what goes on and on takes no time', async (t) => {
  for (const text of [
    '<x a="'.repeat(200_000),
    `<x${' a="b"'.repeat(200_000)}`,
    '<!--'.repeat(200_000),
  ]) {
    const started = process.cpuUsage().user
    t.throws(() => parsed(text))
    t.ok(process.cpuUsage().user - started < 2_000_000)
  }
})

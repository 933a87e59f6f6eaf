/** `millrace tables` as it is typed: rows in, rows out, and what is said where something does not fit. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const program = fileURLToPath(new URL('../../src/cli/millrace.js', import.meta.url))
const root = mkdtempSync(join(tmpdir(), 'millrace-tables-'))
t.teardown(() => rmSync(root, { recursive: true, force: true }))
const orders = join(root, 'shop', 'orders')

function tables(args: readonly string[], input: string | Buffer = '') {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, 'tables', ...args], {
    input,
    encoding: 'utf8',
  })
  return { status, stdout, stderr }
}

t.test('rows go into a table and come out again', async (t) => {
  const rows = '{"id":9007199254740993,"day":"2024-01-31"}\n\n{"id":2,"day":null}\n'
  const made = tables(['append', orders, '--json', '--partition-by', 'day'], rows)
  t.strictSame(made, { status: 0, stdout: '{"version":0,"rows":2,"files":2}\n', stderr: '' })
  t.match(tables(['append', orders], '{"DAY":"2024-02-01"}'), { stdout: /^Version 1: 1 rows/ })
  t.match(tables(['append', orders], ''), { status: 0, stdout: /^No rows/ })
  const read = tables(['read', orders, '--version', '0', '--json']).stdout
  const lines = (text: string) => text.split('\n').filter(Boolean).sort()
  t.strictSame(lines(read), lines(rows))
  t.match(tables(['changes', orders, '--from', '1']).stdout, /"_change_type":"insert"/)
  t.match(tables(['overwrite', orders], '{"id":7}'), { status: 0, stdout: /^Version 2/ })
  t.equal(tables(['read', orders]).stdout, '{"id":7,"day":null}\n')
  t.match(tables(['restore', orders, '--version', '0']).stdout, /2 files are back, 1 gone/)
  t.match(tables(['delete', orders, '--where', 'id = 3']).stdout, /^No row matches/)
  t.match(tables(['optimize', orders]).stdout, /^Nothing to do/)
  t.match(tables(['vacuum', orders, '--dry-run']).stdout, /^0 files would be deleted/)
  t.match(JSON.parse(tables(['list', root, '--json']).stdout), [
    { path: 'shop/orders', version: 3 },
  ])
})

t.test('what does not fit is said in a line, and nothing is committed', async (t) => {
  const refused = (args: readonly string[], input: string | Buffer, stderr: RegExp, status = 1) => {
    const told = tables(args, input)
    t.match(told, { status, stdout: '', stderr })
    t.notMatch(told.stderr, /\n {4}at /, 'no stack')
  }
  const other = join(root, 'other')
  refused(['append', orders], '{"id":1}\n{"id":"x"}', /line 2: id cannot hold "x"/)
  refused(['append', orders], '{"id":1}\n{"id":', /line 2: /)
  refused(['append', orders], Buffer.from([0x7b, 0xff]), /line 1: not UTF-8/)
  refused(['append', orders, '--property', 'a=b'], '', /for a table that is made/, 2)
  refused(['append', other], '', /no rows to infer/)
  refused(['append', other], '{"a":1}\n{"a":"x"}', /line 2: a is string, but was int64/)
  refused(['append', other, '--schema', '{"type":'], '', /schemaString/)
  refused(
    ['append', other, '--property', 'delta.constraints.x=id > 0'],
    '{"id":1}',
    /checkConstraints/,
  )
  refused(['read', other], '', /no Delta table/)
  refused(['delete', orders, '--where', 'id ='], '', /ends too early/)
  refused(['changes', orders], '', /--from is missing/, 2)
  refused(['vacuum', orders, '--retention-hours', '1'], '', /168 hours/)
  refused(['restore', orders, '--version', '77'], '', /no version 77/)
  t.match(JSON.parse(tables(['list', root, '--json']).stdout), [{ version: 3 }])
})

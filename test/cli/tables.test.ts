/** `millrace tables` as it is typed: rows in, rows out, and what is said where something does not fit. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
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
  t.match(tables(['append', orders], '{"DAY":"2024-02-01"}'), {
    stdout: /^Version 1: 1 row in 1 file\n/,
  })
  t.match(tables(['append', orders], ''), { status: 0, stdout: /^No rows/ })
  const read = tables(['read', orders, '--version', '0', '--json']).stdout
  const lines = (text: string) => text.split('\n').filter(Boolean).sort()
  t.strictSame(lines(read), lines(rows))
  t.match(tables(['changes', orders, '--from', '1']).stdout, /"_change_type":"insert"/)
  t.match(tables(['overwrite', orders], '{"id":7}'), { status: 0, stdout: /^Version 2/ })
  t.equal(tables(['read', orders]).stdout, '{"id":7,"day":null}\n')
  t.match(tables(['restore', orders, '--version', '0']).stdout, /: 2 files back, 1 gone/)
  const later = ['restore', orders, '--timestamp', '2100-01-01T00:00:00Z']
  t.match(tables(later).stdout, /^The table is as it was at version \d/)
  t.match(tables(['delete', orders, '--where', 'id = 3']).stdout, /^No row changes/)
  const other = join(root, 'merged')
  tables(['append', other], '{"id":1,"s":"a"}\n{"id":2,"s":"b"}')
  const upsert = '{"id":2}\n{"ID":1,"s":null,"gone":false}\n{"id":3}\n{"id":4,"gone":true}'
  const merge = ['merge', other, '--on', 'id', '--delete-marker', 'gone', '--json']
  const told = '{"version":1,"rowsInserted":1,"rowsUpdated":2,"rowsDeleted":0}\n'
  t.strictSame(tables(merge, upsert), { status: 0, stdout: told, stderr: '' })
  t.match(tables(['merge', other, '--on', 'id'], ''), { status: 0, stdout: /^No row changes/ })
  const ids = ['merge', other, '--on', 'id', '--when-matched', 'delete']
  t.match(tables([...ids, '--when-not-matched', 'nothing'], '{"id":1}\n{"id":9}'), {
    stdout: 'Version 2: 0 rows inserted, 0 updated, 1 deleted\n',
  })
  const where = ['--where', 'id BETWEEN 2 AND 3 AND s IS NULL', '--columns', 'id']
  t.equal(tables(['read', other, ...where]).stdout, '{"id":3}\n')
  const set = ['--set', "s = s || '!', id = id * 10", '--where', 'id = 2']
  t.equal(tables(['update', other, ...set, '--json']).stdout, '{"version":3,"rowsUpdated":1}\n')
  t.match(tables(['update', other, '--set', 'id = 2', '--set', "s='b'", '--where', 'id=20']), {
    stdout: 'Version 4: 1 row updated\n',
  })
  t.equal(tables(['read', other]).stdout, '{"id":2,"s":"b"}\n{"id":3,"s":null}\n')
  t.match(tables(['optimize', orders]).stdout, /^Nothing to do/)
  t.match(tables(['vacuum', orders, '--dry-run']).stdout, /^0 files would be deleted/)
  t.match(JSON.parse(tables(['list', root, '--json']).stdout), [
    { path: 'merged', version: 4 },
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
  refused(
    ['append', orders],
    '{"id":1}\n{"id":"x"}',
    /line 2: id cannot hold "x": it is of type long/,
  )
  refused(['append', orders], '{"id":1}\n{"id":', /line 2: /)
  refused(['append', orders], Buffer.from([0x7b, 0xff]), /line 1: not UTF-8/)
  refused(['append', orders, '--property', 'a=b'], '', /for a table that is made/, 2)
  refused(['append', other], '', /no rows to infer/)
  refused(['append', other], '{"a":1}\n{"a":"x"}', /line 2: a is string, but was long/)
  refused(['append', other, '--schema', '{"type":'], '', /schemaString/)
  refused(
    ['append', other, '--property', 'delta.constraints.x=id > 0'],
    '{"id":1}\n{"id":0}',
    /line 2: the constraint x \(id > 0\) is violated by a row: id is 0\n/,
  )
  refused(
    ['append', other, '--property', 'delta.enableChangeDataFeed=tru'],
    '{"id":1}',
    /delta.enableChangeDataFeed=tru: expected true or false/,
  )
  refused(['append', orders], '{"id":1}\n{"id":1,"id":2}', /line 2: two values for id\n/)
  refused(['append', orders], '{"id":1}\n{"id":1,"ID":2}', /line 2: two values for id, /)
  refused(['append', other], '{"id":1}\n{"id":1,"ID":2}', /line 2: ID and id: /)
  refused(
    ['overwrite', orders],
    '',
    /there are no rows to put there: nothing was committed\n.*--allow-empty/,
  )
  refused(['overwrite', orders], '\n\n', /there are no rows/)
  refused(['read', other], '', /no Delta table/)
  refused(['delete', orders, '--where', 'id ='], '', /ends too early/)
  refused(['merge', orders], '{"id":1}', /--on is missing/, 2)
  refused(['update', orders], '', /--set is missing/, 2)
  refused(['update', orders, '--set', 'id = 1 / 0'], '', /column id: .*division by zero|CAST/)
  refused(['read', orders, '--where', 'nope = 1'], '', /no column nope/)
  refused(['merge', orders, '--on', 'nope'], '{"id":1}', /no column nope/)
  refused(['merge', orders, '--on', 'id'], '{"id":1}\n{"id":"x"}', /line 2: id cannot hold "x"/)
  refused(['merge', orders, '--on', 'id'], '{"id":1}\n{"id":1}', /id 1 comes twice/)
  refused(['merge', orders, '--on', 'id', '--when-matched', 'x'], '', /expected update, delete/, 2)
  const marked = ['merge', orders, '--on', 'id', '--delete-marker']
  refused([...marked, 'day'], '', /is a column of the table/, 2)
  refused([...marked, 'gone'], '{"id":1,"gone":1}', /line 1: gone is neither true nor false/)
  refused(['changes', orders], '', /--from is missing/, 2)
  refused(['vacuum', orders, '--retention-hours', '1'], '', /168 hours/)
  refused(['restore', orders, '--version', '77'], '', /no version 77/)
  refused(['restore', orders, '--timestamp', '2000-01-01'], '', /no version is as old as 2000/)
  refused(['restore', orders, '--timestamp', 'noon'], '', /noon/, 2)
  refused(['restore', orders], '', /--version or --timestamp is missing/, 2)
  refused(['optimize', orders, '--z-order-by', 'id,nope'], '', /there is no column nope/)
  t.match(JSON.parse(tables(['list', root, '--json']).stdout), [{}, { version: 3 }])
})

t.test('a table is emptied only where that is asked for', async (t) => {
  const path = join(root, 'emptied')
  tables(['append', path], '{"id":1}')
  const told = tables(['overwrite', path, '--allow-empty', '--json'])
  t.strictSame(told, { status: 0, stdout: '{"version":1,"rows":0,"files":0}\n', stderr: '' })
  t.equal(tables(['read', path]).stdout, '')
  t.match(tables(['overwrite', path, '--allow-empty'], '{"id":2}').stdout, /^Version 2: 1 row in/)
})

t.test('what is no table, and no place for tables, is said to be none', async (t) => {
  const file = join(root, 'one.parquet')
  writeFileSync(file, 'PAR1')
  const table = ['describe', 'history', 'optimize', 'vacuum', 'append', 'overwrite']
  for (const args of [...table.map((one) => [one, file]), ['changes', file, '--from', '0']]) {
    const told = tables(args, '{"id":1}')
    t.match(told, { status: 1, stdout: '' }, args[0]!)
    t.match(
      told.stderr,
      `${file} is a file, and a Delta table is a directory\n\`millrace tables read\``,
    )
    t.notMatch(told.stderr, /ENOTDIR/)
  }
  for (const verb of ['describe', 'append', 'read']) {
    const told = tables([verb, join(file, 'below')], '{"id":1}')
    t.match(told, { status: 1, stdout: '', stderr: /a part of the path is no directory/ }, verb)
  }
  const nowhere = join(root, 'nowhere')
  t.match(tables(['list', nowhere]), {
    status: 1,
    stderr: `${nowhere}: there is no such directory`,
  })
  t.match(tables(['list', nowhere, '--json']), { status: 1, stdout: '' })
  t.match(tables(['list', file]), { status: 1, stderr: `${file} is no directory` })
  t.match(tables(['list', join(file, 'below')]), { status: 1, stdout: '' })
  mkdirSync(nowhere)
  const none = `There are no Delta tables below ${nowhere}\n`
  t.strictSame(tables(['list', nowhere]), { status: 0, stdout: none, stderr: '' })
  t.equal(tables(['list', nowhere, '--json']).stdout, '[]\n')
})

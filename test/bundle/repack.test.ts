import { copyFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { expect, it } from 'vitest'
import { repack } from '../../lib/bundle/build/repack.ts'
import { readWheel } from '../../lib/bundle/verify/read-wheel.ts'
import { temporaryFolder } from './temporary-folder.ts'
import { writeWheel } from './wheel-file.ts'

/** Writes its members anew, as another machine would have. */
const ELSEWHERE = `
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as old:
    members = [(name, old.read(name)) for name in old.namelist()]
with zipfile.ZipFile(sys.argv[1], "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new:
    for name, content in members:
        member = zipfile.ZipInfo(name, (2026, 1, 2, 3, 4, 5))
        member.external_attr = (0o100700 if name.endswith(".so") else 0o100600) << 16
        new.writestr(member, content)
`

it('a wheel that is built here is the same bytes whatever machine builds it', async () => {
  const folder = temporaryFolder()
  const files = { 'a/__init__.py': 'x = 1\n'.repeat(1000), 'a/native.so': 'native' }
  const here = await writeWheel(folder, { name: 'a', files })
  const elsewhere = join(temporaryFolder(), 'a-1.0-py3-none-any.whl')
  copyFileSync(here, elsewhere)
  await execa('python3', ['-c', ELSEWHERE, elsewhere])
  const again = join(temporaryFolder(), 'a-1.0-py3-none-any.whl')
  copyFileSync(elsewhere, again)
  const script =
    'import os, sys, zipfile; print(oct(zipfile.ZipFile(sys.argv[1]).getinfo("a/native.so").external_attr >> 16))'
  await repack(elsewhere)
  expect((await execa('python3', ['-c', script, elsewhere])).stdout).toBe('0o100755')
  expect((await readWheel(elsewhere)).mistakes).toEqual([])
  await execa('python3', [
    '-c',
    ELSEWHERE.replace('compresslevel=1', 'compresslevel=9').replace('3, 4, 5', '5, 4, 3'),
    again,
  ])
  await repack(again)
  expect(readFileSync(again).equals(readFileSync(elsewhere))).toBe(true)
})

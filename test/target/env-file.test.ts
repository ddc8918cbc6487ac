import { execFileSync } from 'node:child_process'
import { rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { TestTarget } from './target.ts'
import { Workshop } from './workshop.ts'

let workshop: Workshop
let target: TestTarget
let file: string
beforeAll(async () => {
  workshop = await Workshop.open('env-file')
  target = await workshop.newTarget({ env_file: '/etc/guestbook.env' })
  target.writeFile('etc/guestbook.env', '')
  file = `${target.root}/etc/guestbook.env`
})
beforeEach(() => rmSync(file, { force: true }))
afterAll(() => workshop.close())

describe('env_file', () => {
  it.each([
    ['a pipe that nobody writes into', () => execFileSync('mkfifo', [file]), 'it is no plain file'],
    ['a device', () => symlinkSync('/dev/zero', file), 'it is no plain file'],
    [
      'not UTF-8',
      () => writeFileSync(file, Buffer.from('TEA=th\xe9\n', 'latin1')),
      "'utf-8' codec can't decode",
    ],
    ['not text', () => writeFileSync(file, 'TEA=a\0b\n'), 'it has null characters'],
    ['absent', () => {}, 'No such file or directory'],
  ])('says so where it is %s', async (_, make, why) => {
    make()
    const { verdict } = await target.run('prepare', await workshop.publishApp())
    expect(verdict.outcome).toBe('failed')
    expect(verdict.reason).toContain(`env_file ${file} cannot be read: ${why}`)
  })
})

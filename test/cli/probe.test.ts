import { join } from 'node:path'
import { execa } from 'execa'
import { expect, it } from 'vitest'
import { findPython } from '../../lib/bundle/find-python.ts'

const PROGRAM = join(import.meta.dirname, '../../bin/pybundle.ts')
const pybundle = (args: string[], input = '') =>
  execa(process.execPath, [PROGRAM, ...args], { input, reject: false })

it('pybundle probe prints a command for a target, and reads what that prints', async () => {
  const { platform, executable } = await findPython()
  const { stdout: command } = await pybundle(['probe', '--python', executable])
  const { stdout: answer } = await execa('sh', { input: command })
  const lines = `platform = "${platform.libc.join('-')}-${platform.machine}"\npython = "${platform.python}"`
  expect((await pybundle(['probe', '-'], answer)).stdout).toBe(lines)
  expect((await pybundle(['probe', answer])).stdout).toBe(lines)
  expect(JSON.parse((await pybundle(['probe', answer, '--json'])).stdout)).toMatchObject(platform)
  expect(await pybundle(['probe', 'nowhere'])).toMatchObject({
    exitCode: 1,
    stderr: expect.stringMatching(/^cannot read .*nowhere/),
  })
})

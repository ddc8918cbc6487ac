import { execa } from 'execa'
import { describe, expect, it } from 'vitest'
import { findPython } from '../../lib/bundle/find-python.ts'
import { platformOf } from '../../lib/bundle/platform.ts'
import { probeCommand, readProbe } from '../../lib/bundle/probe.ts'

const ANSWER = {
  implementation: 'CPython',
  version: '3.11.7',
  machine: 'aarch64',
  bits: 64,
  libc: ['glibc', '2.26'],
  free_threaded: false,
  venv: true,
}
const LAPTOP = { machine: 'arm64', libc: ['macos', '14.0'] as ['macos', string], python: '3.13' }

describe('the probe of a target', () => {
  it('tells what this machine is, run by a shell', async () => {
    const { executable, platform } = await findPython()
    const { stdout } = await execa('sh', { input: probeCommand(executable) })
    const probed = readProbe(stdout)
    expect(probed.platform).toEqual(platform)
    expect(platformOf(probed.name, probed.platform.python, LAPTOP)).toEqual(platform)
  })

  it('gives a name for the configuration, whatever is printed around the answer', () => {
    const { name, platform } = readProbe(`Welcome!\n${JSON.stringify(ANSWER)}\nlogout\n`)
    expect(name).toBe('glibc-2.26-aarch64')
    expect(platformOf(name, '3.11', LAPTOP)).toEqual(platform)
    const broken =
      JSON.stringify(ANSWER)
        .match(/.{1,20}/g)
        ?.join('\r\n') ?? ''
    expect(readProbe(`$ ${broken}\r\n$`).name).toBe(name)
    expect(readProbe(JSON.stringify({ ...ANSWER, libc: ['musl', '1.2.4'] })).name).toBe('musl-1.2-aarch64')
  })

  it.each([
    [{ implementation: 'PyPy' }, 'its Python is PyPy'],
    [{ version: '3.6.8' }, 'its Python is 3.6.8; the oldest that can be used is 3.8'],
    [{ bits: 32 }, '32 bits'],
    [{ free_threaded: true }, 'free-threaded'],
    [{ venv: false }, 'no "venv" module'],
    [{ libc: ['bionic', '1'] }, 'that is not what the command of "pybundle probe" prints'],
  ])('refuses a target that no bundle could be for: %j', (difference, why) => {
    expect(() => readProbe(JSON.stringify({ ...ANSWER, ...difference }))).toThrow(why)
  })

  it('refuses what is no answer', () => {
    expect(() => readProbe('bash: python3: command not found')).toThrow(/that is not what the command/)
  })
})

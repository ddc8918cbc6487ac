import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { describe, expect, it, vi } from 'vitest'
import { findPython } from '../../lib/bundle/find-python.ts'
import { makeBundle, useLaptop, writeApp } from './laptop.ts'
import { startIndex } from './package-index.ts'
import { temporaryFolder } from './temporary-folder.ts'
import { type WheelOptions, writeWheel } from './wheel-file.ts'

useLaptop()

/** A CPU that this machine has not. */
const [cpu, machine] = process.arch === 'arm64' ? ['x86_64', 'x86_64'] : ['arm64', 'aarch64']
const PLATFORM = [`amazon-linux-2023-${cpu}`, '3.11'] as const

async function indexOf(wheels: readonly WheelOptions[], sources: readonly { name: string }[] = []) {
  const index = await startIndex([], sources)
  for (const wheel of wheels) await writeWheel(index.folder, wheel)
  vi.stubEnv('PIP_INDEX_URL', index.url)
  return index
}

const ours = async (requirements: string) =>
  (
    await makeBundle(
      writeApp({ requirements: `${requirements}# ${process.env.PIP_INDEX_URL}\n` }),
      ...PLATFORM,
    )
  ).wheels

/** In the obvious way, of which pip's own documentation speaks. */
async function pips(...requirements: string[]): Promise<string[]> {
  const { executable, pip } = await findPython()
  const dest = temporaryFolder()
  const options = ['--only-binary=:all:', '--python-version=3.11', `--platform=manylinux_2_34_${machine}`]
  await execa(executable, [join(pip, 'pip'), 'download', ...options, '--dest', dest, ...requirements])
  return readdirSync(dest).sort()
}

describe('pip alone, and we', () => {
  it('differ in markers, those of an extra of a dependency too', async () => {
    await indexOf([
      { name: 'app', requires: ['lib[fast]'] },
      {
        name: 'lib',
        extras: ['fast'],
        requires: [`speed; extra=="fast" and platform_machine=="${machine}"`],
      },
      { name: 'speed' },
    ])
    const without = ['app-1.0-py3-none-any.whl', 'lib-1.0-py3-none-any.whl']
    expect(await pips('app')).toEqual(without)
    expect(await ours('app\n')).toEqual([...without, 'speed-1.0-py3-none-any.whl'])
  })

  it('differ in the tags that a platform takes: one level of glibc is all those below, by either name', async () => {
    const names = { a: 'manylinux2014', b: 'manylinux_2_17', c: 'manylinux_2_28' }
    await indexOf(
      Object.entries(names).flatMap(([name, tag]) => [
        { name },
        { name, version: '2.0', tag: `cp311-cp311-${tag}_${machine}` },
        { name, version: '3.0', tag: `cp311-cp311-manylinux_2_35_${machine}` },
        { name, version: '4.0', tag: `cp311-cp311-musllinux_1_2_${machine}` },
        { name, version: '5.0', tag: `cp312-cp312-manylinux_2_17_${machine}` },
      ]),
    )
    expect(await pips('a', 'b', 'c')).toEqual(['a', 'b', 'c'].map((name) => `${name}-1.0-py3-none-any.whl`))
    expect(await ours('a\nb\nc\n')).toEqual(
      Object.entries(names).map(([name, tag]) => `${name}-2.0-cp311-cp311-${tag}_${machine}.whl`),
    )
  })

  it('agree on the stable ABI, of older Pythons only', async () => {
    await indexOf([
      { name: 'a', tag: `cp38-abi3-manylinux_2_34_${machine}` },
      { name: 'a', version: '2.0', tag: `cp312-abi3-manylinux_2_34_${machine}` },
    ])
    const stable = [`a-1.0-cp38-abi3-manylinux_2_34_${machine}.whl`]
    expect([await pips('a'), await ours('a\n')]).toEqual([stable, stable])
  })

  it('differ in the source that a package names by its address: it is no wheel, whatever was asked for', async () => {
    const { url, folder } = await indexOf([], [{ name: 'beta' }])
    const address = `${url.replace('/simple', '/files')}/beta-1.0.tar.gz`
    await writeWheel(folder, { name: 'app', requires: [`beta @ ${address}`] })
    expect(await pips('app')).toEqual(['app-1.0-py3-none-any.whl', 'beta-1.0.tar.gz'])
    await expect(ours('app\n')).rejects.toThrow(/beta-1\.0\.tar\.gz.*: another package names it/)
  })

  it('differ in what was built on some Linux: of that nobody knows what it needs', async () => {
    const tag = `cp311-cp311-linux_${machine}`
    const { folder } = await indexOf([{ name: 'native', tag }])
    await expect(ours('native\n')).rejects.toThrow(
      `of the wheels in the index none fits:\n- "native-1.0-${tag}.whl" is for ${tag}`,
    )
    // Named by its file, it is looked into: it needs nothing that is not everywhere.
    expect(await ours(`${folder}/native-1.0-${tag}.whl\n`)).toEqual([
      `native-1.0-cp311-cp311-manylinux_2_17_${machine}.whl`,
    ])
  })

  it('agree on what is refused for its Python, and on the newest that is not', async () => {
    await indexOf([{ name: 'a' }, { name: 'a', version: '2.0', requiresPython: '>=3.12' }])
    const older = ['a-1.0-py3-none-any.whl']
    expect([await pips('a'), await ours('a\n')]).toEqual([older, older])
    await expect(ours('a==2.0\n')).rejects.toThrow(/>=3\.12/)
  })

  it('differ in what only some patch releases of the Python need: all of it is there', async () => {
    await indexOf([
      {
        name: 'app',
        requires: ['late; python_full_version>="3.11.4"', 'early; python_full_version<"3.11.2"'],
      },
      { name: 'early' },
      { name: 'late' },
    ])
    const all = ['app-1.0-py3-none-any.whl', 'early-1.0-py3-none-any.whl', 'late-1.0-py3-none-any.whl']
    expect(await ours('app ; python_full_version>="3.11.4" and python_version<"4.0"\n')).toEqual(all)
  })

  it('differ in requirements of which none applies: pip is content with nothing', async () => {
    await indexOf([{ name: 'app' }])
    await expect(ours('app ; sys_platform=="win32"\n')).rejects.toThrow(/the markers .* are false there/)
  })

  it('differ in what they tell of a package whose wheels are for others', async () => {
    const tags = [`cp311-cp311-manylinux_2_35_${machine}`, 'cp311-cp311-win_amd64']
    await indexOf(tags.map((tag) => ({ name: 'a', tag })))
    await expect(pips('a')).rejects.toThrow('from versions: none')
    const why = (tag: string) =>
      `- "a-1.0-${tag}.whl" is for ${tag}, not for ${machine}, glibc 2.34, Python 3.11`
    await expect(ours('a\n')).rejects.toThrow(tags.map(why).join('\n'))
  })

  it('agree on a script that two packages bring for one function, and differ where it is for two', async () => {
    const script = (calls: string) => `[console_scripts]\nrun = ${calls}:main\n`
    await indexOf([
      { name: 'full', requires: ['skinny'], entryPoints: script('skinny') },
      { name: 'skinny', entryPoints: script('skinny').replaceAll(' ', '') },
      { name: 'other', requires: ['skinny'], entryPoints: script('other') },
    ])
    const both = ['full-1.0-py3-none-any.whl', 'skinny-1.0-py3-none-any.whl']
    expect([await pips('full'), await ours('full\n')]).toEqual([both, both])
    await expect(ours('other\n')).rejects.toThrow(/both own "<virtualenv>\/bin\/run"/)
  })

  it('name a dependency that nobody has', async () => {
    await indexOf([{ name: 'a', requires: ['gone>=2'] }])
    await expect(ours('a\n')).rejects.toThrow(/gone>=2/)
  })
})

import { execa } from 'execa'
import { describe, expect, it } from 'vitest'
import { findPython } from '../../lib/bundle/find-python.ts'
import { PLATFORM_NAMES, type Platform, platformOf, THIS_MACHINE } from '../../lib/bundle/platform.ts'
import { platformTags, wheelTags } from '../../lib/bundle/tags.ts'
import { parseWheelName, whyUnfit } from '../../lib/bundle/wheel.ts'

const AL2023: Platform = { machine: 'x86_64', libc: ['glibc', '2.34'], python: '3.11' }

/** The reference implementation, as every pip carries it, told to be on another machine. */
const REFERENCE = `
import json, sys
sys.path.insert(0, sys.argv[1])
from pip._vendor.packaging import _manylinux, tags
machine, libc, version, python = sys.argv[2:]
minor = tuple(int(part) for part in python.split("."))
if libc == "macos":
    platforms = list(tags.mac_platforms(tuple(int(part) for part in version.split(".")), machine))
else:
    _manylinux._glibc_version_string = lambda: version
    _manylinux._get_glibc_version.cache_clear()
    _manylinux._have_compatible_abi = lambda *_: True
    platforms = []
    for level in range(int(version.split(".")[1]), 16 if machine == "aarch64" else 4, -1):
        platforms.append("manylinux_2_%d_%s" % (level, machine))
        if (2, level) in _manylinux._LEGACY_MANYLINUX_MAP:
            platforms.append("%s_%s" % (_manylinux._LEGACY_MANYLINUX_MAP[2, level], machine))
abi = "cp3%d" % minor[1]
all = [*tags.cpython_tags(minor, [abi], platforms), *tags.compatible_tags(minor, abi, platforms)]
print(json.dumps(sorted(str(tag) for tag in all)))
`

async function referenceTags({ machine, libc, python }: Platform): Promise<string[]> {
  const { executable, pip } = await findPython()
  const { stdout } = await execa(executable, ['-I', '-c', REFERENCE, pip, machine, ...libc, python])
  return JSON.parse(stdout)
}

describe('the tags of a platform', () => {
  it.each<[string, Platform]>([
    ['Amazon Linux 2023', AL2023],
    ['Debian 13 on arm64', { machine: 'aarch64', libc: ['glibc', '2.41'], python: '3.13' }],
    ['an old Python', { machine: 'x86_64', libc: ['glibc', '2.39'], python: '3.8' }],
    ['a Mac', { machine: 'arm64', libc: ['macos', '14.5'], python: '3.12' }],
    ['a Mac of Intel', { machine: 'x86_64', libc: ['macos', '12.0'], python: '3.9' }],
  ])("are packaging's own for %s", async (_, platform) => {
    expect([...wheelTags(platform)].sort()).toEqual([...new Set(await referenceTags(platform))].sort())
  })

  it("hold the wheels of today's Macs", async () => {
    const mac: Platform = { machine: 'arm64', libc: ['macos', '14.5'], python: '3.12' }
    const unfit = (file: string) => whyUnfit(file, mac)
    expect(unfit('numpy-2.1.0-cp312-cp312-macosx_11_0_arm64.whl')).toBeUndefined()
    expect(unfit('lxml-6.1.3-cp312-cp312-macosx_10_13_universal2.whl')).toBeUndefined()
    expect(unfit('x-1-cp312-cp312-macosx_10_13_x86_64.whl')).toMatch(/is for/)
    expect(unfit('x-1-cp312-cp312-macosx_15_0_arm64.whl')).toMatch(/is for/)
  })

  it('are never of the laptop itself, whose wheels are built against its own libraries', () => {
    expect(platformTags(AL2023).some((tag) => tag.startsWith('linux'))).toBe(false)
  })
})

describe('a wheel', () => {
  it.each([
    ['flask-3.0.0-py3-none-any.whl'],
    ['numpy-2.1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl'],
    ['lxml-5.0-cp311-cp311-manylinux_2_26_x86_64.manylinux_2_99_x86_64.whl'],
    ['cryptography-43.0-cp39-abi3-manylinux_2_34_x86_64.whl'],
    ['six-1.16.0-py2.py3-none-any.whl'],
    ['x-1.0-1build-py3-none-any.whl'],
  ])('fits: %s', (file) => {
    expect(whyUnfit(file, AL2023)).toBeUndefined()
  })

  it.each([
    ['numpy-2.1.0-cp312-cp312-manylinux_2_17_x86_64.whl'],
    ['numpy-2.1.0-cp311-cp311-manylinux_2_17_aarch64.whl'],
    ['numpy-2.1.0-cp311-cp311-manylinux_2_35_x86_64.whl'],
    ['numpy-2.1.0-cp311-cp311-musllinux_1_2_x86_64.whl'],
    ['numpy-2.1.0-cp311-cp311-linux_x86_64.whl'],
    ['numpy-2.1.0-cp311-cp311-macosx_11_0_arm64.whl'],
  ])('does not fit: %s', (file) => {
    expect(whyUnfit(file, AL2023)).toMatch(/is for .* not for x86_64, glibc 2.34, Python 3.11$/)
  })

  it('is told from anything else', () => {
    expect(whyUnfit('/cache/gamma-0.1.zip', AL2023)).toBe(
      '"gamma-0.1.zip" is not a wheel, and a target must not have to build one',
    )
  })

  it('has the name by which packages are compared', () => {
    expect(parseWheelName('Zope.Interface-6.0-py3-none-any.whl')).toMatchObject({
      name: 'zope-interface',
      version: '6.0',
    })
  })
})

describe('a preset', () => {
  const laptop: Platform = { machine: 'arm64', libc: ['macos', '14.0'], python: '3.13' }

  it('means its distribution, whatever the laptop is', () => {
    expect(platformOf('ubuntu-24.04-arm64', '3.12', laptop)).toEqual({
      machine: 'aarch64',
      libc: ['glibc', '2.39'],
      python: '3.12',
    })
  })

  it.each([
    ['amazon-linux-2', '2.26'],
    ['amazon-linux-2023', '2.34'],
    ['ubuntu-20.04', '2.31'],
    ['ubuntu-22.04', '2.35'],
    ['ubuntu-24.04', '2.39'],
    ['ubuntu-26.04', '2.43'],
    ['debian-11', '2.31'],
    ['debian-12', '2.36'],
    ['debian-13', '2.41'],
    ['rhel-8', '2.28'],
    ['rocky-9', '2.34'],
    ['almalinux-10', '2.39'],
    ['sles-15', '2.31'],
  ])('has the glibc of %s', (distribution, glibc) => {
    expect(platformOf(`${distribution}-x86_64`, '3.11', laptop).libc).toEqual(['glibc', glibc])
  })

  it('may be exact, whatever its CPU is called', () => {
    const arm = { machine: 'aarch64', libc: ['musl', '1.2'], python: '3.12' }
    expect(platformOf('musl-1.2-aarch64', '3.12', laptop)).toEqual(arm)
    expect(platformOf('musl-1.2-arm64', '3.12', laptop)).toEqual(arm)
    expect(platformOf('macos-15.0-arm64', undefined, laptop)).toEqual({ ...laptop, libc: ['macos', '15.0'] })
  })

  it('is there for both CPUs', () => {
    const cpus = PLATFORM_NAMES.filter((name) => name !== THIS_MACHINE).map((name) => name.split('-').at(-1))
    expect(cpus.filter((cpu) => cpu === 'x86_64').length).toBe(cpus.filter((cpu) => cpu === 'arm64').length)
  })
})

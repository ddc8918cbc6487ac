import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { findPython } from '../../lib/bundle/find-python.ts'
import type { Platform } from '../../lib/bundle/platform.ts'
import { verifyWheels } from '../../lib/bundle/verify/verify.ts'
import { UserError } from '../../lib/user-error.ts'
import { elfFile } from './elf-file.ts'
import { temporaryFolder } from './temporary-folder.ts'
import { type WheelOptions, writeWheel } from './wheel-file.ts'

const AL2023: Platform = { machine: 'aarch64', libc: ['glibc', '2.34'], python: '3.11' }

const ARM64 = 183

interface Case {
  wheels: (WheelOptions | string)[]
  asked?: string[]
}

/** The problems, one a line, without the head line; nothing when all is well. */
async function problemsOf({ wheels, asked = [] }: Case, folder = temporaryFolder()): Promise<string[]> {
  const paths: string[] = []
  for (const wheel of wheels) paths.push(typeof wheel === 'string' ? wheel : await writeWheel(folder, wheel))
  const python = await findPython()
  const error = await verifyWheels({ wheels: paths, platform: AL2023, asked, python }).catch(
    (thrown) => thrown,
  )
  if (error === undefined) return []
  expect(error).toBeInstanceOf(UserError)
  const [head, ...problems] = error.message.split('\n')
  expect(head).toMatch(
    /^the bundle would not work on aarch64, glibc 2.34, Python 3.11: (a problem|\d+ problems)$/,
  )
  return problems.map((problem: string) => problem.replace(/^- /, ''))
}

describe('wheels that fit together', () => {
  it('pass, with extras, markers and specifiers as the platform has them', async () => {
    const wheels = [
      {
        name: 'app',
        requires: [
          'needed[fast-path]>=1,<3',
          'absent; python_version<"3.10"',
          'absent; platform_machine=="x86_64"',
          'absent; sys_platform=="win32"',
          'absent; extra=="never"',
          'arm ; platform_machine == "aarch64" and implementation_name == "cpython"',
        ],
        extras: ['never'],
      },
      { name: 'needed', version: '2.0', extras: ['fast_path'], requires: ['speed>=1; extra=="fast_path"'] },
      { name: 'speed' },
      { name: 'arm', tag: 'cp311-cp311-manylinux_2_17_aarch64', requiresPython: '>=3.8,!=3.11.0' },
    ]
    expect(await problemsOf({ wheels, asked: ['app>=1', 'windows-only; sys_platform=="win32"'] })).toEqual([])
  })

  it('pass, where an extra asks for others, in circles, and however they are spelled', async () => {
    const wheels = [
      {
        name: 'a',
        extras: ['all', 'Fast.Path', 'x'],
        requires: ['A[fast_path,x]; extra=="all"', 'b[c]; extra=="fast-path"', 'd==1.0+cpu; extra=="x"'],
      },
      { name: 'b', extras: ['c'], requires: ['a[all]; extra=="c"', 'd==1.0'] },
      { name: 'd', version: '1.0+cpu' },
    ]
    const asked = ['a[all]>=0.9', 'unneeded; extra=="x"', 'b; python_full_version>="3.11"']
    expect(await problemsOf({ wheels, asked })).toEqual([])
    expect(await problemsOf({ wheels: wheels.slice(0, 2), asked })).toEqual([
      '"b" needs d==1.0, which is not there',
      '"a[x]" needs d==1.0+cpu; extra == "x", which is not there',
    ])
  })

  it('may own one path where its content is the same, as an empty tests/__init__.py', async () => {
    const files = { 'tests/__init__.py': '' }
    expect(
      await problemsOf({
        wheels: [
          { name: 'a', files },
          { name: 'b', files },
        ],
      }),
    ).toEqual([])
  })
})

it('wheels may have headers of one name, which are installed by package', async () => {
  const header = (name: string) => ({ name, files: { [`${name}-1.0.data/headers/api.h`]: name } })
  expect(await problemsOf({ wheels: [header('a'), header('b')] })).toEqual([])
})

describe('verification finds', () => {
  it.each<[string, Case, string[]]>([
    [
      'a tag of another platform',
      { wheels: [{ name: 'a', tag: 'cp311-cp311-manylinux_2_35_aarch64' }] },
      [
        '"a-1.0-cp311-cp311-manylinux_2_35_aarch64.whl" is for cp311-cp311-manylinux_2_35_aarch64, not for aarch64, glibc 2.34, Python 3.11',
      ],
    ],
    [
      'another Python',
      { wheels: [{ name: 'a', requiresPython: '>=3.12' }] },
      ['"a-1.0-py3-none-any.whl": it needs Python >=3.12'],
    ],
    [
      'what is missing',
      {
        wheels: [{ name: 'a', requires: ['b (>=2)', 'c; extra=="x"'], extras: ['x'] }],
        asked: ['a[x]', 'd'],
      },
      [
        'the requirements ask for d, which is not there',
        '"a" needs b>=2, which is not there',
        '"a[x]" needs c; extra == "x", which is not there',
      ],
    ],
    [
      'what conflicts',
      {
        wheels: [
          { name: 'a', requires: ['b<2'] },
          { name: 'b', version: '2.0' },
        ],
        asked: ['b==2.1'],
      },
      [
        'the requirements ask for b==2.1, but version 2.0 is there',
        '"a" needs b<2, but version 2.0 is there',
      ],
    ],
    [
      'a package that is there twice',
      { wheels: [{ name: 'a' }, { name: 'A', version: '1.1', files: {} }] },
      ['one package in 2 wheels: "a-1.0-py3-none-any.whl", "A-1.1-py3-none-any.whl"'],
    ],
    [
      'metadata of another package or version',
      {
        wheels: [
          { name: 'a', metadata: { name: 'evil' } },
          { name: 'b', metadata: { version: '9' } },
        ],
      },
      [
        '"a-1.0-py3-none-any.whl": its metadata is of "evil"',
        '"b-1.0-py3-none-any.whl": its metadata is of version 9',
      ],
    ],
    [
      'a requirement that is none',
      { wheels: [{ name: 'a', requires: ['b ~~ 1'] }] },
      ['"a-1.0-py3-none-any.whl": it needs "b ~~ 1", which is not a requirement'],
    ],
    [
      'two wheels that own one path',
      {
        wheels: [
          { name: 'a', files: { 'common.py': 'a', 'a-1.0.data/scripts/run': 'a' } },
          {
            name: 'b',
            files: { 'b-1.0.data/purelib/common.py': 'b' },
            entryPoints: '[console_scripts]\nrun = b:main\n',
          },
        ],
      },
      ['"a-1.0-py3-none-any.whl" and "b-1.0-py3-none-any.whl" both own "common.py", "<virtualenv>/bin/run"'],
    ],
    [
      'a file that is not what RECORD says, and one that is gone',
      { wheels: [{ name: 'a', record: { 'a.py': 'before', 'gone.py': 'x' } }] },
      [
        '"a-1.0-py3-none-any.whl": "a.py" is not what its RECORD says: the sha256 differs',
        '"a-1.0-py3-none-any.whl": its RECORD lists "gone.py", which is not in it',
      ],
    ],
    [
      'native files that the platform cannot load, whatever the tags say',
      {
        wheels: [
          { name: 'a', files: { 'a.so': elfFile({ machine: ARM64, versions: ['GLIBC_2.38'] }) } },
          { name: 'b', tag: 'cp311-cp311-manylinux_2_17_aarch64', files: { 'b.so': elfFile({}) } },
          { name: 'any', files: { 'any-amd64.so': elfFile({}) } },
          {
            name: 'c',
            tag: 'cp311-cp311-manylinux_2_17_aarch64',
            files: { 'c.so': elfFile({}), 'c-arm.so': elfFile({ machine: ARM64 }) },
          },
        ],
      },
      [
        '"a-1.0-py3-none-any.whl": "a.so" needs glibc 2.38',
        '"b-1.0-cp311-cp311-manylinux_2_17_aarch64.whl": "b.so" is for x86_64, 64 bits',
      ],
    ],
    [
      'what pip installs nowhere',
      {
        wheels: [
          { name: 'a', files: { 'a-1.0.data/etc/a.conf': '' } },
          { name: 'b', format: '2.0' },
        ],
      },
      [
        '"a-1.0-py3-none-any.whl": its .data has "etc", for which there is no place',
        '"b-1.0-py3-none-any.whl": it is a wheel of version 2.0, which pip does not know',
      ],
    ],
    [
      'files that are one where case does not count',
      { wheels: [{ name: 'a', files: { 'a/Readme': '', 'a/README': '' } }] },
      [
        '"a-1.0-py3-none-any.whl" cannot be read: "a/README" and "a/Readme" are one file where case does not count',
      ],
    ],
    [
      'what is no wheel',
      { wheels: ['/cache/gamma-0.1.zip'] },
      ['"gamma-0.1.zip" is not a wheel, and a target must not have to build one'],
    ],
  ])('%s', async (_, wrong, problems) => {
    expect(await problemsOf(wrong)).toEqual(problems)
  })

  it('a wheel that was cut off, and goes on with the others', async () => {
    const folder = temporaryFolder()
    const cut = await writeWheel(folder, { name: 'cut' })
    writeFileSync(cut, readFileSync(cut).subarray(0, -30))
    expect(await problemsOf({ wheels: [cut, { name: 'a', requires: ['b'] }] }, folder)).toEqual([
      expect.stringMatching(/^"cut-1.0-py3-none-any.whl" cannot be read: /),
      '"a" needs b, which is not there',
    ])
  })

  it('a file that is no zip at all', async () => {
    const file = join(temporaryFolder(), 'a-1.0-py3-none-any.whl')
    writeFileSync(file, 'hello')
    expect(await problemsOf({ wheels: [file] })).toEqual([
      expect.stringMatching(/^"a-1.0-py3-none-any.whl" cannot be read: /),
    ])
  })
})

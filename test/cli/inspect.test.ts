import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { packBundle } from '../../lib/bundle/pack.ts'
import { releaseKey, stateKey } from '../../lib/release/keys.ts'
import { EMPTY_STATE } from '../../lib/release/state.ts'
import { temporaryFolder } from '../bundle/temporary-folder.ts'
import { type WheelOptions, writeWheel } from '../bundle/wheel-file.ts'
import { startBucket } from './bucket.ts'
import { pybundle, teamRepository } from './team.ts'

let cache: string
beforeAll(() => {
  cache = mkdtempSync(join(tmpdir(), 'pybundle-cache-'))
})
afterAll(() => rmSync(cache, { recursive: true }))

async function bundleOf(name: string, wheels: WheelOptions[], roots: string[], python = '3.11') {
  const folder = temporaryFolder()
  const paths: string[] = []
  for (const wheel of wheels) paths.push(await writeWheel(folder, wheel))
  const pip = await writeWheel(folder, { name: 'pip', version: '24.0' })
  const file = join(folder, `${name}.pybundle`)
  const digest = await packBundle(
    { platform: { machine: 'x86_64', libc: ['glibc', '2.34'], python }, roots, wheels: paths, pip },
    file,
  )
  return { file, digest }
}

const SHOP: WheelOptions[] = [
  { name: 'shop', requires: ['alpha>=1', 'beta; extra=="fast"'], extras: ['fast'] },
  { name: 'alpha', version: '1.2' },
  { name: 'beta' },
  { name: 'stray' },
]

describe('pybundle bundle', () => {
  it('makes what publishing would make, and leaves it where the user stands', async () => {
    const { folder } = await teamRepository()
    const made = await pybundle(folder, ['bundle', '--json'], { XDG_CACHE_HOME: cache })
    const { file, digest, size } = JSON.parse(made.out)
    expect([made.code, file]).toEqual([0, join(folder, `shop-${digest.slice(0, 12)}.pybundle`)])
    expect(readFileSync(file)).toHaveLength(size)

    mkdirSync(join(folder, 'out'))
    const again = await pybundle(folder, ['bundle', '--output', 'out'], { XDG_CACHE_HOME: cache })
    expect(again).toMatchObject({ code: 0, out: join(folder, 'out', basename(file)) })
    expect(again.err).toMatch(/^Reusing bundle /)
    const named = await pybundle(folder, ['bundle', '--output', 'x.pybundle'], { XDG_CACHE_HOME: cache })
    expect(named.out).toBe(join(folder, 'x.pybundle'))
    expect(existsSync(named.out)).toBe(true)
  })
})

describe('pybundle inspect', () => {
  it('shows platform, packages, and why each is there', async () => {
    const { file, digest } = await bundleOf('shop', SHOP, ['shop'])
    const { code, out } = await pybundle('/', ['inspect', file])
    expect(code).toBe(0)
    const lines = out.split('\n').map((line) => line.replace(/\d+ bytes/, '# bytes').trimEnd())
    expect(lines).toEqual([
      `bundle ${digest.slice(0, 12)}`,
      `file      ${file}`,
      expect.stringMatching(/^size {6}/),
      'platform  x86_64, glibc 2.34, Python 3.11',
      'packages  4, 1 of them named by the requirements',
      'tools     pip 24.0',
      '',
      expect.stringMatching(/^package +version +size +why$/),
      expect.stringMatching(/^alpha +1.2 +# bytes +shop needs alpha>=1$/),
      expect.stringMatching(/^beta +1.0 +# bytes +shop\[fast\] needs beta$/),
      expect.stringMatching(/^shop +1.0 +# bytes +required$/),
      expect.stringMatching(/^stray +1.0 +# bytes +nothing in it asks for it$/),
    ])
  })

  it('says the same as JSON', async () => {
    const { file, digest } = await bundleOf('shop', SHOP, ['shop'])
    const { out } = await pybundle('/', ['inspect', '--json', file])
    expect(JSON.parse(out)).toMatchObject({
      format: 2,
      digest,
      platform: { python: '3.11' },
      pip: '24.0',
      packages: [
        {
          name: 'alpha',
          version: '1.2',
          isRoot: false,
          neededBy: [{ name: 'shop', requirement: 'alpha>=1' }],
        },
        { name: 'beta' },
        { name: 'shop', file: 'shop-1.0-py3-none-any.whl', isRoot: true, neededBy: [] },
        { name: 'stray' },
      ],
      problems: [],
    })
  })

  it('tells what is wrong with a bundle that somebody else made', async () => {
    const wheels = [{ name: 'a', requires: ['gone'], metadata: { name: 'b' } }]
    const { file } = await bundleOf('bad', wheels, ['a'])
    const { code, out } = await pybundle('/', ['inspect', file])
    expect([code, out.split('\n').slice(-3)]).toEqual([
      0,
      [
        'it would not work on its platform:',
        '- "a-1.0-py3-none-any.whl": its metadata is of "b"',
        '- "a" needs gone, which is not there',
      ],
    ])
    const [bucket, { folder }] = [await startBucket(), await teamRepository()]
    const args = ['publish-bundle', '--environment', 'staging', '--from', file]
    expect(await pybundle(folder, args, bucket.env)).toMatchObject({
      code: 1,
      err: `${file} would not work:\n- "a-1.0-py3-none-any.whl": its metadata is of "b"\n- "a" needs gone, which is not there`,
    })
    expect(await bucket.keys()).toEqual([])
  })

  it('lists a bundle of format 1, and says how to convert it', async () => {
    const file = new URL('../bundle/data/pip-simplebundle.pybundle', import.meta.url).pathname
    const { code, out } = await pybundle('/', ['inspect', file])
    expect(code).toBe(0)
    expect(out).toMatch(/^bundle of format 1: [\s\S]*\nsimple +3.0 .*\nsimple2 +3.0 /)
    expect(out).toMatch(/\nConvert and publish it: pybundle publish-bundle --from FILE --environment NAME$/)
    expect(JSON.parse((await pybundle('/', ['inspect', '--json', file])).out).format).toBe(1)
  })

  it('refuses what is none, in words', async () => {
    const folder = temporaryFolder()
    writeFileSync(join(folder, 'x'), 'hello')
    const refused = (name: string) => pybundle(folder, ['inspect', name])
    expect(await refused('x')).toMatchObject({
      code: 1,
      out: '',
      err: `${join(folder, 'x')}: not a .pybundle: it is no zip file at all.`,
    })
    expect(await refused('y')).toMatchObject({ code: 1, err: `there is no file ${join(folder, 'y')}` })
    expect(await refused('.')).toMatchObject({ code: 1, err: `there is no file ${folder}` })
  })
})

describe('pybundle diff', () => {
  it('tells what is new, gone, changed, and rebuilt', async () => {
    const before = [{ name: 'a' }, { name: 'b' }, { name: 'c' }, { name: 'd' }]
    const after = [
      { name: 'a' },
      { name: 'b', version: '2.0' },
      { name: 'c', files: { x: '' } },
      { name: 'e' },
    ]
    const [one, two] = [await bundleOf('one', before, []), await bundleOf('two', after, [], '3.12')]
    const { code, out } = await pybundle('/', ['diff', one.file, two.file])
    expect([code, out.split('\n').map((line) => line.trim().replace(/ +/g, ' '))]).toEqual([
      0,
      [
        `from ${one.digest.slice(0, 12)} ${one.file}`,
        `to ${two.digest.slice(0, 12)} ${two.file}`,
        'platform: x86_64, glibc 2.34, Python 3.11 -> x86_64, glibc 2.34, Python 3.12',
        '',
        'package from to change',
        'b 1.0 2.0 changed',
        'c 1.0 1.0 rebuilt',
        'd 1.0 - removed',
        'e - 1.0 added',
      ],
    ])
    const same = await pybundle('/', ['diff', one.file, one.file])
    expect(same.out).toMatch(/\nthe same bundle$/)
  })

  it('tells what changes with the conversion of one of format 1', async () => {
    const wheels = [
      { name: 'Alpha', version: '1.2' },
      { name: 'beta', version: '0.8' },
    ]
    const { file } = await bundleOf('new', wheels, [])
    const old = new URL('../bundle/data/legacy.pybundle', import.meta.url).pathname
    const { out } = await pybundle('/', ['diff', old, file, '--json'])
    expect(JSON.parse(out)).toMatchObject({
      from: null,
      platform: null,
      packages: [{ name: 'beta', change: 'changed', from: '0.7', to: '0.8' }],
    })
    expect((await pybundle('/', ['diff', old, old])).out).toMatch(/^from +format 1 .*\n\nthe same packages$/s)
  })

  it('compares with what runs in an environment', async () => {
    const [bucket, { folder }] = [await startBucket(), await teamRepository()]
    const scope = { environment: 'staging', app: 'shop' }
    const env = { ...bucket.env, XDG_CACHE_HOME: cache }
    const { file } = await bundleOf('new', [{ name: 'alpha', version: '2.0' }], [])
    const args = ['diff', file, '--environment', 'staging', '--json']
    expect((await pybundle(folder, args, env)).err).toBe('shop runs nothing in staging yet.')

    const asked = JSON.parse(
      (await pybundle(folder, ['publish-release', '--environment', 'staging', '--detach', '--json'], env))
        .out,
    )
    const { versionId, size } = (await bucket.head(asked.bundle.key)) ?? {}
    const release = '0123456789ab'
    const record = {
      format: 1,
      release,
      bundle: { ...asked.bundle, versionId, size },
      code: { ...asked.code, versionId, size },
    }
    const served = { release, bundle: asked.bundle.digest, code: asked.code.digest }
    await bucket.createOnly(releaseKey(scope, release), JSON.stringify(record))
    await bucket.createOnly(stateKey(scope), JSON.stringify({ ...EMPTY_STATE, current: served }))
    const { out } = await pybundle(folder, args, env)
    expect(JSON.parse(out)).toMatchObject({
      from: asked.bundle.digest,
      packages: [{ name: 'alpha', change: 'changed', from: '1.0', to: '2.0' }],
    })
  })

  it('needs two sides', async () => {
    const { code, err } = await pybundle('/', ['diff', 'a'])
    expect([code, err]).toEqual([1, expect.stringMatching(/^name two bundles/)])
  })
})

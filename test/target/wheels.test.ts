import { globSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sha256 } from '../../lib/release/digest.ts'
import { MUTATIONS, type Mutation, mutate } from '../bundle/mutate.ts'
import { type RawMember, rawZip } from '../bundle/raw-zip.ts'
import { writeWheel } from './artifacts.ts'
import { listing } from './pip-virtualenv.ts'
import type { TestTarget } from './target.ts'
import { thisPython } from './this-python.ts'
import { project, Workshop } from './workshop.ts'

let workshop: Workshop
/** Has the bundle's pip in its store already. */
let target: TestTarget
beforeAll(async () => {
  workshop = await Workshop.open('wheels')
  target = await workshop.newTarget()
  await target.run('prepare', await workshop.publish({ 'pyproject.toml': project() }))
})
afterAll(() => workshop.close())

let count = 0
/** Other code each time, so that no release is there already. */
const publish = (parts: object) =>
  workshop.publish({ 'pyproject.toml': project(), count: String(count++) }, parts)

async function prepareWheel(content: Buffer) {
  const folder = join(workshop.folder, `wheel-${count}`)
  mkdirSync(folder)
  const file = join(folder, 'alpha-9.0-py3-none-any.whl')
  writeFileSync(file, content)
  return target.run('prepare', await publish({ wheelFiles: [file] }))
}

const INFO = 'alpha-9.0.dist-info'
const METADATA: RawMember[] = [
  { name: `${INFO}/METADATA`, content: 'Metadata-Version: 2.1\nName: alpha\nVersion: 9.0\n' },
  { name: `${INFO}/WHEEL`, content: 'Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n' },
]
const RECORD: RawMember = { name: `${INFO}/RECORD`, content: '' }

describe('a wheel', () => {
  const ATTACKS: [string, RawMember[], RegExp][] = [
    ['climbs out', [{ name: '../../../../outside' }], /not a path that can be used here/],
    ['names an absolute path', [{ name: '/tmp/outside' }], /not a path that can be used here/],
    [
      'links out',
      [{ name: 'a', content: '/etc', mode: 0o120777 }],
      /"a" in the archive is neither a file nor/,
    ],
    [
      'links within',
      [{ name: 'a', content: 'b', mode: 0o120777 }],
      /"a" in the archive is neither a file nor/,
    ],
    ['has a device', [{ name: 'a', mode: 0o020666 }], /"a" in the archive is neither a file nor/],
    ['has a setuid file', [{ name: 'a', mode: 0o104755 }], /"a" in the archive is setuid/],
    ['has a file twice', [{ name: 'a' }, { name: 'a', content: 'x' }], /"a" is in the archive twice/],
    ['has a file that is a folder', [{ name: 'a' }, { name: 'a/b' }], /"a" in the archive is a folder and/],
    ['is encrypted', [{ name: 'a', isEncrypted: true }], /the archive cannot be read/],
    [
      'says less than it holds',
      [{ name: 'a', content: 'abc', declaredSize: 2 }],
      /the archive cannot be read/,
    ],
    [
      'is not what its RECORD says',
      [{ name: 'alpha.py' }, { ...RECORD, content: `alpha.py,sha256=${'A'.repeat(43)},0\n` }],
      /"alpha.py" is not what the RECORD of its wheel says/,
    ],
    [
      'lacks what its RECORD says',
      [{ ...RECORD, content: `alpha.py,sha256=${'A'.repeat(43)},0\n` }],
      /"alpha.py" is not what the RECORD of its wheel says/,
    ],
  ]

  it.each(ATTACKS)('that %s is refused, and touches nothing', async (_, members, reason) => {
    const before = visible()
    const record = members.some(({ name }) => name === RECORD.name) ? [] : [RECORD]
    const { verdict } = await prepareWheel(rawZip([...METADATA, ...record, ...members]))
    expect(verdict).toMatchObject({ outcome: 'failed', reason: expect.stringMatching(reason) })
    expect(visible()).toEqual(before)
  })

  it('cannot put anything in the place of the virtualenv’s own Python', async () => {
    const python = { name: 'alpha-9.0.data/data/bin/python', content: '#!/bin/sh\n', mode: 0o100755 }
    const { executable } = await thisPython()
    const before = sha256(readFileSync(executable))
    await prepareWheel(rawZip([...METADATA, RECORD, python]))
    expect(target.read('log/deploy.log')).toContain('installing with pip, as two wheels have different files')
    expect(sha256(readFileSync(executable))).toBe(before)
  })

  it('cannot have the mark of a virtualenv that is ready, nor a folder of that name', async () => {
    const ready = { name: 'alpha-9.0.data/data/.ready/y', content: '' }
    await prepareWheel(rawZip([...METADATA, RECORD, ready]))
    expect(target.read('log/deploy.log')).toContain(`alpha-9.0-py3-none-any.whl has "${ready.name}"`)
    expect((await target.run('status')).verdict).toMatchObject({ outcome: 'done' })
  })

  it('changed in any way changes nothing outside the target’s folder, and is no bug', async () => {
    const good = rawZip([
      ...METADATA,
      RECORD,
      { name: 'alpha/__init__.py', content: 'import os\n', isDeflated: true },
    ])
    const change = fc.asyncProperty(MUTATIONS, async (mutations: Mutation[]) => {
      const before = visible()
      const { verdict } = await prepareWheel(mutations.reduce(mutate, good))
      expect(verdict.reason).not.toContain('a bug')
      expect(visible()).toEqual(before)
    })
    await fc.assert(change, { numRuns: Number(process.env.PYBUNDLE_MUTATIONS ?? 8) })
  })

  /** All that lies beside the target's own folder. */
  function visible(): string[] {
    return [workshop.folder, target.root, join(target.root, 'opt/pybundle')]
      .flatMap((folder) => readdirSync(folder))
      .filter((name) => !/^(wheel-|artifacts|cloud)/.test(name))
  }
})

describe('a bundle in which one wheel changed', () => {
  const large = (name: string, text: string) => ({
    name,
    version: '1.0',
    files: { [`${name}/__init__.py`]: '', [`${name}/large.txt`]: text.repeat(400_000) },
  })

  it('costs that wheel and at most 64 KiB, and goes on where the way to it broke', async () => {
    const same = [large('gamma', 'c'), large('delta', 'd')]
    await target.run('prepare', await publish({ wheels: [large('beta', 'a'), ...same] }))
    const release = await publish({ wheels: [large('beta', 'b'), ...same] })
    const fetched = workshop.bucket.bytes
    workshop.bucket.faults.push(undefined, undefined, undefined, 'cut')

    const { verdict } = await target.run('prepare', release)

    expect(verdict.outcome).toBe('done')
    const extra = workshop.bucket.bytes - fetched - 400_000
    expect(extra).toBeGreaterThan(0)
    expect(extra).toBeLessThanOrEqual(64 * 1024)
  })

  it('is installed as one that was never there before', async () => {
    const [first, second] = [
      { name: 'eta', version: '1.0' },
      { name: 'theta', version: '1.0' },
    ]
    await target.run('prepare', await publish({ wheels: [first, second] }))
    const release = await publish({ wheels: [first, { ...second, version: '2.0' }] })
    await target.run('prepare', release)
    const fresh = await workshop.newTarget()
    await fresh.run('prepare', release)
    const site = (on: TestTarget) => listing(join(on.path('releases', release.id, '.venv', 'lib')))
    expect(site(target)).toEqual(site(fresh))
  })

  it('finds the wheels there that an older program had unpacked, which knew less of their folders', async () => {
    const nu = { name: 'nu', version: '1.0', files: { 'nu/a/b/c.py': '', 'nu/__init__.py': '' } }
    await target.run('prepare', await publish({ wheels: [nu] }))
    const plans = globSync(target.path('wheels/*/plan.json'))
    for (const plan of plans) {
      writeFileSync(plan, JSON.stringify({ ...JSON.parse(readFileSync(plan, 'utf8')), folders: ['nu/a/b'] }))
    }
    const { verdict } = await target.run(
      'prepare',
      await publish({ wheels: [nu, { name: 'xi', version: '1' }] }),
    )
    expect(verdict).toMatchObject({ outcome: 'done', reason: 'prepared' })
  })

  it('finds the wheels there that a bundle had which could not be installed', async () => {
    const kappa = { name: 'kappa', version: '1.0' }
    const failed = await publish({
      wheels: [kappa, { name: 'lambda1', version: '1.0', requires: ['omega'] }],
    })
    expect((await target.run('prepare', failed)).verdict.outcome).toBe('failed')
    await target.run('prepare', await publish({ wheels: [kappa, { name: 'mu', version: '1.0' }] }))
    expect(target.read('log/deploy.log').trim().split('\n').slice(-3).join()).toContain(
      'fetching 1 wheels of 3',
    )
  })

  it('lets prune take away the wheel that no virtualenv has any more', async () => {
    const served = await workshop.newTarget({ keep_releases: 2 })
    for (const version of ['1.0', '2.0', '3.0']) {
      await served.deploy(await publish({ wheels: [{ name: 'alpha', version }] }))
    }
    expect(readdirSync(served.path('wheels'))).toHaveLength(4)
    await served.run('prune')
    expect(readdirSync(served.path('wheels'))).toHaveLength(3)
    expect(readdirSync(served.path('venvs'))).toHaveLength(2)
  })

  it('is made anew where its wheel was not made to its end', async () => {
    const folder = join(workshop.folder, 'half')
    mkdirSync(folder)
    const file = await writeWheel(folder, { name: 'iota', version: '1.0' })
    const release = await publish({ wheelFiles: [file] })
    const bundle = workshop.bucket.body('staging/guestbook/bundles/a.pybundle').toString('latin1')
    const [, digest = ''] = /iota==1\.0 --hash=sha256:([0-9a-f]{64})/.exec(bundle) ?? []
    mkdirSync(target.path('wheels', digest, 'files', 'iota'), { recursive: true })
    writeFileSync(target.path('wheels', digest, 'files', 'iota', '__init__.py'), 'half')
    await target.run('prepare', release)
    expect(target.read('wheels', digest, 'files/iota/__init__.py')).toBe('VERSION = "1.0"\n')
    rmSync(folder, { recursive: true })
  })
})

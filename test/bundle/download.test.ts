import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { describe, expect, it, vi } from 'vitest'
import { PINNED_PIPS } from '../../lib/bundle/resolve/pinned-pip.ts'
import { sha256 } from '../../lib/release/digest.ts'
import { type FileServer, serveFiles } from './file-server.ts'
import { makeBundle, useLaptop, writeApp } from './laptop.ts'
import { buildWheel } from './package-index.ts'
import { temporaryFolder } from './temporary-folder.ts'

useLaptop()

const PROGRAM = fileURLToPath(new URL('../../bin/pybundle.ts', import.meta.url))
const BIG = 'big-1.0-py3-none-any.whl'
const MEGABYTE = 1_000_000
/** What choosing by metadata may cost, of a wheel that is given in parts. */
const METADATA = 100_000

/** An index with a wheel of 3 MB, and small ones. */
async function startIndex(options?: Parameters<typeof serveFiles>[1]) {
  const folder = temporaryFolder()
  vi.stubEnv('XDG_CACHE_HOME', temporaryFolder())
  await buildWheel({ name: 'big', native: randomBytes(3 * MEGABYTE), requires: ['small'] }, folder)
  for (const name of ['small', 'other']) await buildWheel({ name }, folder)
  const index = await serveFiles(folder, options)
  vi.stubEnv('PIP_INDEX_URL', index.url)
  return { index, size: statSync(join(folder, BIG)).size }
}

/** What is in the cache of a file that did not come whole. */
function keptOf(file: string): number {
  const files = join(process.env.XDG_CACHE_HOME ?? '', 'pybundle/files')
  const folders = existsSync(files) ? readdirSync(files) : []
  const [part] = folders
    .map((folder) => join(files, folder, `${file}.part`))
    .filter((path) => existsSync(path))
  return part ? statSync(part).size : 0
}

const app = (note = '') => writeApp({ requirements: `big\nother ${note && `# ${note}`}\n` })
const WHEELS = [BIG, 'other-1.0-py3-none-any.whl', 'small-1.0-py3-none-any.whl']
const sentOf = ({ sent }: FileServer, file = BIG) => sent.get(file) ?? 0

describe('the files of a bundle', () => {
  it('are fetched at once, each of them once', async () => {
    const { index, size } = await startIndex({ together: WHEELS.length })
    expect((await makeBundle(app())).wheels).toEqual(WHEELS)
    expect(index.mostAtOnce).toBe(WHEELS.length)
    expect(sentOf(index)).toBeLessThan(size + METADATA)
  })

  it('are fetched once too from an index that gives no parts of files', async () => {
    const { index, size } = await startIndex({ ranges: false })
    expect((await makeBundle(app())).wheels).toEqual(WHEELS)
    expect(sentOf(index)).toBe(size)
  })

  it('are taken from the cache when the requirements change', async () => {
    const { index } = await startIndex()
    await makeBundle(app())
    const before = sentOf(index)
    expect(await makeBundle(app('and changed'))).toMatchObject({ isReused: false, wheels: WHEELS })
    expect(sentOf(index) - before).toBeLessThan(METADATA)
  })

  it('are fetched from where the index failed, and nothing that came is lost', async () => {
    const { index, size } = await startIndex()
    index.cutAt.set(BIG, 2 * MEGABYTE)
    await expect(makeBundle(app())).rejects.toThrow(
      /could not download 1 of 3 files:\n {2}http:.*big-1\.0-py3-none-any\.whl: .*\nThe others are kept, and what there is of these: run it again to go on\./,
    )
    const before = new Map(index.sent)
    index.cutAt.clear()
    expect((await makeBundle(app())).wheels).toEqual(WHEELS)
    expect(sentOf(index) - (before.get(BIG) ?? 0)).toBeLessThan(size - 2 * MEGABYTE + METADATA)
    expect(sentOf(index, 'other-1.0-py3-none-any.whl')).toBeLessThan(
      2 * (before.get('other-1.0-py3-none-any.whl') ?? 0),
    )
  })

  it('are fetched from where the command was killed', async () => {
    const { index, size } = await startIndex()
    index.cutAt.set(BIG, 2 * MEGABYTE)
    const folder = app()
    writeFileSync(join(folder, 'pybundle.toml'), 'app = "shop"\nplatform = "this-machine"\n')
    index.onCut = () => undefined
    const killed = execa(process.execPath, [PROGRAM, 'bundle', '--app', folder, '--output', folder], {
      detached: true,
      reject: false,
    })
    await vi.waitFor(() => expect(keptOf(BIG)).toBeGreaterThan(MEGABYTE), 30_000)
    process.kill(-(killed.pid ?? 0), 'SIGKILL')
    expect((await killed).signal).toBe('SIGKILL')
    index.cutAt.clear()
    const before = sentOf(index)
    expect((await makeBundle(folder)).wheels).toEqual(WHEELS)
    expect(sentOf(index) - before).toBeLessThan(size - MEGABYTE)
  })

  it('leave nothing but what was fetched when Ctrl-C ends the command', async () => {
    const { index } = await startIndex()
    index.cutAt.set(BIG, 2 * MEGABYTE)
    index.onCut = () => undefined
    const folder = app()
    writeFileSync(join(folder, 'pybundle.toml'), 'app = "shop"\nplatform = "this-machine"\n')
    const env = { TMPDIR: temporaryFolder() }
    const command = ['bundle', '--app', folder, '--output', folder]
    const ended = execa(process.execPath, [PROGRAM, ...command], { detached: true, reject: false, env })
    await vi.waitFor(() => expect(keptOf(BIG)).toBeGreaterThan(MEGABYTE), 30_000)
    // To all of its processes, as a terminal does.
    process.kill(-(ended.pid ?? 0), 'SIGINT')
    expect((await ended).signal).toBe('SIGINT')
    expect(readdirSync(env.TMPDIR).filter((name) => name.startsWith('pybundle-'))).toEqual([])
  })

  it('are refused, and not kept, when they are not what the index says', async () => {
    await startIndex({ digestOf: () => '0'.repeat(64) })
    const failed = makeBundle(app())
    await expect(failed).rejects.toThrow(
      /could not download 3 of 3 files:[\s\S]*its sha256 is [0-9a-f]{64}, not 0{64} as the index says/,
    )
    const kept = join(process.env.XDG_CACHE_HOME ?? '', 'pybundle/files', '0'.repeat(64))
    expect(readdirSync(kept).map((file) => statSync(join(kept, file)).size)).toEqual([0, 0, 0])
  })

  it('are fetched again when what the cache has of them was damaged', async () => {
    await startIndex()
    const { digest } = await makeBundle(app())
    const files = join(process.env.XDG_CACHE_HOME ?? '', 'pybundle/files')
    for (const file of readdirSync(files, { recursive: true, encoding: 'utf8' }))
      if (file.endsWith('.whl')) writeFileSync(join(files, file), 'damaged')
    const again = await makeBundle(app('again'))
    expect([again.isReused, again.digest]).toEqual([false, digest])
  })

  it('may have no digest in the index', async () => {
    const { index, size } = await startIndex({ digestOf: () => undefined })
    expect((await makeBundle(app())).wheels).toEqual(WHEELS)
    expect(sentOf(index)).toBeLessThan(size + METADATA)
  })

  it('may be wanted by two runs at the same time', async () => {
    const { index, size } = await startIndex()
    const bundles = await Promise.all([makeBundle(app('one')), makeBundle(app('two'))])
    expect(bundles[0].digest).toBe(bundles[1].digest)
    expect(sentOf(index)).toBeLessThan(size + 2 * METADATA)
  })

  it('must have the sha256 that the requirements name', async () => {
    await startIndex()
    const requirements = `other==1.0 --hash=sha256:${'1'.repeat(64)}\n`
    await expect(makeBundle(writeApp({ requirements }))).rejects.toThrow(/DO NOT MATCH THE HASHES/)
    await expect(makeBundle(writeApp({ requirements: `${requirements}small==1.0\n` }))).rejects.toThrow(
      /Hashes are required in --require-hashes mode[\s\S]*small==1\.0 --hash=sha256:/,
    )
  })

  it('are not asked for where the index has another pip under the name of the one that makes bundles', async () => {
    const folder = temporaryFolder()
    for (const version of PINNED_PIPS) await buildWheel({ name: 'pip', version }, folder)
    for (const digestOf of [sha256, () => '0'.repeat(64)]) {
      vi.stubEnv('XDG_CACHE_HOME', temporaryFolder())
      vi.stubEnv('PIP_INDEX_URL', (await serveFiles(folder, { digestOf })).url)
      await expect(makeBundle(app())).rejects.toThrow(
        /^what the index has as pip .* is another file than the one that bundles are made with:\n[\s\S]*sha256/,
      )
    }
  })

  it('must have one that the requirements name, where those say "--require-hashes"', async () => {
    await startIndex()
    const requirements = '--require-hashes\nother==1.0\n'
    await expect(makeBundle(writeApp({ requirements }))).rejects.toThrow(/Hashes are required/)
  })
})

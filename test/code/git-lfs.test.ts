import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { expect, it, vi } from 'vitest'
import { APP, archive, unpack } from './archived.ts'
import { Repository } from './repository.ts'

const CONTENT = 'a large file\n'
const POINTER = `version https://git-lfs.github.com/spec/v1\noid sha256:${'0'.repeat(64)}\nsize 9\n`

const hasLfs = (await execa('git', ['lfs', 'version'], { reject: false })).exitCode === 0
if (!hasLfs) console.error('NOT TESTED: files that are in Git LFS, as there is no git-lfs on the PATH.')

it.runIf(hasLfs)('a file in Git LFS is archived, not the pointer to it', async () => {
  const repository = await Repository.with(APP)
  await repository.git('lfs', 'install', '--local')
  await repository.git('lfs', 'track', '*.bin')
  repository.write({ 'model.bin': CONTENT })
  await repository.commit()
  const pointer = (await repository.git('cat-file', '-p', 'HEAD:model.bin')).stdout
  expect(pointer).toMatch(/^version https/)
  const committed = await unpack((await archive(repository.folder)).file)
  expect(readFileSync(join(committed, 'model.bin'), 'utf8')).toBe(CONTENT)
  repository.write({ 'model.bin': `${pointer}\n`, 'shop.py': 'changed' })
  const dirty = await unpack((await archive(repository.folder, { dirty: true })).file)
  expect(readFileSync(join(dirty, 'model.bin'), 'utf8')).toBe(CONTENT)
  vi.stubEnv('GIT_LFS_SKIP_SMUDGE', '1')
  await expect(archive(repository.folder, { revision: 'main' })).rejects.toThrow(
    'is in Git LFS, and not here',
  )
  vi.unstubAllEnvs()
})

it('a file in Git LFS that cannot be had is refused, until it is excluded', async () => {
  const { folder } = await Repository.with({ ...APP, 'models/a.bin': POINTER })
  await expect(archive(folder)).rejects.toThrow(
    /^the content of "models\/a.bin" is in Git LFS, and not here.*: git lfs pull, or name it in "exclude"\.$/,
  )
  await expect(archive(folder, { exclude: ['*.bin'] })).resolves.toMatchObject({ files: 2 })
})

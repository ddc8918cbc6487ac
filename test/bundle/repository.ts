import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { type PackageOptions, writePackage } from './local-package.ts'
import { temporaryFolder } from './temporary-folder.ts'

const IDENTITY = [
  '-c',
  'user.name=Somebody',
  '-c',
  'user.email=somebody@example.com',
  '-c',
  'commit.gpgsign=false',
]

/** A git repository with one package at its top, or in a subfolder. */
export async function gitRepository(options: PackageOptions, subfolder = '.') {
  const folder = join(temporaryFolder(), options.name)
  mkdirSync(folder)
  const git = async (...args: string[]) =>
    (await execa('git', [...IDENTITY, ...args], { cwd: folder })).stdout
  const commit = async (changed: PackageOptions) => {
    writePackage(join(folder, subfolder), changed)
    await git('add', '.')
    await git('commit', '--quiet', '--message', `Version ${changed.version ?? '1.0'}`)
    return git('rev-parse', 'HEAD')
  }
  await git('init', '--quiet', '--initial-branch=main')
  return { url: `git+file://${folder}`, first: await commit(options), commit, git, folder }
}

export async function hgRepository(options: PackageOptions) {
  const folder = join(temporaryFolder(), options.name)
  mkdirSync(folder)
  const hg = async (...args: string[]) =>
    (await execa('hg', args, { cwd: folder, env: { HGPLAIN: '1', HGUSER: 'Somebody' } })).stdout
  const commit = async (changed: PackageOptions) => {
    writePackage(folder, changed)
    await hg('commit', '--addremove', '--quiet', '--message', 'x')
    return hg('log', '--rev=.', '--template={node}')
  }
  await hg('init')
  writeFileSync(join(folder, '.hgignore'), 're:nothing')
  return { url: `hg+file://${folder}`, first: await commit(options), commit, hg }
}

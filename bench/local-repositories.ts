import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import type { Python } from '../lib/bundle/find-python.ts'

/** Addresses as requirements have them. */
export interface LocalRepositories {
  git: string
  hg: string
}

/** Real projects, as their source archives have them, in repositories of this machine: which needs no other forge. */
export async function makeRepositories(folder: string, python: Python): Promise<LocalRepositories> {
  return {
    git: await makeGitRepository(folder, 'itsdangerous', python),
    hg: await makeHgRepository(folder, 'blinker', python),
  }
}

export async function makeGitRepository(folder: string, name: string, python: Python): Promise<string> {
  const source = await unpackSource(folder, name, python)
  await run('git', ['init', '--quiet', '--initial-branch=main'], source)
  await run('git', ['add', '--all', '--force'], source)
  await run('git', [...IDENTITY, 'commit', '--quiet', '--message=As released'], source)
  return `git+file://${source}@main`
}

async function makeHgRepository(folder: string, name: string, python: Python): Promise<string> {
  const source = await unpackSource(folder, name, python)
  await run('hg', ['init'], source)
  await run('hg', ['commit', '--addremove', '--quiet', '--user=Bench', '--message=As released'], source)
  return `hg+file://${source}`
}

const IDENTITY = ['-c', 'user.name=Bench', '-c', 'user.email=bench@example.com', '-c', 'commit.gpgsign=false']

async function unpackSource(folder: string, name: string, { executable, pip }: Python): Promise<string> {
  const source = join(folder, name)
  mkdirSync(source, { recursive: true })
  const options = ['--no-deps', `--no-binary=${name}`, '--quiet', '--disable-pip-version-check']
  await run(executable, [join(pip, 'pip'), 'download', ...options, '--dest', folder, name], folder)
  const archive = readdirSync(folder).find((file) => file.startsWith(`${name}-`)) ?? ''
  await run('tar', ['-xf', join(folder, archive), '--strip-components=1'], source)
  return source
}

async function run(program: string, args: readonly string[], cwd: string): Promise<void> {
  await execa(program, args, { cwd, env: { HGPLAIN: '1' }, stdin: 'ignore' })
}

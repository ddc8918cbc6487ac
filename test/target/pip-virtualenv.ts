import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  globSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  writeFileSync,
} from 'node:fs'
import { join, relative } from 'node:path'
import { promisify } from 'node:util'
import { offline } from '../examples/python.ts'
import type { ReleaseParts } from './artifacts.ts'
import type { TestTarget } from './target.ts'
import { thisPython } from './this-python.ts'
import { project, type Workshop } from './workshop.ts'

const run = promisify(execFile)

/** Prepares what is asked for, and says in which files that differs from what real pip makes of the same bundle. */
export async function differencesFromPip(
  workshop: Workshop,
  target: TestTarget,
  parts: Partial<ReleaseParts>,
  home = target.home,
) {
  const release = await workshop.publish({ 'pyproject.toml': project() }, parts)
  const { verdict } = await target.run('prepare', release)
  if (verdict.outcome !== 'done') throw new Error(JSON.stringify(verdict))
  const [id = ''] = readdirSync(join(home, 'venvs'))
  const venv = join(home, 'venvs', id)
  const ours = listing(venv)
  renameSync(venv, `${venv}.ours`)
  const bundle = workshop.bucket.body('staging/guestbook/bundles/a.pybundle')
  await makeWithPip((await thisPython()).executable, bundle, venv, join(home, 'pip'))
  const theirs = listing(venv)
  renameSync(venv, `${venv}.theirs`)
  renameSync(`${venv}.ours`, venv)
  const names = [...new Set([...Object.keys(ours), ...Object.keys(theirs)])]
  const differ = names.filter((name) => ours[name] !== theirs[name])
  return Object.fromEntries(differ.map((name) => [name, { ours: ours[name], pip: theirs[name] }]))
}

/** What real pip makes of a bundle at this path, offline, with the pip that the bundle carries. */
export async function makeWithPip(python: string, bundle: Buffer, venv: string, work: string): Promise<void> {
  mkdirSync(work, { recursive: true })
  writeFileSync(join(work, 'bundle.zip'), bundle)
  const options = { cwd: work, env: offline }
  await run(python, ['-m', 'zipfile', '-e', 'bundle.zip', '.'], options)
  await run(python, ['-IS', '-m', 'venv', '--without-pip', venv], options)
  // From a folder it starts in half the time that it takes from a wheel.
  await run(python, ['-m', 'zipfile', '-e', globSync(join(work, 'tools/pip-*.whl'))[0] ?? '', 'pip'], options)
  const install = ['install', '--isolated', '--no-index', '--no-deps', '--require-hashes', '--no-compile']
  const from = ['--no-cache-dir', '--find-links', 'wheels', '-r', 'requirements.txt']
  await run(join(venv, 'bin/python'), [join(work, 'pip/pip'), ...install, ...from], options)
}

/** Each file with its mode and content, each link with where it leads; bytecode aside, and what is named. */
export function listing(folder: string, without = ['.ready'], below = folder): Record<string, string> {
  const found: Record<string, string> = {}
  for (const name of readdirSync(below)) {
    const path = join(below, name)
    if (name === '__pycache__' || without.includes(relative(folder, path))) continue
    const status = lstatSync(path)
    if (status.isDirectory()) Object.assign(found, listing(folder, without, path))
    else
      found[relative(folder, path)] = status.isSymbolicLink()
        ? readlinkSync(path)
        : describe(path, status.mode)
  }
  return found
}

/** Small texts whole, so that a difference can be read. */
function describe(path: string, mode: number): string {
  const content = readFileSync(path)
  const text = content.length < 10_000 || path.endsWith('/RECORD')
  const said = text ? content.toString('utf8') : createHash('sha256').update(content).digest('hex')
  return `${(mode & 0o7777).toString(8)} ${said}`
}

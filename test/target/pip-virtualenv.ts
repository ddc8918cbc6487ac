import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  globSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs'
import { join, relative } from 'node:path'
import { promisify } from 'node:util'
import { offline } from '../examples/python.ts'

const run = promisify(execFile)

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

/** Each file with its mode and content, each link with where it leads; bytecode aside. */
export function listing(folder: string, below = folder): Record<string, string> {
  const found: Record<string, string> = {}
  for (const name of readdirSync(below)) {
    const path = join(below, name)
    const status = lstatSync(path)
    if (name === '__pycache__' || path === join(folder, '.ready')) continue
    if (status.isDirectory()) Object.assign(found, listing(folder, path))
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

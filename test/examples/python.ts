import { execFile } from 'node:child_process'
import { cpSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { findPython } from '../../lib/bundle/find-python.ts'

const run = promisify(execFile)
const EXAMPLES = fileURLToPath(new URL('../../examples/', import.meta.url))

/** The environment without what this machine tells pip: an offline test must not find its wheels by luck. */
export const offline: NodeJS.ProcessEnv = {
  ...Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(PIP_|PYTHON|VIRTUAL_ENV)/.test(name)),
  ),
  PIP_CONFIG_FILE: '/dev/null',
  PYTHONDONTWRITEBYTECODE: '1',
}

/** The example as it is after the given revisions, in their order. */
export function copyExample(name: string, folder: string, revisions: number[] = []): string {
  const example = join(EXAMPLES, name)
  const top = (path: string) => !path.startsWith(join(example, 'revisions'))
  cpSync(example, folder, { recursive: true, filter: (path) => top(path) && !path.includes('__pycache__') })
  for (const revision of revisions)
    cpSync(join(example, 'revisions', String(revision)), folder, { recursive: true })
  return folder
}

/** With the pip that Python itself carries: nothing need be installed. */
export async function pip(
  args: string[],
  cwd: string,
  interpreter = 'python3',
  env = offline,
): Promise<void> {
  const wheel = (await findPython()).pip
  await run(interpreter, [join(wheel, 'pip'), ...args], { cwd, env })
}

export async function buildWheels(appFolder: string, wheels: string): Promise<string> {
  await pip(['wheel', '--isolated', '--no-index', '--wheel-dir', wheels, '-r', 'requirements.txt'], appFolder)
  return wheels
}

export async function makeVirtualenv(folder: string): Promise<string> {
  await run('python3', ['-m', 'venv', '--without-pip', folder], { env: offline })
  return folder
}

export async function python(
  virtualenv: string,
  args: string[],
  cwd: string,
  env: Record<string, string> = {},
) {
  return run(join(virtualenv, 'bin', 'python'), args, { cwd, env: { ...offline, ...env } })
}

/** What an app's own `[tool.pybundle]` says. */
export function migrateCommand(appFolder: string): string[] {
  const [, command = ''] =
    /^migrate_command = "python (.*)"$/m.exec(readFileSync(join(appFolder, 'pyproject.toml'), 'utf8')) ?? []
  return command.split(' ')
}

import { devNull } from 'node:os'
import { basename, join } from 'node:path'
import { execa } from 'execa'
import { UserError } from '../user-error.ts'
import { keepFolder } from './cache.ts'
import { maskCredentials } from './credentials.ts'
import type { Python } from './find-python.ts'

export interface PipRun {
  python: Python
  /** A folder that outlives the run. */
  cache: string
  /** Given where pip is to think that it runs on the platform. */
  markers?: Record<string, string>
  /** Whether the user's package index, as configured for pip, may be asked. */
  useIndex: boolean
  cwd: string
}

/**
 * pip evaluates markers with the Python that it runs on, whatever --platform says, and silently leaves out
 * what other platforms need (https://github.com/pypa/pip/issues/11664): it gets the platform's instead.
 */
const SHIM = `
import json, sys
sys.path.insert(0, sys.argv[1])
markers = json.loads(sys.argv[2])
sys.argv[:3] = ["pip"]
from pip._vendor.packaging import markers as packaging_markers
packaging_markers.default_environment = lambda: dict(markers)
from pip._internal.cli.main import main
sys.exit(main())
`

/** Runs the pip that came with the Python; a UserError with what it said when it fails. */
export async function runPip(args: readonly string[], run: PipRun): Promise<void> {
  const { python, markers, useIndex, cwd, cache } = run
  const pip = await unpackPip(python, cache)
  const program = markers ? ['-I', '-c', SHIM, pip, JSON.stringify(markers)] : [join(pip, 'pip')]
  const options = ['--disable-pip-version-check', '--no-input', '--no-color', ...args]
  const { exitCode, all } = await execa(python.executable, [...program, ...options], {
    cwd,
    all: true,
    reject: false,
    stdin: 'ignore',
    // A source that is built must not change by that: its repository would have uncommitted files.
    env: {
      ...pipEnvironment(process.env, useIndex),
      PYTHONPYCACHEPREFIX: join(cache, 'bytecode'),
      SOURCE_DATE_EPOCH,
    },
    extendEnv: false,
  })
  if (exitCode !== 0) throw new UserError(pipComplaint(all))
}

/** 1980-01-01, the first day of zip: one source makes one wheel, whenever it is built. */
const SOURCE_DATE_EPOCH = '315532800'

/** What pip is told of indexes by its files and by the environment: `index-url` and the like. */
export async function pipSettings(python: Python, cache: string): Promise<Record<string, string>> {
  const pip = await unpackPip(python, cache)
  const { stdout } = await execa(python.executable, [join(pip, 'pip'), 'config', 'list'], {
    reject: false,
    stdin: 'ignore',
    env: pipEnvironment(process.env, true),
    extendEnv: false,
  })
  const settings = [...stdout.matchAll(/^(?:global|install|download|:env:)\.([\w-]+)='(.*)'$/gm)]
  return Object.fromEntries(
    settings.map(([, key = '', value = '']) => [key, value.replaceAll('\\n', ' ').trim()]),
  )
}

/** Run from its wheel, pip takes twice as long: it is compiled anew each time. */
async function unpackPip({ executable, version, pip }: Python, cache: string): Promise<string> {
  const folder = join(cache, 'pip', `${basename(pip, '.whl')}-${version}`)
  await keepFolder(folder, async (temporary) => {
    await execa(executable, ['-I', '-m', 'zipfile', '-e', pip, temporary])
  })
  return folder
}

/** The only settings of the user's that count: where packages are, and how to get at them. */
const INDEX_SETTINGS = [
  'CACHE_DIR',
  'CERT',
  'CLIENT_CERT',
  'CONFIG_FILE',
  'DEFAULT_TIMEOUT',
  'EXTRA_INDEX_URL',
  'FIND_LINKS',
  'INDEX_URL',
  'KEYRING_PROVIDER',
  'NO_INDEX',
  'PROXY',
  'RETRIES',
  'TIMEOUT',
  'TRUSTED_HOST',
].map((name) => `PIP_${name}`)

export function pipEnvironment(environment: NodeJS.ProcessEnv, useIndex: boolean): NodeJS.ProcessEnv {
  const kept = Object.entries(environment).filter(([name]) => {
    if (name.startsWith('PIP_')) return useIndex && INDEX_SETTINGS.includes(name)
    return !name.startsWith('PYTHON') && name !== 'VIRTUAL_ENV'
  })
  const settings = useIndex ? {} : { PIP_CONFIG_FILE: devNull, PIP_NO_INDEX: '1' }
  return { ...Object.fromEntries(kept), ...settings, PYTHONIOENCODING: 'utf-8' }
}

const NOISE = /^(WARNING|DEPRECATION|ERROR: Ignored the following)/

/** pip's own errors and what led to them; its last lines, if it died otherwise. */
function pipComplaint(output: string): string {
  const lines = output.split('\n').filter((line) => line.trim() && !NOISE.test(line))
  // The cause of a conflict is told on the other stream: it may come before the error.
  const first = lines.findIndex((line) => /^\s*(ERROR|error):|^The conflict is caused by/.test(line))
  const told = lines.slice(first < 0 ? -20 : first).slice(0, 40)
  return maskCredentials(told.join('\n').replace(MANY_VERSIONS, 'from versions: ..., $1'))
}

/** All but the last five. */
const MANY_VERSIONS = /from versions: (?:[^,)]+, )+((?:[^,)]+, ){4}[^,)]+\))/g

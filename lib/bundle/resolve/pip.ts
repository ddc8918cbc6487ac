import { devNull } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { UserError } from '../../user-error.ts'
import { keepFolder } from '../cache.ts'
import { maskCredentials } from '../credentials.ts'
import type { Python } from '../find-python.ts'
import { PYTHON_MODULES } from '../markers.ts'
import { LATE_PATCH } from '../platform.ts'

export interface PipRun {
  python: Python
  /** A folder that outlives the run. */
  cache: string
  /** Given where pip is to think that it runs on the platform. */
  platform?: PlatformTask
  /** Whether the user's package index, as configured for pip, may be asked. */
  useIndex: boolean
  cwd: string
}

/** What `pip_for_platform.py` needs to know, beside where pip is. */
export interface PlatformTask {
  markers: Record<string, string>
  fetch?: { files: string; own: string; answer: string }
  onTold?: (told: Told) => void
}

/** What `pip_for_platform.py` tells while pip works. */
export interface Told {
  fetched?: FetchProgress
  /** Where nothing was found for a requirement: the index's wheels that would meet it on other platforms, newest first. */
  unfit?: string[]
}

export interface FetchProgress {
  files: number
  done: number
  /** From the network, in this run. */
  bytes: number
}

const FOR_PLATFORM = fileURLToPath(new URL('pip_for_platform.py', import.meta.url))

/** Runs the pip that the Python is to use; a UserError with what it said when it fails. */
export async function runPip(args: readonly string[], run: PipRun): Promise<void> {
  const { python, platform, useIndex, cwd, cache } = run
  const { onTold, ...task } = platform ?? {}
  const pip = await unpackPip(python, cache)
  // Isolated, Python reads no variables: not that of the bytecode either.
  const bytecode = join(cache, 'bytecode')
  const program = platform
    ? [
        '-I',
        '-X',
        `pycache_prefix=${bytecode}`,
        FOR_PLATFORM,
        JSON.stringify({ pip, modules: PYTHON_MODULES, ...task }),
      ]
    : [join(pip, 'pip')]
  const options = ['--disable-pip-version-check', '--no-input', '--no-color', ...args]
  const { exitCode, signal, all } = await execa(python.executable, [...program, ...options], {
    cwd,
    all: true,
    reject: false,
    stdin: 'ignore',
    stdout: hearing(onTold),
    // A source that is built must not change by that: its repository would have uncommitted files.
    env: {
      ...pipEnvironment(process.env, useIndex),
      PYTHONPYCACHEPREFIX: bytecode,
      SOURCE_DATE_EPOCH,
      // Debug information names the folder in which something was built, which is another one each time.
      CFLAGS: `${process.env.CFLAGS ?? ''} -g0`.trim(),
    },
    extendEnv: false,
  })
  if (signal)
    throw new UserError(`pip was ended by ${signal}${signal === 'SIGKILL' ? `: ${OFTEN_MEMORY}` : ''}`)
  if (exitCode !== 0) throw new UserError(pipComplaint(all))
}

const OFTEN_MEMORY = 'this machine may have run out of memory. Free some, or make the bundle on another one.'

const RECORD_SEPARATOR = '\u001e'

/** Passes on what pip says; what is told beside goes to who wants to know. */
function hearing(onTold: PlatformTask['onTold']) {
  return function* (line: unknown) {
    const text = String(line)
    if (text.startsWith(RECORD_SEPARATOR)) onTold?.(JSON.parse(text.slice(RECORD_SEPARATOR.length)))
    else yield text
  }
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

/**
 * The only variables of the user's that count: where packages are, and how to get at them. Of the files of pip's
 * settings all counts but what is said otherwise below.
 */
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

/** What people set for their own installing: it must not keep pip from bringing all that is needed. */
const NOT_FROM_FILES = { PIP_REQUIRE_VIRTUALENV: '0', PIP_NO_DEPS: '0' }

export function pipEnvironment(environment: NodeJS.ProcessEnv, useIndex: boolean): NodeJS.ProcessEnv {
  const kept = Object.entries(environment).filter(([name]) => {
    if (name.startsWith('PIP_')) return useIndex && INDEX_SETTINGS.includes(name)
    return !name.startsWith('PYTHON') && name !== 'VIRTUAL_ENV'
  })
  const settings = useIndex ? NOT_FROM_FILES : { PIP_CONFIG_FILE: devNull, PIP_NO_INDEX: '1' }
  return { ...Object.fromEntries(kept), ...settings, PYTHONIOENCODING: 'utf-8' }
}

const NOISE = /^(WARNING|DEPRECATION|ERROR: Ignored the following)/

/** pip's own errors and what led to them; its last lines, if it died otherwise. */
function pipComplaint(output: string): string {
  const lines = output.split('\n').filter((line) => line.trim() && !NOISE.test(line))
  // The cause of a conflict is told on the other stream: it may come before the error.
  const first = lines.findIndex((line) => /^\s*(ERROR|error):|^The conflict is caused by/.test(line))
  const told = lines.slice(first < 0 ? -20 : first).slice(0, 40)
  const text = told
    .join('\n')
    .replace(MANY_VERSIONS, 'from versions: ..., $1')
    .replace(LATE_PATCH_NAMED, '$1')
  return maskCredentials(text)
}

const LATE_PATCH_NAMED = new RegExp(`\\b(3\\.\\d+)\\.${LATE_PATCH}\\b`, 'g')

/** All but the last five. */
const MANY_VERSIONS = /from versions: (?:[^,)]+, )+((?:[^,)]+, ){4}[^,)]+\))/g

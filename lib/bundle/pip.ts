import { devNull } from 'node:os'
import { execa } from 'execa'
import { UserError } from '../user-error.ts'
import type { Python } from './find-python.ts'

export interface PipRun {
  python: Python
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

/** Runs the Python's own pip from its wheel; a UserError with what pip said when it fails. */
export async function runPip(
  args: readonly string[],
  { python, markers, useIndex, cwd }: PipRun,
): Promise<void> {
  const program = markers ? ['-I', '-c', SHIM, python.pip, JSON.stringify(markers)] : [`${python.pip}/pip`]
  const options = ['--disable-pip-version-check', '--no-input', '--no-color', ...args]
  const { exitCode, all } = await execa(python.executable, [...program, ...options], {
    cwd,
    all: true,
    reject: false,
    stdin: 'ignore',
    env: pipEnvironment(process.env, useIndex),
    extendEnv: false,
  })
  if (exitCode !== 0) throw new UserError(pipComplaint(all))
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
  // A source that is built must not change by that: its repository would have uncommitted files.
  const python = { PYTHONDONTWRITEBYTECODE: '1', PYTHONIOENCODING: 'utf-8' }
  return { ...Object.fromEntries(kept), ...settings, ...python }
}

/** pip's own errors and what led to them; all of it, if it died otherwise. */
function pipComplaint(output: string): string {
  const lines = output.split('\n').filter((line) => line.trim() && !/^(WARNING|DEPRECATION)/.test(line))
  const first = lines.findIndex((line) => /^\s*(ERROR|error):/.test(line))
  return withoutCredentials(
    lines
      .slice(first < 0 ? -20 : Math.max(0, first))
      .slice(0, 40)
      .join('\n'),
  )
}

function withoutCredentials(text: string): string {
  return text.replace(/(\w+:\/\/)[^/@\s]+@/g, '$1****@')
}

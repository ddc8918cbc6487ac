import { execFile } from 'node:child_process'
import { globSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { PINNED_PIPS } from '../../lib/bundle/resolve/pinned-pip.ts'

const run = promisify(execFile)

/** What a web application of some size needs: about 40 wheels, small and large, native and pure. */
const ROOTS = [
  'django',
  'fastapi',
  'uvicorn[standard]',
  'gunicorn',
  'boto3',
  'numpy',
  'pillow',
  'lxml',
  'sqlalchemy',
  'cryptography',
  'requests',
  'jinja2',
  'greenlet',
  'psycopg2-binary',
  'rich',
]

/** The one that is there in two versions: of the middle size. */
export const CHANGED = { name: 'websockets', before: '14.2', after: '15.0.1' }

export interface RealWheels {
  before: string[]
  after: string[]
  /** The one that bundles carry. */
  pip: string
}

/** From the index that this machine's pip uses. */
export async function downloadWheels(python: string, folder: string): Promise<RealWheels> {
  const { name, before, after } = CHANGED
  const download = async (to: string, what: string[]) => {
    mkdirSync(join(folder, to), { recursive: true })
    const options = [
      '--quiet',
      '--disable-pip-version-check',
      '--only-binary=:all:',
      '--dest',
      join(folder, to),
    ]
    await run(python, ['-m', 'pip', 'download', ...options, ...what], { env: indexEnvironment() })
    return globSync(join(folder, to, '*.whl')).sort()
  }
  const [pip = ''] = await download('pip', [`pip==${PINNED_PIPS[0]}`])
  return {
    before: await download('before', [...ROOTS, `${name}==${before}`]),
    after: await download('after', [...ROOTS, `${name}==${after}`]),
    pip,
  }
}

/** Without what names wheels of this machine: then it would depend on where it runs. */
function indexEnvironment(): NodeJS.ProcessEnv {
  const { PIP_FIND_LINKS: _, ...environment } = process.env
  return environment
}

import { execFile } from 'node:child_process'
import { dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { UserError } from '../../lib/user-error.ts'
import type { Python } from './python.ts'

export type SandboxChoice = 'auto' | 'bwrap' | 'none'

export interface Sandbox {
  /** Whether a target has its own `/opt`, `/var` and process numbers; else its files lie below a folder. */
  isClosed: boolean
  /** What to put before a command so that it runs within. */
  wrap(target: { instanceId: string; root: string; shared?: string }): string[]
}

/** What a target has of its own; everything else is the machine's, read-only. */
export const OWN_FOLDERS = ['/opt', '/srv', '/var', '/tmp', '/run']

const CHECKOUT = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
/** Whom every Linux knows by a name, without which ssh-keygen does nothing: `daemon` or `bin`. */
const SOMEBODY = '1'
/** In it, the machine's root is an ordinary user: no step runs as root. */
const ORDINARY_USER = ['unshare', '-U', `--map-user=${SOMEBODY}`, `--map-group=${SOMEBODY}`]

const ISOLATION =
  `--unshare-user --uid ${SOMEBODY} --gid ${SOMEBODY} --unshare-pid --unshare-uts --unshare-ipc`.split(' ')

/** `auto`: bubblewrap where it is installed and the system lets it work. */
export async function chooseSandbox(choice: SandboxChoice, python: Python, root: string): Promise<Sandbox> {
  const bubblewrap = bubblewrapSandbox(python)
  if (choice !== 'none' && (await works(bubblewrap.wrap({ instanceId: 'i-0', root })))) return bubblewrap
  if (choice === 'bwrap') {
    throw new UserError(
      'Targets cannot run in bubblewrap: `bwrap` is not installed, or this system forbids it.',
    )
  }
  if (process.getuid?.() !== 0) return plainSandbox([])
  if (await works(ORDINARY_USER)) return plainSandbox(ORDINARY_USER)
  throw new UserError(
    'Targets never run as root, and this system lets root make no user namespace (unshare -U): ' +
      'run the local cloud as an ordinary user.',
  )
}

function bubblewrapSandbox(python: Python): Sandbox {
  const needed = [CHECKOUT, dirname(dirname(process.execPath)), python.prefix, python.folder]
  const hidden = needed.filter((path) => OWN_FOLDERS.some((own) => path.startsWith(`${own}/`)))
  return {
    isClosed: true,
    wrap: ({ instanceId, root, shared }) => [
      'bwrap',
      ...['--ro-bind', '/', '/', '--proc', '/proc', '--dev', '/dev'],
      ...OWN_FOLDERS.flatMap((folder) => ['--bind', root + folder, folder]),
      ...hidden.flatMap((path) => ['--ro-bind', path, path]),
      ...(shared ? ['--bind', resolve(shared), resolve(shared)] : []),
      ...ISOLATION,
      ...['--hostname', instanceId, '--die-with-parent', '--chdir', '/', '--'],
    ],
  }
}

const plainSandbox = (wrapper: string[]): Sandbox => ({ isClosed: false, wrap: () => wrapper })

async function works([command = '', ...args]: string[]): Promise<boolean> {
  try {
    await promisify(execFile)(command, [...args, 'true'])
    return true
  } catch {
    return false
  }
}

import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { UserError } from '../user-error.ts'
import type { Python } from './find-python.ts'
import type { Platform } from './platform.ts'

/** PEP 508's variables as the platform has them: the laptop's own would choose other dependencies. */
export function markerEnvironment({ machine, libc: [libc], python }: Platform): Record<string, string> {
  const isMac = libc === 'macos'
  return {
    implementation_name: 'cpython',
    implementation_version: `${python}.0`,
    os_name: 'posix',
    platform_machine: machine,
    platform_python_implementation: 'CPython',
    platform_release: '',
    platform_system: isMac ? 'Darwin' : 'Linux',
    platform_version: '',
    python_full_version: `${python}.0`,
    python_version: python,
    sys_platform: isMac ? 'darwin' : 'linux',
  }
}

/** For what is known to hold, or not to, whatever the platform. */
export const [ALWAYS, NEVER] = ['python_version > "0"', 'python_version < "0"'] as const

/** The reference implementation, which every pip carries, is asked. */
const EVALUATE = `
import json, sys
sys.path[:0] = sys.argv[1:3]
from pip._vendor.packaging import markers
import platform_markers
platform_markers.use(markers, json.loads(sys.argv[3]))
def applies(marker):
    try:
        return markers.Marker(marker).evaluate({"extra": ""})
    except markers.InvalidMarker as error:
        return str(error)
print(json.dumps([applies(marker) for marker in json.loads(sys.argv[4])]))
`

/** The folder of the modules that programs for Python import. */
export const PYTHON_MODULES = fileURLToPath(new URL('.', import.meta.url))

/** Those whose marker holds on the platform. */
export async function whichApply<T extends { marker: string }>(
  asked: readonly T[],
  { platform, python }: { platform: Platform; python: Python },
): Promise<T[]> {
  if (asked.every(({ marker }) => !marker)) return [...asked]
  const markers = asked.map(({ marker }) => marker || ALWAYS)
  const environment = JSON.stringify(markerEnvironment(platform))
  const args = ['-IB', '-c', EVALUATE, python.pip, PYTHON_MODULES, environment, JSON.stringify(markers)]
  const { stdout } = await execa(python.executable, args)
  const answers: (boolean | string)[] = JSON.parse(stdout)
  const invalid = answers.filter((answer) => typeof answer === 'string')
  if (invalid.length > 0) throw new UserError(invalid.join('\n'))
  return asked.filter((_, index) => answers[index])
}

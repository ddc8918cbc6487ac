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

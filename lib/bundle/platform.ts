/** What a target is; a bundle is made for one. */
export interface Platform {
  /** As the kernel says it: `x86_64`, `aarch64` (`arm64` on a Mac). */
  machine: string
  libc: [name: 'glibc' | 'musl' | 'macos', version: string]
  /** "3.11" */
  python: string
}

/**
 * A platform names no patch release. What excludes early ones (`!=3.9.0`) must be found; a target that has one
 * refuses it itself.
 */
export const LATE_PATCH = 99

/** The laptop itself, for targets that are on it. */
export const THIS_MACHINE = 'this-machine'

/**
 * https://github.com/mayeut/pep600_compliance lists the glibc of each distribution. Of one whose service packs brought
 * newer ones (SLES 15), the oldest that is still in use.
 */
const GLIBC_OF: Record<string, string> = {
  'amazon-linux-2': '2.26',
  'amazon-linux-2023': '2.34',
  'ubuntu-20.04': '2.31',
  'ubuntu-22.04': '2.35',
  'ubuntu-24.04': '2.39',
  'ubuntu-26.04': '2.43',
  'debian-11': '2.31',
  'debian-12': '2.36',
  'debian-13': '2.41',
  ...Object.fromEntries(
    ['rhel', 'almalinux', 'rocky'].flatMap((name) => [
      [`${name}-8`, '2.28'],
      [`${name}-9`, '2.34'],
      [`${name}-10`, '2.39'],
    ]),
  ),
  'sles-15': '2.31',
  'sles-16': '2.40',
}

/** What everybody calls the CPU, and what Linux does. */
const MACHINES: Record<string, string> = { x86_64: 'x86_64', arm64: 'aarch64' }

/** With what each is exactly. */
const PRESETS = new Map<string, string>(
  Object.entries(GLIBC_OF).flatMap(([distribution, glibc]) =>
    Object.keys(MACHINES).map((cpu) => [`${distribution}-${cpu}`, `glibc-${glibc}-${cpu}`] as const),
  ),
)

export const PLATFORM_NAMES: readonly string[] = [THIS_MACHINE, ...PRESETS.keys()]

/** One that no preset names, as `pybundle probe` tells it: `glibc-2.34-x86_64`. */
const EXACT = /^(glibc|musl|macos)-(\d+\.\d+)-(\w+)$/

export function platformName({ machine, libc }: Pick<Platform, 'machine' | 'libc'>): string {
  return [...libc, machine].join('-')
}

export function isPlatformName(name: string): boolean {
  return PLATFORM_NAMES.includes(name) || EXACT.test(name)
}

/** `probed` is the laptop, which `this-machine` means; the configuration's rules hold that a preset has a Python. */
export function platformOf(name: string, python: string | undefined, probed: Platform): Platform {
  const [, libc, version = '', cpu = ''] = (PRESETS.get(name) ?? name).match(EXACT) ?? []
  if (libc === 'macos') return { machine: cpu, libc: [libc, version], python: python ?? probed.python }
  if (libc !== 'glibc' && libc !== 'musl') return probed
  return { machine: MACHINES[cpu] ?? cpu, libc: [libc, version], python: python ?? probed.python }
}

export function describePlatform({ machine, libc, python }: Platform): string {
  return `${machine}, ${libc.join(' ')}, Python ${python}`
}

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

/** https://github.com/mayeut/pep600_compliance lists the glibc of each distribution. */
const GLIBC_OF: Record<string, string> = {
  'amazon-linux-2023': '2.34',
  'ubuntu-22.04': '2.35',
  'ubuntu-24.04': '2.39',
  'debian-12': '2.36',
  'debian-13': '2.41',
  'rhel-9': '2.34',
}

const MACHINES: Record<string, string> = { x86_64: 'x86_64', arm64: 'aarch64' }

const PRESETS = Object.fromEntries(
  Object.entries(GLIBC_OF).flatMap(([distribution, glibc]) =>
    Object.entries(MACHINES).map(([cpu, machine]) => [
      `${distribution}-${cpu}`,
      { machine, libc: ['glibc', glibc] } satisfies Omit<Platform, 'python'>,
    ]),
  ),
)

export const PLATFORM_NAMES: readonly string[] = [THIS_MACHINE, ...Object.keys(PRESETS)]

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
  const [, libc, version = '', machine = ''] = name.match(EXACT) ?? []
  if (libc === 'glibc' || libc === 'musl' || libc === 'macos') {
    return { machine, libc: [libc, version], python: python ?? probed.python }
  }
  const [, preset] = Object.entries(PRESETS).find(([known]) => known === name) ?? []
  if (!preset) return probed
  return { machine: preset.machine, libc: ['glibc', preset.libc[1] ?? ''], python: python ?? probed.python }
}

export function describePlatform({ machine, libc, python }: Platform): string {
  return `${machine}, ${libc.join(' ')}, Python ${python}`
}

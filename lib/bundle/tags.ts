import type { Platform } from './platform.ts'

/** Every platform tag that the platform takes, best first: pip expands none of them by itself. */
export function platformTags({ machine, libc: [libc, version] }: Platform): string[] {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (libc === 'macos') return macTags(machine, major, minor)
  if (libc === 'musl') return down(minor, 0).map((level) => `musllinux_${major}_${level}_${machine}`)
  return down(minor, machine === 'x86_64' ? 5 : 17).flatMap((level) => [
    `manylinux_2_${level}_${machine}`,
    ...(LEGACY_MANYLINUX[level] ? [`${LEGACY_MANYLINUX[level]}_${machine}`] : []),
  ])
}

/** Every `python-abi-platform` tag of a wheel that installs on the platform (PEP 425, PEP 600). */
export function wheelTags(platform: Platform): Set<string> {
  const minor = Number(platform.python.split('.')[1])
  const cpython = `cp3${minor}`
  const native = [
    `${cpython}-${cpython}`,
    `${cpython}-none`,
    ...down(minor, 2).map((level) => `cp3${level}-abi3`),
    ...['py3', ...down(minor, 0).map((level) => `py3${level}`)].map((python) => `${python}-none`),
  ]
  const platforms = platformTags(platform)
  return new Set([
    ...native.flatMap((tag) => platforms.map((name) => `${tag}-${name}`)),
    ...native.filter((tag) => tag.endsWith('-none')).map((tag) => `${tag}-any`),
  ])
}

const LEGACY_MANYLINUX: Record<number, string> = { 17: 'manylinux2014', 12: 'manylinux2010', 5: 'manylinux1' }

const INTEL_KINDS = ['x86_64', 'intel', 'fat64', 'fat32', 'universal2', 'universal']

function macTags(machine: string, major: number, minor: number): string[] {
  const isIntel = machine === 'x86_64'
  const modern = down(major, 11).map((level) => `${level}_0`)
  // Before 11 only Intel machines ran macOS, and the minor version counted; yet universal2 wheels of then hold files for both.
  const old = down(major > 10 ? 16 : minor, 4).map((level) => `10_${level}`)
  return [
    ...tagsOf(modern, isIntel ? INTEL_KINDS : ['arm64', 'universal2']),
    ...tagsOf(old, isIntel ? INTEL_KINDS : ['universal2']),
  ]
}

function tagsOf(versions: readonly string[], kinds: readonly string[]): string[] {
  return versions.flatMap((version) => kinds.map((kind) => `macosx_${version}_${kind}`))
}

function down(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, from - to + 1) }, (_, index) => from - index)
}

import { mkdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { UserError } from '../../user-error.ts'
import { describePlatform, type Platform } from '../platform.ts'
import type { ResolveJob } from '../resolve/resolve.ts'
import { digestSource } from '../source-digest.ts'
import { platformTags } from '../tags.ts'
import { type ElfNeeds, elfNeeds, isNewer, newestOf, whyElfUnfit } from '../verify/elf.ts'
import { readWheel } from '../verify/read-wheel.ts'
import { parseWheelName, whyUnfit } from '../wheel.ts'
import { retag } from './retag.ts'

/**
 * A wheel that was built here, or that somebody built and named, if it will do on the platform. Where its tag only says that it was built on
 * some Linux, it gets the tag that its native files hold to.
 */
export async function acceptBuilt(wheel: string, told: string, job: ResolveJob): Promise<string> {
  const { platform, report } = job
  const natives: Native[] = []
  await readWheel(wheel, (name, content) => {
    const needs = elfNeeds(content)
    if (needs) natives.push({ name, needs })
  })
  const portable = portableTag(wheel, natives, platform)
  const why = [
    ...(portable ? [] : [whyUnfit(wheel, platform)]),
    ...natives.map(({ name, needs }) => tell(name, whyElfUnfit(needs, platform))),
  ].filter((reason) => reason !== undefined)
  if (why.length > 0) throw new UserError(refusal(wheel, told, why, platform))
  for (const need of [...foreignLibraries(natives), ...newerLibstdcxx(natives, platform)])
    report(`${basename(wheel)} loads ${need}, which must be on every target`)
  if (!portable) return wheel
  const folder = join(job.cache, 'retagged', await digestSource(wheel))
  await mkdir(folder, { recursive: true })
  return retag(wheel, portable, folder)
}

interface Native {
  name: string
  needs: ElfNeeds
}

/** The tag for a wheel that is tagged `linux_x86_64`, of the oldest libc that would do; undefined for any other wheel. */
function portableTag(wheel: string, natives: readonly Native[], platform: Platform): string | undefined {
  const { machine, libc } = platform
  const [tag = '', ...others] = parseWheelName(wheel)?.tags ?? []
  const [, python = '', name = ''] = tag.match(/^(.*)-([^-]+)$/) ?? []
  if (others.length > 0 || name !== `linux_${machine}`) return undefined
  const oldest = platformTags(platform)
    .filter((known) => /linux_\d/.test(known))
    .at(-1)
  const needed = newestOf(natives.flatMap(({ needs }) => needs.glibc ?? []))
  const floor = oldest
    ?.match(/linux_(\d+)_(\d+)_/)
    ?.slice(1)
    .join('.')
  const version = needed && floor && isNewer(needed, floor) ? needed : floor
  const portable = `${python}-${libc[0] === 'musl' ? 'musl' : 'many'}linux_${version?.replace('.', '_')}_${machine}`
  const renamed = basename(wheel).replace(tag, portable)
  // What is too new is told from the native file itself.
  const isTooNew = version !== undefined && isNewer(version, libc[1])
  return isTooNew || whyUnfit(renamed, platform) === undefined ? portable : undefined
}

function tell(name: string, why: string | undefined): string | undefined {
  return why && `its "${name}" ${why}`
}

function refusal(wheel: string, told: string, why: readonly string[], platform: Platform): string {
  const { name, version } = parseWheelName(wheel) ?? {}
  const here = describePlatform(platform)
  return [
    told === wheel
      ? `${told} does not fit ${here}:`
      : `${name} ${version} has to be built from ${told}, and what this machine builds does not fit ${here}:`,
    ...why.map((reason) => `- ${reason}`),
    `Ask for a version of ${name} that has a fitting wheel, or build one on a machine like the targets (pip wheel --no-deps), and name that .whl in the requirements.`,
  ].join('\n')
}

/** What PEP 600 lets a wheel expect of every Linux. */
const EVERYWHERE =
  /^(lib(c|m|dl|rt|util|nsl|pthread|resolv|anl|gcc_s|stdc\+\+|atomic|z|expat|glib-2\.0|gobject-2\.0|gthread-2\.0|X11|Xext|Xrender|ICE|SM|GL)|ld-linux.*|ld64)\.so\.\d+$/

/** By the lowest glibc, the libstdc++ that auditwheel's policies (PEP 600) let a wheel expect beside it. */
const LIBSTDCXX = Object.entries({
  2.17: '3.4.19',
  2.24: '3.4.22',
  2.26: '3.4.24',
  2.31: '3.4.28',
  2.34: '3.4.29',
  2.35: '3.4.30',
  2.39: '3.4.33',
})

/** Only told: distributions with one glibc differ in this, and a target may have got a newer one. */
function newerLibstdcxx(natives: readonly Native[], { libc: [libc, version] }: Platform): string[] {
  const needed = newestOf(natives.flatMap(({ needs }) => needs.libstdcxx ?? []))
  const [, expected] = LIBSTDCXX.findLast(([glibc]) => !isNewer(glibc, version)) ?? []
  const isOwn = natives.some(({ name }) => basename(name).startsWith('libstdc++'))
  if (libc !== 'glibc' || !needed || !expected || isOwn) return []
  return isNewer(needed, expected) ? [`a libstdc++ that has GLIBCXX_${needed}`] : []
}

function foreignLibraries(natives: readonly Native[]): string[] {
  const own = new Set(natives.map(({ name }) => basename(name)))
  const loaded = new Set(natives.flatMap(({ needs }) => needs.libraries))
  return [...loaded].filter(
    (library) => !own.has(library) && !EVERYWHERE.test(library) && !/^libc\.musl/.test(library),
  )
}

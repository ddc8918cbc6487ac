import { basename } from 'node:path'
import { UserError } from '../../user-error.ts'
import { describePlatform } from '../platform.ts'
import { whyUnfit } from '../wheel.ts'
import type { Input } from './inputs.ts'

export interface LockedPackage {
  name: string
  version?: string | undefined
  wheels: readonly LockedWheelFile[]
  sdist?: unknown
}

/** Each lock has its own way to name a file. */
interface LockedWheelFile {
  name?: string | undefined
  filename?: string | undefined
  path?: string | undefined
  url?: string | undefined
}

/** A lock may hold the files of one machine only: pip would find others, and take those for forged. */
export function refuseUnfitWheels(
  packages: readonly LockedPackage[],
  { file, platform }: Pick<Input, 'file' | 'platform'>,
): void {
  const unfit = packages.filter(({ wheels, sdist }) => {
    if (sdist || wheels.length === 0) return false
    return wheels.every((wheel) => whyUnfit(fileOf(wheel), platform) !== undefined)
  })
  if (unfit.length === 0) return
  throw new UserError(
    [
      `${file} was locked for another platform; it has nothing for ${describePlatform(platform)} of:`,
      ...unfit.map(
        ({ name, version, wheels }) =>
          `- ${name} ${version}: ${wheels.map(fileOf).slice(0, SHOWN).join(', ')}`,
      ),
      'Lock for every platform (uv lock does, pip lock does not), or name what it was locked from.',
    ].join('\n'),
  )
}

const SHOWN = 2

function fileOf({ name, filename, path, url = '' }: LockedWheelFile): string {
  return name ?? filename ?? basename(path ?? url.replace(/[?#].*$/, '')).replace(/%2B/gi, '+')
}

import { UserError } from '../../user-error.ts'
import { whichApply } from '../markers.ts'
import { describePlatform } from '../platform.ts'
import type { Input } from './inputs.ts'

/** What a file says of the Pythons and machines that it is for. */
export interface Purpose {
  requiresPython?: string | undefined
  /** Markers, one of which must hold. */
  environments?: readonly string[]
}

/** A lock leaves out what only other platforms need: read for one of those, it would be incomplete without a word. */
export async function refuseOtherPlatform(
  { requiresPython = '', environments = [] }: Purpose,
  { file, platform, python }: Pick<Input, 'file' | 'platform' | 'python'>,
): Promise<void> {
  const apply = async (markers: readonly string[]) =>
    (
      await whichApply(
        markers.map((marker) => ({ marker })),
        { platform, python },
      )
    ).length
  const here = describePlatform(platform)
  if ((await apply([markerOf(requiresPython)])) === 0)
    throw new UserError(`${file} is for Python ${requiresPython}, not for ${here}`)
  if (environments.length > 0 && (await apply(environments)) === 0)
    throw new UserError(`${file} is for ${environments.join(' or ')}, not for ${here}`)
}

/** `>=3.9,<4` as a marker. */
function markerOf(requiresPython: string): string {
  return requiresPython
    .split(',')
    .map((text) => text.trim())
    .filter(Boolean)
    .map((text) => text.replace(/^([<>=!~]+)\s*(.*)$/, 'python_full_version $1 "$2"'))
    .join(' and ')
}

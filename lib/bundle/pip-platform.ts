import { markerEnvironment } from './markers.ts'
import { runPip } from './pip.ts'
import type { Platform } from './platform.ts'
import type { ResolveJob } from './resolve.ts'
import { platformTags } from './tags.ts'

/** Runs pip as if it ran on the platform. */
export function runPipForPlatform(
  [command = '', ...args]: readonly string[],
  { python, cache, platform, folder }: ResolveJob,
  { useIndex = true } = {},
): Promise<void> {
  return runPip([command, ...platformArguments(platform), ...args], {
    python,
    cache,
    markers: markerEnvironment(platform),
    useIndex,
    cwd: folder,
  })
}

/**
 * A platform names no patch release. What excludes early ones (`!=3.9.0`) must be found; a target that has one
 * refuses it itself. Markers are given the earliest instead: they ask for what later ones have built in.
 */
export const LATE_PATCH = 99

function platformArguments(platform: Platform): string[] {
  return [
    '--implementation=cp',
    `--python-version=${platform.python}.${LATE_PATCH}`,
    ...[`cp${platform.python.replace('.', '')}`, 'abi3', 'none'].map((abi) => `--abi=${abi}`),
    ...platformTags(platform).map((tag) => `--platform=${tag}`),
  ]
}

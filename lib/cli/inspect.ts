import { statSync } from 'node:fs'
import { type BundleDescription, type BundledPackage, inspectBundle } from '../bundle/inspect.ts'
import { type LegacyBundle, readLegacy } from '../bundle/legacy/legacy.ts'
import { describePlatform } from '../bundle/platform.ts'
import { UserError } from '../user-error.ts'
import { formatSize } from './artifacts.ts'
import { colorsOf } from './colors.ts'
import { appFolder } from './open-app.ts'
import { plainTable } from './plain-table.ts'

const colors = colorsOf(process.stdout)

export interface InspectOptions {
  json?: boolean | undefined
}

/** Shows what is in a bundle, of which every byte was verified; of one of format 1, what it lists. */
export async function inspect(file: string, options: InspectOptions): Promise<number> {
  const path = bundlePath(file)
  const description = (await readLegacy(path)) ?? (await inspectBundle(path))
  console.log(options.json ? JSON.stringify({ file: path, ...description }) : render(path, description))
  return 0
}

function render(file: string, description: LegacyBundle | BundleDescription): string {
  return description.format === 1 ? renderLegacy(file, description) : renderBundle(file, description)
}

/** Relative to where the user stood. */
export function bundlePath(file: string): string {
  const path = appFolder(file)
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) throw new UserError(`there is no file ${path}`)
  return path
}

function renderBundle(file: string, description: BundleDescription): string {
  const { digest, size, platform, pip, packages, problems } = description
  const roots = packages.filter(({ isRoot }) => isRoot).length
  const table = plainTable(['package', 'version', 'size', 'why'])
  for (const bundled of packages) {
    const { name, version, size, isRoot } = bundled
    table.push([isRoot ? colors.bold(name) : name, version, formatSize(size), why(bundled)])
  }
  return [
    colors.bold(`bundle ${digest.slice(0, 12)}`),
    `file      ${file}`,
    `size      ${formatSize(size)}`,
    `platform  ${describePlatform(platform)}`,
    `packages  ${packages.length}, ${roots} of them named by the requirements`,
    `tools     pip ${pip ?? 'is not in it'}`,
    '',
    table.toString().replace(/ +$/gm, ''),
    ...(problems.length > 0 ? ['', colors.red('it would not work on its platform:')] : []),
    ...problems.map((problem) => `- ${problem}`),
  ].join('\n')
}

function renderLegacy(file: string, { size, packages }: LegacyBundle): string {
  const table = plainTable(['package', 'version', 'sources', 'from'])
  for (const { name, version, size, checkout } of packages) {
    const origin = checkout && `${checkout.vcs} ${checkout.url}, revision ${checkout.revision}`
    table.push([name, version ?? '-', formatSize(size), origin ?? ''])
  }
  return [
    colors.bold('bundle of format 1: sources, as pip bundled them until pip 6.0'),
    `file      ${file}`,
    `size      ${formatSize(size)}`,
    `packages  ${packages.length}`,
    '',
    table.toString(),
    '',
    'Convert and publish it: pybundle publish-bundle --from FILE --environment NAME',
  ].join('\n')
}

function why({ isRoot, neededBy, vcs }: BundledPackage): string {
  const reasons = [
    ...(isRoot ? ['required'] : []),
    // The marker holds, or it would not be here.
    ...neededBy.slice(0, SHOWN).map(({ name, requirement }) => `${name} needs ${requirement.split(';')[0]}`),
    ...(neededBy.length > SHOWN ? [`${neededBy.length - SHOWN} more`] : []),
  ]
  const { commit, revision } = (vcs ?? {}) as { commit?: string; revision?: string }
  const source = commit
    ? ` (commit ${commit.slice(0, 12)})`
    : revision
      ? ` (revision ${revision.slice(0, 12)})`
      : ''
  return `${reasons.join(', ') || 'nothing in it asks for it'}${source}`
}

const SHOWN = 3

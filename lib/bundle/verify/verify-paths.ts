import type { WheelContents } from './read-wheel.ts'

/** Installed one after the other, the last of two wheels that own one path would win without a word. */
export function sharedPaths(wheels: readonly WheelContents[]): string[] {
  const owners = new Map<string, { file: string; content: string }>()
  const shared = new Map<string, string[]>()
  for (const wheel of wheels) {
    for (const [path, content] of installedPaths(wheel)) {
      const other = owners.get(path)
      owners.set(path, other ?? { file: wheel.file, content })
      if (!other || other.content === content || other.file === wheel.file) continue
      const pair = `"${other.file}" and "${wheel.file}"`
      shared.set(pair, [...(shared.get(pair) ?? []), path])
    }
  }
  return [...shared].map(([pair, paths]) => `${pair} both own ${tell(paths)}`)
}

const SHOWN = 3
const VIRTUALENV = '<virtualenv>/'

function tell(paths: readonly string[]): string {
  const shown = paths
    .slice(0, SHOWN)
    .map((path) => `"${path}"`)
    .join(', ')
  return paths.length > SHOWN ? `${shown} and ${paths.length - SHOWN} more paths` : shown
}

/** Where each file goes below the virtualenv, or below its site-packages; two with the same content do no harm. */
function* installedPaths({
  name,
  file,
  files,
  scripts,
}: WheelContents): Generator<[path: string, content: string]> {
  for (const [member, content] of files) {
    const [, scheme, rest] = member.match(/^[^/]+\.data\/([^/]+)\/(.+)$/) ?? []
    if (scheme === 'purelib' || scheme === 'platlib') yield [rest ?? '', content]
    else if (scheme === 'scripts') yield [`${VIRTUALENV}bin/${rest}`, content]
    else if (scheme === 'data') yield [`${VIRTUALENV}${rest}`, content]
    else if (scheme) yield [`${VIRTUALENV}${scheme}/${name}/${rest}`, content]
    else if (!/^[^/]+\.dist-info\//.test(member)) yield [member, content]
  }
  for (const [script, calls] of scripts) yield [`${VIRTUALENV}bin/${script}`, calls || file]
}

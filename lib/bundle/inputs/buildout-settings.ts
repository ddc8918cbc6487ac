/** One line of a buildout's file, with those that continue it. */
export interface Setting {
  section: string
  key: string
  /** "+" or "-" before the "=". */
  sign: string
  value: string
  /** Under which the section counts: `[versions:python27]`. */
  marker: string
}

export function parseBuildout(text: string): Setting[] {
  const settings: Setting[] = []
  let section = ''
  let marker = ''
  let isOpen = false
  for (const line of text.split(/\r?\n/)) {
    if (/^\s*([#;]|$)/.test(line)) continue
    const [, title, condition = ''] = line.match(/^\[\s*([^\s#[\]:;{}]+)\s*(?::([^#;]*))?\]/) ?? []
    const [, key, sign = '', value = ''] = line.match(/^([^\s{}[\]=:]+?)\s*([-+]?)\s*=\s*(.*)$/) ?? []
    const last = settings.at(-1)
    if (title) {
      ;[section, marker, isOpen] = [title, asMarker(condition.trim()), false]
    } else if (/^\s/.test(line)) {
      if (last && isOpen) last.value = `${last.value}\n${line.trim()}`
    } else if (key) {
      settings.push({ section, key, sign, value: value.trim(), marker })
      isOpen = true
    }
  }
  return settings
}

/** Conditions are markers; buildout's older ones are names for some. */
function asMarker(condition: string): string {
  return condition.replace(/(["']).*?\1|\b[a-z]+\d*\b/g, (word) => {
    const [, major, minor] = word.match(/^python(\d)(\d*)$/) ?? []
    if (major)
      return minor
        ? `python_version == "${major}.${minor}"`
        : `python_version >= "${major}" and python_version < "${Number(major) + 1}"`
    return NAMES[word] ?? word
  })
}

const NAMES: Record<string, string> = {
  linux: 'sys_platform == "linux"',
  windows: 'sys_platform == "win32"',
  macosx: 'sys_platform == "darwin"',
  posix: 'os_name == "posix"',
  cpython: 'implementation_name == "cpython"',
  pypy: 'implementation_name == "pypy"',
}

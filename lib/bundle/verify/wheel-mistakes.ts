import { normalizeName } from '../wheel.ts'

export interface ReadWheel {
  /** Normalized, as its file name says. */
  name: string
  /** The sha256 of each file. */
  files: ReadonlyMap<string, string>
  /** Of its metadata. */
  texts: ReadonlyMap<string, string>
}

/** What is wrong within a wheel that could be read to its end. */
export function wheelMistakes({ name, files, texts }: ReadWheel): string[] {
  const infos = infoFolders(files)
  const [info = ''] = infos
  const record = texts.get(`${info}/RECORD`)
  return [
    infos.length === 1 ? '' : `it has ${infos.length} .dist-info folders, not one`,
    ...['METADATA', 'WHEEL', 'RECORD'].map((file) =>
      infos.length === 1 && !texts.has(`${info}/${file}`) ? `it has no ${info}/${file}` : '',
    ),
    normalizeName(info.split('-')[0] ?? '') === name || !info ? '' : `its metadata is in "${info}"`,
    ...(record === undefined ? [] : recordMistakes(record, files)),
    ...schemeMistakes(files),
    formatMistake(texts.get(`${info}/WHEEL`)),
  ].filter(Boolean)
}

export function infoFolders(files: ReadonlyMap<string, string>): string[] {
  const folders = [...files.keys()].map((name) => name.split('/')[0] ?? '')
  return [...new Set(folders)].filter((folder) => folder.endsWith('.dist-info'))
}

const SCHEMES = ['purelib', 'platlib', 'headers', 'scripts', 'data']

/** pip installs none of a wheel that has something for another place. */
function schemeMistakes(files: ReadonlyMap<string, string>): string[] {
  const schemes = [...files.keys()].map((name) => name.match(/^[^/]+\.data\/([^/]+)/)?.[1] ?? 'data')
  return [...new Set(schemes)]
    .filter((scheme) => !SCHEMES.includes(scheme))
    .map((scheme) => `its .data has "${scheme}", for which there is no place`)
}

function formatMistake(text: string | undefined): string {
  const [, version] = text?.match(/^Wheel-Version:\s*(.*?)\s*$/im) ?? []
  if (text === undefined || version?.startsWith('1.')) return ''
  return version
    ? `it is a wheel of version ${version}, which pip does not know`
    : 'its WHEEL has no Wheel-Version'
}

/** pip does not compare them, so nobody else will. */
function recordMistakes(record: string, files: ReadonlyMap<string, string>): string[] {
  return record.split(/\r?\n/).flatMap((line) => {
    const [, quoted, plain = '', hash = ''] =
      line.match(/^(?:"((?:[^"]|"")*)"|([^,]*)),sha256=([^,]*),/) ?? []
    const name = quoted?.replaceAll('""', '"') ?? plain
    const found = files.get(name)
    if (!name || found === hash.replace(/=+$/, '')) return []
    return found
      ? [`"${name}" is not what its RECORD says: the sha256 differs`]
      : [`its RECORD lists "${name}", which is not in it`]
  })
}

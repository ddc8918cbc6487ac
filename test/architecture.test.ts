import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, expect, it } from 'vitest'

/** Who may import whom; a folder always may import from itself. The picture is in docs/architecture.md. */
const ARROWS: Record<string, string[]> = {
  'lib/release': [],
  'lib/config': ['lib/bundle', 'lib/release'],
  'lib/bundle': ['lib/release'],
  'lib/code': ['lib/release'],
  'lib/aws': ['lib/release'],
  'lib/cli': ['lib/aws', 'lib/bundle', 'lib/code', 'lib/config', 'lib/release', 'local'],
  'lib/stack': ['lib/config', 'lib/release'],
  lambda: ['lib/aws', 'lib/bundle', 'lib/code', 'lib/release'],
  local: ['lib/release'],
  bin: ['lib/cli', 'lib/config', 'lib/stack', 'local'],
}

const ROOT = new URL('..', import.meta.url).pathname
const FOLDERS = Object.keys(ARROWS)
const files = globSync(['bin/*.ts', 'lib/**/*.ts', 'lambda/*.ts', 'local/**/*.ts'], { cwd: ROOT })

function folderOf(file: string): string | undefined {
  return FOLDERS.find((folder) => file.startsWith(`${folder}/`))
}

function importsOf(file: string): string[] {
  const text = readFileSync(join(ROOT, file), 'utf8')
  return [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map(([, name = '']) => name)
}

function ownImportsOf(file: string): string[] {
  return importsOf(file)
    .filter((name) => name.startsWith('.'))
    .map((name) => normalize(join(dirname(file), name)))
}

describe('the folders', () => {
  it('are all found', () => {
    expect(new Set(files.map(folderOf))).toEqual(new Set([...FOLDERS, undefined]))
  })

  it('import only along the arrows', () => {
    const strays = files.flatMap((file) => {
      const folder = folderOf(file)
      if (!folder) return []
      return ownImportsOf(file)
        .filter((target) => {
          const to = folderOf(target)
          return to && to !== folder && !ARROWS[folder]?.includes(to)
        })
        .map((target) => `${file} imports ${target}`)
    })
    expect(strays).toEqual([])
  })

  it('leave the AWS SDK to lib/aws, the functions that make its clients, and the local cloud', () => {
    const strays = files
      .filter((file) => !/^(lib\/aws|lambda|local)\//.test(file))
      .filter((file) => importsOf(file).some((name) => /^@(aws-sdk|smithy)\//.test(name)))
    expect(strays).toEqual([])
  })

  it('leave what is licensed for tests only to tests', () => {
    const strays = files.filter((file) => importsOf(file).some((name) => name.startsWith('@cloud-copilot/')))
    expect(strays).toEqual([])
  })

  it('keep the deciding half free of clock, environment, file system and SDK', () => {
    const strays = files
      .filter((file) => file.startsWith('lib/release/'))
      .filter((file) =>
        /process\.|Date\.now|new Date\(\)|Math\.random|node:(fs|os|http|child_process)/.test(
          readFileSync(join(ROOT, file), 'utf8'),
        ),
      )
    expect(strays).toEqual([])
  })
})

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { describe, expect, it } from 'vitest'
import { addBundleCommands } from '../lib/cli/commands/bundle-commands.ts'
import { addFleetCommands } from '../lib/cli/commands/fleet-commands.ts'
import { addLocalCommand } from '../lib/cli/commands/local-command.ts'
import { addPublishCommands } from '../lib/cli/commands/publish-commands.ts'
import { OUTCOMES } from '../lib/release/record.ts'

const ROOT = join(import.meta.dirname, '..')
const text = (file: string) => readFileSync(join(ROOT, file), 'utf8')

/** Titles of tests as vitest prints them: the describes around a test, and its own. */
function titlesOf(file: string): string {
  const quoted = text(file).matchAll(/\b(?:describe|it|each\(.*?\))\(\s*(?:'((?:\\.|[^'])*)'|`([^`]*)`)/gs)
  return [...quoted].map(([, plain, template]) => plain ?? template).join('\n')
}

/** Each promise of the table, with the test files and the titles (or parts of them) that it names. */
function promises(): { promise: string; files: string[]; titles: string[] }[] {
  const [, section = ''] = text('docs/rollouts.md').split('## What is promised')
  const [table = ''] = section.split('\n## ')
  const rows = table.matchAll(/^\| (?<promise>[^|]+) \| (?<proof>[^|]+) \|$/gm)
  return [...rows]
    .map(({ groups: { promise = '', proof = '' } = {} }) => ({
      promise,
      files: [...proof.matchAll(/`([\w./-]+)`/g)].map(([, name]) => name ?? ''),
      titles: [...proof.matchAll(/(?<!\w)\*([^*]+)\*/g)].flatMap(([, title = '']) =>
        title.split(/\s*\.\.\.\s*/),
      ),
    }))
    .filter(({ files }) => files.length > 0)
}

const testFiles = readdirSync(join(ROOT, 'test'), { recursive: true, encoding: 'utf8' })
const fileNamed = (name: string) =>
  [name, `rollout/${name}`]
    .flatMap((path) => [`${path}.test.ts`, `${path}.ts`])
    .find((path) => testFiles.includes(path) && /\.(test|proof)\.ts$/.test(path))

describe('docs/rollouts.md', () => {
  it.each(promises())('names a test that there is: $promise', ({ files, titles }) => {
    const found = files.map(fileNamed)
    expect(found).not.toContain(undefined)
    const known = found.map((file) => titlesOf(join('test', file ?? ''))).join('\n')
    for (const title of titles.filter(Boolean)) expect(known).toContain(title)
  })

  it('has promises', () => expect(promises().length).toBeGreaterThan(20))
})

describe('docs/runbook.md', () => {
  it.each(OUTCOMES)('says what to do when a rollout is %s', (outcome) => {
    expect(text('docs/runbook.md')).toMatch(new RegExp(`^## ${outcome}`, 'm'))
  })
})

describe('a command that somebody is told to run', () => {
  const program = new Command()
  for (const add of [addPublishCommands, addBundleCommands, addFleetCommands, addLocalCommand]) add(program)
  const options = new Map(
    program.commands.map((command) => [command.name(), command.options.map(({ long }) => long)]),
  )
  const sources = ['lib', 'lambda', 'docs', 'examples'].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((path) => /\.(ts|md|toml)$/.test(path))
      .map((path) => join(folder, path)),
  )
  const told = [...sources, 'README.md', 'README.ja.md'].flatMap((file) => {
    const commands = text(file).matchAll(
      /(?:\bpybundle|npm run) (?<name>[a-z]+(?:-[a-z]+)*)(?: --)?(?<rest>(?: --?[a-z][^ ]*(?: (?!--)[^ `'"\n]+)*)+)/g,
    )
    return [...commands].map(({ groups: { name = '', rest = '' } = {} }) => ({
      file,
      name,
      flags: [...rest.matchAll(/ (--[a-z-]+)/g)].map(([, flag]) => flag),
    }))
  })

  it('is told of in many places', () => expect(told.length).toBeGreaterThan(50))

  it('is one that there is, with options that it takes', () => {
    const wrong = told
      .filter(({ name }) => name !== 'demo' && name !== 'bench')
      .filter(({ name, flags }) => flags.some((flag) => !options.get(name)?.includes(flag)))
    expect(wrong).toEqual([])
  })
})

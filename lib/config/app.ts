import { readFileSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { z } from 'zod'
import { UserError } from '../user-error.ts'
import { APP_RULES } from './app-rules.ts'
import { refuseMistakes } from './mistakes.ts'
import { readTable } from './table.ts'
import { parseToml } from './toml.ts'
import { listOf, name, table, text } from './values.ts'

/** Where the artifacts of one environment are published to. */
export interface Publication {
  bucket: string
  region?: string | undefined
  profile?: string | undefined
  /** The key that signs what is asked for there, in a file or, by its public half, in an agent. */
  signingKey?: string | undefined
  /** Public keys of others whose releases may be signed for again. */
  signers: string[]
}

const command = text('a command').optional()

const hooks = table({
  before_prepare: command,
  after_prepare: command,
  before_migrate: command,
  after_migrate: command,
  before_activate: command,
  after_activate: command,
  before_rollback: command,
  after_rollback: command,
})
export type Hooks = z.infer<typeof hooks>

/** What an app says about itself, in `[tool.pybundle]` of its pyproject.toml or in pybundle.toml. */
export interface AppConfig {
  /** The configuration file; its folder is the app. */
  file: string
  folder: string
  app: string
  /** Relative to the folder: any file that `lib/bundle/inputs/inputs.ts` reads, with groups as `pyproject.toml[web]`. */
  requirements: string
  /** A preset of `lib/bundle/platform.ts`, an exact one such as `glibc-2.34-x86_64`, or `this-machine`. */
  platform: string
  /** "3.11"; optional with `this-machine`. */
  python?: string | undefined
  /** What is not archived, in .gitignore's patterns. */
  exclude: string[]
  /** What looks like a secret and is archived all the same, in the same patterns. */
  includeSecrets: string[]
  prepareCommand?: string | undefined
  migrateCommand?: string | undefined
  migrateCheckCommand?: string | undefined
  /** Commands around what happens to a release on a target; `docs/reference/pybundle.toml` tells when. */
  hooks: Hooks
  healthPath: string
  /** Relative paths that outlive releases. */
  sharedPaths: string[]
  environments: Record<string, Publication>
}

const publication = table({
  bucket: text('the bucket to publish to').regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'is not a bucket'),
  region: text('a region').optional(),
  profile: text('a profile of the AWS configuration').optional(),
  signing_key: text('the path of an SSH key').optional(),
  signers: listOf(z.string(), 'SSH public keys').default([]),
})

const app = table({
  app: name("the app's name"),
  requirements: text('the path of a requirements file').default('requirements.txt'),
  groups: listOf(text('a group'), 'groups').default([]),
  platform: text('"this-machine" or a platform such as "amazon-linux-2023-x86_64"'),
  python: text('a Python version such as "3.11"')
    .regex(/^3\.\d+$/, 'must be a Python version such as "3.11", in quotes')
    .optional(),
  exclude: listOf(text('a pattern'), 'patterns').default([]),
  include_secrets: listOf(text('a pattern'), 'patterns').default([]),
  prepare_command: command,
  migrate_command: command,
  migrate_check_command: command,
  hooks: hooks.default({}),
  health_path: text('a path').regex(/^\//, 'must begin with "/"').default('/'),
  shared_paths: listOf(text('a path'), 'paths').default([]),
  environments: z.record(z.string(), publication, { error: 'must be a table of environments' }).default({}),
})
export type AppTable = z.infer<typeof app>

export const APP_KEYS: readonly string[] = Object.keys(app.shape)
export const HOOK_NAMES: readonly string[] = Object.keys(hooks.shape)
const keysAt = ([key]: readonly PropertyKey[]) => {
  if (key === undefined) return APP_KEYS
  return key === 'hooks' ? HOOK_NAMES : Object.keys(publication.shape)
}

/** The nearest configuration in or above a folder. */
export function readAppConfig(startDirectory: string): AppConfig {
  const found = findConfiguration(resolve(startDirectory))
  if (found) return parseAppConfig(found)
  throw new UserError(
    `no app in "${startDirectory}" or above it: a pybundle.toml, or a pyproject.toml with [tool.pybundle].\nGo to the app's folder, or name it with --app PATH.`,
  )
}

interface Configuration {
  file: string
  content: unknown
  /** Of the table in its file. */
  prefix: string[]
}

function findConfiguration(folder: string): Configuration | undefined {
  const own = readToml(join(folder, 'pybundle.toml'))
  const project = readToml(join(folder, 'pyproject.toml'))
  const tool = (project?.tool as Record<string, unknown> | undefined)?.pybundle
  if (own && tool) {
    throw new UserError(
      `${folder} has both pybundle.toml and [tool.pybundle] in pyproject.toml: keep one of them.`,
    )
  }
  if (own) return { file: join(folder, 'pybundle.toml'), content: own, prefix: [] }
  if (tool) return { file: join(folder, 'pyproject.toml'), content: tool, prefix: ['tool', 'pybundle'] }
  return dirname(folder) === folder ? undefined : findConfiguration(dirname(folder))
}

function readToml(file: string): Record<string, unknown> | undefined {
  if (!statSync(file, { throwIfNoEntry: false })?.isFile()) return undefined
  return parseToml(readFileSync(file, 'utf8'), file)
}

function parseAppConfig({ file, content, prefix }: Configuration): AppConfig {
  const { value, mistakes } = readTable(content, {
    schema: app,
    rules: APP_RULES,
    prefix,
    keysAt,
  })
  refuseMistakes(file, mistakes)
  if (!value) throw new Error(`${file}: no value and no mistake`)
  return normalize(file, value)
}

function normalize(file: string, content: AppTable): AppConfig {
  return {
    file,
    folder: dirname(file),
    app: content.app,
    requirements: withGroups(content),
    platform: content.platform,
    python: content.python,
    exclude: content.exclude,
    includeSecrets: content.include_secrets,
    prepareCommand: content.prepare_command,
    migrateCommand: content.migrate_command,
    migrateCheckCommand: content.migrate_check_command,
    hooks: content.hooks,
    healthPath: content.health_path,
    sharedPaths: content.shared_paths,
    environments: Object.fromEntries(
      Object.entries(content.environments).map(([name, { signing_key: signingKey, ...rest }]) => [
        name,
        { ...rest, signingKey },
      ]),
    ),
  }
}

function withGroups({ requirements, groups }: AppTable): string {
  return groups.length === 0 ? requirements : `${requirements}[${groups.join(',')}]`
}

import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { writeFileAtomically } from '../atomic-file.ts'
import { ServiceError } from '../http/endpoint.ts'
import { type AliasConfig, type FunctionConfig, type FunctionVersion, LATEST } from './function-config.ts'

export interface FunctionRegistry {
  /** Finds a function by its name or ARN, whole or in part, and a version or an alias of it. */
  find(nameOrArn: string, qualifier?: string): FoundFunction
  version(functionName: string, version: string): FunctionVersion
  /** Where the version's code is kept. */
  codeOf(version: FunctionVersion): string
  arnOf(functionName: string, qualifier?: string): string
  /** Forgets code that neither a function nor one of these versions has. */
  prune(used: readonly { functionName: string; version: string }[]): void
}

export interface FoundFunction extends FunctionVersion {
  /** As the caller named it; undefined for the bare function. */
  qualifier: string | undefined
}

export interface RegistryOptions {
  directory: string
  /** `arn:aws:lambda:<region>:<account>:function:` */
  arnPrefix: string
  functions: readonly FunctionConfig[]
  aliases: readonly AliasConfig[]
}

type Published = Record<string, FunctionVersion[]>

/**
 * Functions with their published versions. A version and its code are kept as they were when it was
 * published: what began on it ends on it, also when a later start brings other code.
 */
export function openFunctionRegistry(options: RegistryOptions): FunctionRegistry {
  const { directory, arnPrefix, functions, aliases } = options
  const file = join(directory, 'versions.json')
  const published: Published = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {}
  for (const config of functions) {
    keepCode(directory, config)
    publish(published, config)
  }
  const save = () => writeFileAtomically(file, `${JSON.stringify(published, null, 1)}\n`)
  save()

  const versionOf = (functionName: string, version: string): FunctionVersion | undefined => {
    const config = functions.find(({ name }) => name === functionName)
    if (version === LATEST) return config && { version, config }
    return published[functionName]?.find((known) => known.version === version)
  }
  const newest = (functionName: string) => published[functionName]?.at(-1)?.version
  const registry: FunctionRegistry = {
    find(nameOrArn, givenQualifier) {
      const { name, qualifier = givenQualifier } = parseName(nameOrArn)
      const alias = aliases.find((known) => known.functionName === name && known.name === qualifier)
      const version = alias ? newest(name) : qualifier
      const found = versionOf(name, version ?? LATEST)
      if (!found) throw notFound(registry.arnOf(name, qualifier))
      return { ...found, qualifier }
    },
    version(functionName, version) {
      const found = versionOf(functionName, version)
      if (!found) throw notFound(registry.arnOf(functionName, version))
      return found
    },
    codeOf: ({ config }) => codeDirectory(directory, config.codeHash),
    arnOf: (name, qualifier) => `${arnPrefix}${name}${qualifier ? `:${qualifier}` : ''}`,
    prune(used) {
      const isUsed = (name: string, { version }: FunctionVersion) =>
        version === newest(name) ||
        used.some((pinned) => pinned.functionName === name && pinned.version === version)
      for (const [name, versions] of Object.entries(published)) {
        published[name] = versions.filter((version) => isUsed(name, version))
      }
      save()
      const hashes = new Set(Object.values(published).flatMap((all) => all.map((v) => v.config.codeHash)))
      for (const { name } of readdirSync(join(directory, 'code'), { withFileTypes: true }).filter((e) =>
        e.isDirectory(),
      )) {
        if (!hashes.has(name)) rmSync(codeDirectory(directory, name), { recursive: true })
      }
    },
  }
  return registry
}

const NAME =
  /^(?:arn:[\w-]+:lambda:[\w-]+:\d{12}:function:|(?:\d{12}:)?function:)?([\w-]{1,64})(?::([\w$-]{1,128}))?$/

function parseName(nameOrArn: string): { name: string; qualifier: string | undefined } {
  const [, name, qualifier] = NAME.exec(nameOrArn) ?? []
  if (name) return { name, qualifier }
  const message = `1 validation error detected: Value '${nameOrArn}' at 'functionName' failed to satisfy constraint: Member must satisfy regular expression pattern: ${NAME.source}`
  throw new ServiceError(400, 'ValidationException', message)
}

function notFound(arn: string): ServiceError {
  return new ServiceError(404, 'ResourceNotFoundException', `Function not found: ${arn}`, { Type: 'User' })
}

/** A version differs from the one before it in code or configuration, as on AWS. */
function publish(published: Published, config: FunctionConfig): void {
  const versions = published[config.name] ?? []
  published[config.name] = versions
  const latest = versions.at(-1)
  const { directory: _now, ...content } = config
  const { directory: _before, ...known } = latest?.config ?? { directory: '' }
  if (latest && JSON.stringify(known) === JSON.stringify(content)) return
  versions.push({ version: String(Number(latest?.version ?? 0) + 1), config })
}

const codeDirectory = (directory: string, hash: string) => join(directory, 'code', hash)

function keepCode(directory: string, config: FunctionConfig): void {
  const kept = codeDirectory(directory, config.codeHash)
  if (existsSync(kept)) return
  const temporary = `${kept}.${process.pid}.tmp`
  mkdirSync(join(directory, 'code'), { recursive: true })
  // On Lambda nothing lies above the code; here a package.json above would make CommonJS ES modules.
  writeFileSync(join(directory, 'code', 'package.json'), '{}\n')
  rmSync(temporary, { recursive: true, force: true })
  cpSync(config.directory, temporary, { recursive: true })
  renameSync(temporary, kept)
}

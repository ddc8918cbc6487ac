import { createHash } from 'node:crypto'
import { JsonFolder } from '../json-folder.ts'
import { ssmError } from './errors.ts'

interface ParameterDefinition {
  type: 'String' | 'StringList'
  default?: string | string[]
  allowedPattern?: string
  allowedValues?: string[]
}

/** A command document of schema 2.2. */
export interface DocumentContent {
  schemaVersion: string
  description?: string
  parameters?: Record<string, ParameterDefinition>
  mainSteps: { name: string; action: string; inputs?: { timeoutSeconds?: string | number } }[]
}

export interface DocumentVersion {
  name: string
  version: string
  versionName?: string | undefined
  content: DocumentContent
  /** sha256 of the content as `GetDocument` gives it. */
  hash: string
  createdAt: string
}

export interface GivenDocument {
  name: string
  content: object
  versionName?: string | undefined
}

/** Documents and all their versions; the latest is the default one, as CloudFormation's NewVersion leaves it. */
export class Documents {
  readonly #versions: JsonFolder<DocumentVersion[]>

  constructor(directory: string) {
    this.#versions = new JsonFolder(directory)
  }

  /** Other content than the latest makes a new version; its name no other version may have. */
  put({ name, content, versionName }: GivenDocument): void {
    const versions = this.#versions.get(name) ?? []
    const hash = createHash('sha256').update(JSON.stringify(content)).digest('hex')
    if (versions.at(-1)?.hash === hash) return
    if (versionName && versions.some((known) => known.versionName === versionName)) {
      const message = `The version name ${versionName} has already been used in this document.`
      throw ssmError('DuplicateDocumentVersionName', message)
    }
    const added = {
      name,
      versionName,
      hash,
      content: content as DocumentContent,
      createdAt: new Date().toISOString(),
    }
    this.#versions.put(name, [...versions, { ...added, version: String(versions.length + 1) }])
  }

  find(
    name: string | undefined,
    { version = '$DEFAULT', versionName }: { version?: string; versionName?: string } = {},
  ) {
    const bare = name?.split('/').at(-1) ?? ''
    const versions = this.#versions.get(bare)
    if (!versions) throw ssmError('InvalidDocument', `Document with name ${bare} does not exist.`)
    const isWanted = (known: DocumentVersion) =>
      versionName ? known.versionName === versionName : known.version === version
    const found = version.startsWith('$') && !versionName ? versions.at(-1) : versions.find(isWanted)
    if (!found) {
      throw ssmError('InvalidDocumentVersion', `Document ${bare} has no version ${versionName ?? version}.`)
    }
    return found
  }
}

/** What the agent is sent: strings for String, lists for StringList; each held against its definition. */
export function resolveParameters(
  { content, name }: DocumentVersion,
  given: Record<string, string[]> = {},
): Record<string, string | string[]> {
  const definitions = content.parameters ?? {}
  for (const key of Object.keys(given)) {
    if (!definitions[key]) throw invalidParameter(`Document ${name} does not support parameter ${key}.`)
  }
  const resolved: Record<string, string | string[]> = {}
  for (const [key, definition] of Object.entries(definitions)) {
    const value = given[key] ?? (definition.default === undefined ? undefined : [definition.default].flat())
    if (!value) throw invalidParameter(`Parameter ${key} of document ${name} is required.`)
    resolved[key] = definition.type === 'String' ? oneString(key, value) : value
    checkValues(key, definition, value)
  }
  return resolved
}

function oneString(key: string, values: string[]): string {
  const [value, ...more] = values
  if (value === undefined || more.length > 0) throw invalidParameter(`Parameter ${key} takes one value.`)
  return value
}

function checkValues(
  key: string,
  { allowedPattern, allowedValues }: ParameterDefinition,
  values: string[],
): void {
  for (const value of values) {
    if (allowedPattern && !new RegExp(allowedPattern).test(value)) {
      throw invalidParameter(`Parameter ${key} failed to satisfy allowedPattern: ${allowedPattern}.`)
    }
    if (allowedValues && !allowedValues.includes(value)) {
      throw invalidParameter(`Parameter ${key} is not one of its allowedValues: ${allowedValues.join(', ')}.`)
    }
  }
}

const invalidParameter = (message: string) => ssmError('InvalidParameters', message)

const DEFAULT_STEP_SECONDS = 3600

/** As the agent takes it: what lies outside of 5 to 172800 silently becomes an hour. */
export function executionSeconds({ mainSteps }: DocumentContent): number {
  const seconds = mainSteps.map(({ inputs }) => Number(inputs?.timeoutSeconds ?? DEFAULT_STEP_SECONDS))
  return seconds.reduce((sum, each) => sum + (each >= 5 && each <= 172_800 ? each : DEFAULT_STEP_SECONDS), 0)
}

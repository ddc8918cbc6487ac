import { isName } from './names.ts'

/** The layout of the bucket: every key that the product reads or writes is made and read here. */

export interface AppScope {
  environment: string
  app: string
}

export type ArtifactKind = 'bundle' | 'code'

export const ARTIFACT_SUFFIXES = {
  bundle: ['.pybundle'],
  code: ['.tar.gz', '.zip'],
  request: ['.request'],
} as const

/** Suffixes whose creation starts `on-upload`; S3 takes at most 100 filters, so there is one a suffix. */
export const WATCHED_SUFFIXES: readonly string[] = Object.values(ARTIFACT_SUFFIXES).flat()

export type UploadKind = keyof typeof ARTIFACT_SUFFIXES

export interface Upload extends AppScope {
  kind: UploadKind
  /** The key's last part without its suffix. */
  name: string
}

const FOLDERS: Record<string, UploadKind> = { bundles: 'bundle', code: 'code', requests: 'request' }

const scopePrefix = ({ environment, app }: AppScope) => `${environment}/${app}/`

export const bundleKey = (scope: AppScope, name: string) => `${scopePrefix(scope)}bundles/${name}.pybundle`
export const codeKey = (scope: AppScope, name: string, kind: 'tar.gz' | 'zip' = 'tar.gz') =>
  `${scopePrefix(scope)}code/${name}.${kind}`
export const requestsPrefix = (scope: AppScope) => `${scopePrefix(scope)}requests/`
export const requestKey = (scope: AppScope, id: string) => `${requestsPrefix(scope)}${id}.request`
export const releaseKey = (scope: AppScope, id: string) => `${scopePrefix(scope)}releases/${id}.json`
export const rolloutsPrefix = (scope: AppScope) => `${scopePrefix(scope)}rollouts/`
export const rolloutKey = (scope: AppScope, requestId: string) => `${rolloutsPrefix(scope)}${requestId}.json`
/** Of a target, by the ARN of its instance: of its name IAM makes no path. */
export const reportsFolder = (scope: AppScope, arn: string) => `${scopePrefix(scope)}reports/${arn}`
export const fleetKey = (scope: AppScope) => `${scopePrefix(scope)}fleet.json`
export const stateKey = (scope: AppScope) => `${scopePrefix(scope)}state.json`

/** Reads the key of something that a publisher uploaded; undefined for any other key. */
export function parseUploadKey(key: string): Upload | undefined {
  const [environment = '', app = '', folder = '', file = '', ...rest] = key.split('/')
  const kind = FOLDERS[folder]
  if (!kind || rest.length > 0 || !isName(environment) || !isName(app)) return undefined
  const suffix = ARTIFACT_SUFFIXES[kind].find((ending) => file.endsWith(ending))
  if (!suffix || file.length === suffix.length) return undefined
  return { environment, app, kind, name: file.slice(0, -suffix.length) }
}

/** The id of a request or rollout in one of their keys. */
export function idOfKey(key: string): string {
  return key.slice(key.lastIndexOf('/') + 1).replace(/\.(request|json)$/, '')
}

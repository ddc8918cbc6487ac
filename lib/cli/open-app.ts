import { resolve } from 'node:path'
import { type ArtifactStore, artifactStore } from '../aws/artifact-store.ts'
import { type AppConfig, readAppConfig } from '../config/app.ts'
import type { AppScope } from '../release/keys.ts'
import { isName, NAME_RULE } from '../release/names.ts'
import { UserError } from '../user-error.ts'
import { refuseUnknownProfile } from './aws-profile.ts'

/** What every command takes. */
export interface AppOptions {
  environment: string
  /** The app's folder; the one in which the user stands otherwise. */
  app?: string | undefined
  bucket?: string | undefined
  region?: string | undefined
  profile?: string | undefined
  json?: boolean | undefined
}

export interface OpenedApp {
  config: AppConfig
  scope: AppScope
  store: ArtifactStore
}

/** The app's configuration and the bucket of one of its environments. */
export function openApp(options: AppOptions): OpenedApp {
  const config = readAppConfig(appFolder(options.app))
  const scope = { environment: options.environment, app: config.app }
  return { config, scope, store: openStore(config, options) }
}

/** npm changes into the tool's folder, and says where the user stood. */
export function appFolder(app = '.', environment = process.env): string {
  return resolve(environment.INIT_CWD ?? process.cwd(), app)
}

/**
 * What the command line says comes before what the configuration says. A bucket of PYBUNDLE_BUCKET, as the local
 * cloud's exports name it, is reached as the AWS variables beside it say.
 */
function openStore({ file, environments }: AppConfig, options: AppOptions): ArtifactStore {
  const { environment, region, profile } = options
  if (!isName(environment))
    throw new UserError(`"${environment}" is not the name of an environment: ${NAME_RULE}.`)
  const known = Object.keys(environments)
  const configured = environments[environment]
  const bucket = options.bucket ?? process.env.PYBUNDLE_BUCKET
  if (!configured && !(bucket && known.length === 0))
    throw new UserError(unknownEnvironment(environment, known, file))
  if (!options.bucket && bucket) return storeAt({ bucket, region, profile })
  return storeAt({
    bucket: bucket ?? configured?.bucket ?? '',
    region: region ?? configured?.region,
    profile: profile ?? configured?.profile,
  })
}

function storeAt(destination: ArtifactStore['destination']): ArtifactStore {
  refuseUnknownProfile(destination.profile)
  return artifactStore(destination)
}

function unknownEnvironment(environment: string, known: string[], file: string): string {
  if (known.length > 0) return `unknown environment "${environment}"; ${file} knows ${known.join(', ')}.`
  return `${file} says nowhere to publish to. Add this, with your bucket:\n\n[tool.pybundle.environments.${environment}]\nbucket = "..."`
}

import { copyFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type MadeBundle, provideBundle } from '../bundle/provide.ts'
import { type AppConfig, readAppConfig } from '../config/app.ts'
import { withTemporaryFolder } from '../temporary.ts'
import { describeMade } from './artifacts.ts'
import { type BundleSource, planFrom } from './bundle-source.ts'
import { appFolder } from './open-app.ts'
import { step } from './steps.ts'

export interface BundleOptions extends BundleSource {
  app?: string | undefined
  /** A file, or a folder that is there. */
  output?: string | undefined
  json?: boolean | undefined
}

/** Makes the bundle as publishing would, and leaves it with the user. */
export async function bundle(options: BundleOptions): Promise<number> {
  const config = readAppConfig(appFolder(options.app))
  const made = await makeFrom(config, options)
  const { digest, size, isReused, why } = made
  const file = await outputFile(options.output, `${config.app}-${digest.slice(0, 12)}.pybundle`)
  await copyFile(made.file, file)
  console.log(options.json ? JSON.stringify({ file, digest, size, isReused, why }) : file)
  return 0
}

function makeFrom(config: AppConfig, options: BundleOptions): Promise<MadeBundle> {
  return withTemporaryFolder(async (folder) => {
    const plan = await planFrom(config, options, folder)
    return step('Bundle: looking for changes', async ({ news, result }) => {
      const made = await provideBundle(plan, { upgrade: options.upgrade, report: news })
      result(describeMade(made))
      return made
    })
  })
}

/** Relative to where the user stood. */
async function outputFile(output: string | undefined, name: string): Promise<string> {
  const path = appFolder(output)
  const isFolder = (await stat(path).catch(() => undefined))?.isDirectory() ?? false
  return isFolder ? join(path, name) : path
}

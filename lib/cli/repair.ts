import { UserError } from '../user-error.ts'
import { readAppState } from './app-state.ts'
import { type AppOptions, openApp } from './open-app.ts'
import { ask, type FollowingOptions } from './request.ts'
import { requireSigned } from './sign-release.ts'

export interface RepairOptions extends AppOptions, FollowingOptions {}

/** Asks for the current release again, for the targets that serve something else. */
export async function repair(options: RepairOptions): Promise<number> {
  const app = openApp(options)
  const { current } = await readAppState(app)
  if (!current)
    throw new UserError(`Nothing of ${app.scope.app} has been deployed to ${options.environment} yet.`)
  await requireSigned(app, current)
  const { release, bundle, code } = current
  const what = `to repair release ${release}`
  return ask(app, { what, wish: { action: 'repair' }, digests: { bundle, code } }, options)
}

import { UserError } from '../user-error.ts'
import { readAppState } from './app-state.ts'
import { type AppOptions, openApp } from './open-app.ts'
import { ask, type FollowingOptions } from './request.ts'

export interface RepairOptions extends AppOptions, FollowingOptions {}

/** Asks for the current release again, for the targets that serve something else. */
export async function repair(options: RepairOptions): Promise<number> {
  const app = openApp(options)
  const { current } = await readAppState(app)
  if (!current)
    throw new UserError(`Nothing of ${app.scope.app} has been deployed to ${options.environment} yet.`)
  return ask(app, { what: `to repair release ${current.release}`, wish: { action: 'repair' } }, options)
}

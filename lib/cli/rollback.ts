import { chooseRollback } from '../release/rollback.ts'
import { UserError } from '../user-error.ts'
import { readAppState } from './app-state.ts'
import { type AppOptions, openApp } from './open-app.ts'
import { ask, type FollowingOptions } from './request.ts'
import { requireSigned } from './sign-release.ts'

export interface RollbackOptions extends AppOptions, FollowingOptions {
  acrossMigrations?: boolean | undefined
}

/** Asks for the good release before the current one; which that is, the functions decide when they take it up. */
export async function rollback(options: RollbackOptions): Promise<number> {
  const app = openApp(options)
  const { acrossMigrations = false, environment } = options
  const choice = chooseRollback(await readAppState(app), { acrossMigrations, environment })
  if ('refusal' in choice) throw new UserError(choice.refusal)
  await requireSigned(app, choice.to)
  const { bundle, code } = choice.to
  const what = `to roll back to release ${choice.to.release}`
  return ask(
    app,
    { what, wish: { action: 'rollback', acrossMigrations }, digests: { bundle, code } },
    options,
  )
}

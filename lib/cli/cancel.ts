import { UserError } from '../user-error.ts'
import { readAppState } from './app-state.ts'
import { type AppOptions, openApp } from './open-app.ts'
import { ask } from './request.ts'

export interface CancelOptions extends AppOptions {
  revert?: boolean | undefined
}

/** Asks the rollout that runs to stop after the wave that is under way, or to bring the fleet back. */
export async function cancel(options: CancelOptions): Promise<number> {
  const app = openApp(options)
  const { lock, inBetween } = await readAppState(app)
  const { environment } = options
  if (!lock && inBetween === 'stopped') {
    throw new UserError(
      `The rollout has stopped already. Bring its targets back with pybundle rollback --environment ${environment}, or publish a release.`,
    )
  }
  if (!lock) throw new UserError(`No rollout of ${app.scope.app} runs in ${environment}.`)
  const { revert = false } = options
  const what = `to ${revert ? 'revert' : 'stop'} rollout ${lock.request}`
  return ask(app, { what, wish: { action: 'cancel', rollout: lock.request, revert } }, options)
}

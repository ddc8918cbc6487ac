import { UserError } from '../user-error.ts'
import { readAppState } from './app-state.ts'
import { type AppOptions, openApp } from './open-app.ts'
import { ask } from './request.ts'

export interface ConfirmMigrationOptions extends AppOptions {
  rollout: string
  ended?: boolean | undefined
  notRun?: boolean | undefined
}

/** Says of a migration whose leader is gone what only a person can know. */
export async function confirmMigration(options: ConfirmMigrationOptions): Promise<number> {
  const { rollout, ended = false, notRun = false } = options
  if (ended === notRun) throw new UserError('Say one of --ended and --not-run: what became of the migration?')
  const app = openApp(options)
  const { migration } = await readAppState(app)
  if (migration?.rollout !== rollout) {
    const open = migration ? `; the one that is open is of rollout ${migration.rollout}` : ''
    throw new UserError(`No migration of rollout ${rollout} is open in ${options.environment}${open}.`)
  }
  const what = `to take the migration of rollout ${rollout} as ${ended ? 'ended' : 'not run'}`
  return ask(app, { what, wish: { action: 'confirm-migration', rollout, ended } }, options)
}

import type { Command } from 'commander'
import type { CancelOptions } from '../cancel.ts'
import type { ConfirmMigrationOptions } from '../confirm-migration.ts'
import type { FreezeOptions } from '../freeze.ts'
import type { AppOptions } from '../open-app.ts'
import type { RepairOptions } from '../repair.ts'
import type { RollbackOptions } from '../rollback.ts'
import type { StatusOptions } from '../status.ts'
import { appCommand, ENVIRONMENT, requiring, runs } from './app-command.ts'

/** What is asked of an environment that has a release. */
export function addFleetCommands(program: Command): void {
  runs<RollbackOptions>(
    requiring(
      appCommand(
        program,
        'rollback',
        'Bring an environment back to the good release before the current one.',
        [
          'pybundle rollback --environment production',
          'pybundle rollback --environment production --across-migrations',
        ],
      ),
      ENVIRONMENT,
    )
      .option('--across-migrations', 'though the database was migrated since; a rollback does not undo that')
      .option('--detach', 'ask for the rollback and leave, instead of following it'),
    async (options) => (await import('../rollback.ts')).rollback(options),
  )

  runs<RepairOptions>(
    requiring(
      appCommand(program, 'repair', 'Bring the current release to the targets that serve something else.', [
        'pybundle repair --environment production',
      ]),
      ENVIRONMENT,
    ).option('--detach', 'ask for the repair and leave, instead of following it'),
    async (options) => (await import('../repair.ts')).repair(options),
  )

  runs<CancelOptions>(
    requiring(
      appCommand(program, 'cancel', 'Stop the rollout that runs, after the wave that is under way.', [
        'pybundle cancel --environment production',
        'pybundle cancel --environment production --revert',
      ]),
      ENVIRONMENT,
    ).option('--revert', 'and bring the targets that have switched back'),
    async (options) => (await import('../cancel.ts')).cancel(options),
  )

  runs<FreezeOptions>(
    requiring(
      appCommand(program, 'freeze', 'Let no new release into an environment; a rollback is always let in.', [
        'pybundle freeze --environment production --reason "the fair" --until 2026-03-09T08:00',
      ]),
      { ...ENVIRONMENT, '--reason <text>': 'told to everybody who asks for a release meanwhile' },
    ).option('--until <time>', 'when it ends by itself; else pybundle unfreeze ends it'),
    async (options) => (await import('../freeze.ts')).freeze(options),
  )

  runs<AppOptions>(
    requiring(
      appCommand(program, 'unfreeze', 'Let new releases in again.', [
        'pybundle unfreeze --environment production',
      ]),
      ENVIRONMENT,
    ),
    async (options) => (await import('../freeze.ts')).unfreeze(options),
  )

  runs<ConfirmMigrationOptions>(
    requiring(
      appCommand(
        program,
        'confirm-migration',
        'Say what became of a migration whose leader cannot: until then no release is activated.',
        ['pybundle confirm-migration --environment production --rollout 20260102t030405z-0a1b2c3d --ended'],
      ),
      { ...ENVIRONMENT, '--rollout <id>': 'whose migration it is, as its record says' },
    )
      .option('--ended', 'it is over, and may have changed the database')
      .option('--not-run', 'it is over, and changed nothing'),
    async (options) => (await import('../confirm-migration.ts')).confirmMigration(options),
  )

  runs<StatusOptions>(
    requiring(
      appCommand(
        program,
        'status',
        'What an environment runs, target by target, and how the latest rollouts ended.',
        [
          'pybundle status --environment production',
          'pybundle status --environment production --refresh',
          'pybundle status --environment production --json',
        ],
      ),
      ENVIRONMENT,
    ).option('--refresh', 'ask the targets now; it is every 15 minutes otherwise'),
    async (options) => {
      const { openApp } = await import('../open-app.ts')
      const { readStatus, renderStatus } = await import('../status.ts')
      const app = openApp(options)
      if (options.refresh) await (await import('../refresh.ts')).refreshFleet(app)
      const status = await readStatus(app.store, app.scope)
      console.log(options.json ? JSON.stringify(status) : renderStatus(status, process.stdout.columns))
      return 0
    },
  )
}

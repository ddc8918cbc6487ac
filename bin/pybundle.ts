import { existsSync, readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import type { BundleOptions } from '../lib/cli/bundle.ts'
import type { CancelOptions } from '../lib/cli/cancel.ts'
import type { ConfirmMigrationOptions } from '../lib/cli/confirm-migration.ts'
import type { DiffOptions } from '../lib/cli/diff.ts'
import { explainAwsError } from '../lib/cli/explain-aws-error.ts'
import type { FreezeOptions } from '../lib/cli/freeze.ts'
import type { InspectOptions } from '../lib/cli/inspect.ts'
import type { LocalOptions } from '../lib/cli/local.ts'
import type { AppOptions } from '../lib/cli/open-app.ts'
import type { ProbeOptions } from '../lib/cli/probe.ts'
import type { PromoteOptions } from '../lib/cli/promote.ts'
import type { PublishOptions } from '../lib/cli/publish.ts'
import type { RepairOptions } from '../lib/cli/repair.ts'
import type { RollbackOptions } from '../lib/cli/rollback.ts'
import type { StatusOptions } from '../lib/cli/status.ts'
import { UserError } from '../lib/user-error.ts'

const MENDABLE = 1
const USAGE = 2
const BUG = 70

const program = new Command('pybundle')
  .description('Deploys Python apps to EC2 fleets from one file that holds every dependency.')
  .version(ownVersion())
  .exitOverride()
  .showHelpAfterError('(--help tells what there is)')
  .addHelpText(
    'after',
    `
The app is the nearest pybundle.toml, or pyproject.toml with [tool.pybundle], at or above where you stand.
Exit codes: 0 done, 1 you can mend it, 2 usage, 3 rolled back, 4 stopped, 70 a bug of pybundle,
130 you left a rollout that goes on.

Examples:
  pybundle publish-release --environment staging     make, upload and roll out what is committed
  pybundle promote --from staging --to production    roll out exactly the bytes that staging runs
  pybundle status --environment production           what runs there, and how the latest rollouts ended`,
  )

/** A command about one app; `--environment` where it is about one environment, too. */
function appCommand(name: string, description: string, examples: readonly string[]): Command {
  return program
    .command(name)
    .description(description)
    .option('--app <path>', "the app's folder, instead of the nearest one")
    .option('--bucket <name>', "another bucket than the environment's")
    .option('--region <name>', "another region than the environment's")
    .option('--profile <name>', 'another profile of the AWS configuration')
    .option('--json', 'the result as JSON on standard output; all else is on standard error')
    .addHelpText('after', `\nExamples:\n${examples.map((example) => `  ${example}`).join('\n')}`)
}

/** commander's own required options are named as missing before an option that is only misspelt. */
function requiring(command: Command, options: Readonly<Record<string, string>>): Command {
  for (const [flags, description] of Object.entries(options)) command.option(flags, description)
  return command.hook('preAction', () => {
    const missing = Object.keys(options).find((flags) => !command.opts()[flags.replace(/^--(\w+) .*/, '$1')])
    if (missing) command.error(`error: required option '${missing}' not specified`)
  })
}

const ENVIRONMENT = { '--environment <name>': 'one of [tool.pybundle.environments]' }

function publishCommand(name: string, description: string, examples: readonly string[]): Command {
  return requiring(appCommand(name, description, examples), ENVIRONMENT).option(
    '--detach',
    'ask for the rollout and leave, instead of following it',
  )
}

/** The action gives the exit code. */
function runs<Options>(command: Command, action: (options: Options) => Promise<number>): Command {
  return command.action(async (options: Options) => {
    process.exitCode = await action(options)
  })
}

const DIRTY = ['--dirty', 'take the files as they are, committed or not; the revision is marked'] as const
const REVISION = [
  '--revision <name>',
  'a commit, tag or branch of git or Mercurial, instead of what is checked out',
] as const
const FROM = [
  '--from <bundle>',
  'not from the requirements, but from a bundle that is there; one of format 1 (pip bundle) is converted',
] as const
const UPGRADE = ['--upgrade', 'ask the package index again, though no requirement changed'] as const

runs<PublishOptions>(
  publishCommand(
    'publish-release',
    'Make, upload and roll out a release: the bundle of all dependencies, and the code of the commit that is checked out. An unchanged bundle is neither made nor uploaded again.',
    [
      'pybundle publish-release --environment staging',
      'pybundle publish-release --environment staging --app services/web --dirty',
    ],
  )
    .option(...DIRTY)
    .option(...UPGRADE),
  async (options) => (await import('../lib/cli/publish-release.ts')).publishRelease(options),
)

runs<PublishOptions>(
  publishCommand(
    'publish-bundle',
    'Make and upload the bundle of all dependencies, and roll it out with the code that the environment has.',
    [
      'pybundle publish-bundle --environment staging',
      'pybundle publish-bundle --environment staging --upgrade    take newer versions from the index',
      'pybundle publish-bundle --environment staging --from old.pybundle',
    ],
  )
    .option(...UPGRADE)
    .option(...FROM),
  async (options) => (await import('../lib/cli/publish-bundle.ts')).publishBundle(options),
)

runs<PublishOptions>(
  publishCommand(
    'publish-code',
    'Upload the code of the commit that is checked out, and roll it out with the bundle that the environment has.',
    [
      'pybundle publish-code --environment staging',
      'pybundle publish-code --environment staging --revision v1.4.2',
      'pybundle publish-code --environment staging --detach --json',
    ],
  )
    .option(...DIRTY)
    .option(...REVISION),
  async (options) => (await import('../lib/cli/publish-code.ts')).publishCode(options),
)

runs<BundleOptions>(
  program
    .command('bundle')
    .description('Make the bundle of all dependencies, as publish-bundle would, without uploading it.')
    .option('--app <path>', "the app's folder, instead of the nearest one")
    .option('--output <path>', 'the file to write, or the folder to write it into (here)')
    .option(...UPGRADE)
    .option(...FROM)
    .option('--json', 'the result as JSON on standard output; all else is on standard error')
    .addHelpText(
      'after',
      '\nExamples:\n  pybundle bundle\n  pybundle bundle --output /media/usb/shop.pybundle',
    ),
  async (options) => (await import('../lib/cli/bundle.ts')).bundle(options),
)

program
  .command('inspect')
  .argument('<file>', 'a .pybundle')
  .description('Verify a bundle and show it: its platform, its packages, and why each is there.')
  .option('--json', 'as JSON')
  .addHelpText(
    'after',
    '\nExamples:\n  pybundle inspect shop.pybundle\n  pybundle inspect shop.pybundle --json',
  )
  .action(async (file: string, options: InspectOptions) => {
    process.exitCode = await (await import('../lib/cli/inspect.ts')).inspect(file, options)
  })

program
  .command('probe')
  .argument(
    '[answer]',
    'what the command printed on the target: the line itself, a file, or - for standard input',
  )
  .description('Find out what platform a target is: print a command to run there, and read what it answers.')
  .option('--python <command>', "the target's interpreter (python3)")
  .option('--json', 'as JSON')
  .addHelpText(
    'after',
    '\nExamples:\n  pybundle probe --python python3.11\n  pybundle probe | ssh target sh | pybundle probe -',
  )
  .action(async (answer: string | undefined, options: ProbeOptions) => {
    process.exitCode = await (await import('../lib/cli/probe.ts')).probe(answer, options)
  })

appCommand('diff', 'What changes between two bundles, or from what an environment runs to a bundle.', [
  'pybundle diff old.pybundle new.pybundle',
  'pybundle diff new.pybundle --environment production',
])
  .argument('<bundles...>', 'two files, or one with --environment')
  .option('--environment <name>', 'compare with what runs there')
  .action(async (files: string[], options: DiffOptions) => {
    process.exitCode = await (await import('../lib/cli/diff.ts')).diff(files, options)
  })

runs<PromoteOptions>(
  requiring(
    appCommand('promote', 'Roll out in one environment exactly the bytes that another one runs.', [
      'pybundle promote --from staging --to production',
    ]),
    {
      '--from <name>': 'the environment whose release is wanted',
      '--to <name>': 'the environment that gets it',
    },
  ).option('--detach', 'ask for the rollout and leave, instead of following it'),
  async (options) => (await import('../lib/cli/promote.ts')).promote(options),
)

runs<RollbackOptions>(
  requiring(
    appCommand('rollback', 'Bring an environment back to the good release before the current one.', [
      'pybundle rollback --environment production',
      'pybundle rollback --environment production --across-migrations',
    ]),
    ENVIRONMENT,
  )
    .option('--across-migrations', 'though the database was migrated since; a rollback does not undo that')
    .option('--detach', 'ask for the rollback and leave, instead of following it'),
  async (options) => (await import('../lib/cli/rollback.ts')).rollback(options),
)

runs<RepairOptions>(
  requiring(
    appCommand('repair', 'Bring the current release to the targets that serve something else.', [
      'pybundle repair --environment production',
    ]),
    ENVIRONMENT,
  ).option('--detach', 'ask for the repair and leave, instead of following it'),
  async (options) => (await import('../lib/cli/repair.ts')).repair(options),
)

runs<CancelOptions>(
  requiring(
    appCommand('cancel', 'Stop the rollout that runs, after the wave that is under way.', [
      'pybundle cancel --environment production',
      'pybundle cancel --environment production --revert',
    ]),
    ENVIRONMENT,
  ).option('--revert', 'and bring the targets that have switched back'),
  async (options) => (await import('../lib/cli/cancel.ts')).cancel(options),
)

runs<FreezeOptions>(
  requiring(
    appCommand('freeze', 'Let no new release into an environment; a rollback is always let in.', [
      'pybundle freeze --environment production --reason "the fair" --until 2026-03-09T08:00',
    ]),
    { ...ENVIRONMENT, '--reason <text>': 'told to everybody who asks for a release meanwhile' },
  ).option('--until <time>', 'when it ends by itself; else pybundle unfreeze ends it'),
  async (options) => (await import('../lib/cli/freeze.ts')).freeze(options),
)

runs<AppOptions>(
  requiring(
    appCommand('unfreeze', 'Let new releases in again.', ['pybundle unfreeze --environment production']),
    ENVIRONMENT,
  ),
  async (options) => (await import('../lib/cli/freeze.ts')).unfreeze(options),
)

runs<ConfirmMigrationOptions>(
  requiring(
    appCommand(
      'confirm-migration',
      'Say what became of a migration whose leader cannot: until then no release is activated.',
      ['pybundle confirm-migration --environment production --rollout 20260102t030405z-0a1b2c3d --ended'],
    ),
    { ...ENVIRONMENT, '--rollout <id>': 'whose migration it is, as its record says' },
  )
    .option('--ended', 'it is over, and may have changed the database')
    .option('--not-run', 'it is over, and changed nothing'),
  async (options) => (await import('../lib/cli/confirm-migration.ts')).confirmMigration(options),
)

runs<StatusOptions>(
  requiring(
    appCommand('status', 'What an environment runs, target by target, and how the latest rollouts ended.', [
      'pybundle status --environment production',
      'pybundle status --environment production --refresh',
      'pybundle status --environment production --json',
    ]),
    ENVIRONMENT,
  ).option('--refresh', 'ask the targets now; it is every 15 minutes otherwise'),
  async (options) => {
    const { openApp } = await import('../lib/cli/open-app.ts')
    const { readStatus, renderStatus } = await import('../lib/cli/status.ts')
    const app = openApp(options)
    if (options.refresh) await (await import('../lib/cli/refresh.ts')).refreshFleet(app)
    const status = await readStatus(app.store, app.scope)
    console.log(options.json ? JSON.stringify(status) : renderStatus(status, process.stdout.columns))
    return 0
  },
)

runs<LocalOptions>(
  program
    .command('local')
    .description(
      'The local cloud in the foreground, until Ctrl-C: the synthesized stack, and local targets for each fleet.',
    )
    .option('--port <number>', 'of S3, SSM and Lambda (4580)')
    .option('--targets <number>', 'how many targets each fleet has (2)')
    .option('--reset', 'forget everything that was deployed before')
    .addHelpText('after', '\nExamples:\n  pybundle local --targets 5\n  pybundle local --reset'),
  async (options) => (await import('../lib/cli/local.ts')).localCommand(options),
)

try {
  await program.parseAsync()
} catch (error) {
  process.exitCode = report(explainAwsError(error))
}

/** Of the package, which is one folder up in the checkout and two from the compiled file. */
function ownVersion(): string {
  const files = ['../package.json', '../../package.json'].map((path) => new URL(path, import.meta.url))
  const file = files.find((candidate) => existsSync(candidate))
  return file ? JSON.parse(readFileSync(file, 'utf8')).version : 'unknown'
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE
  if (error instanceof UserError) {
    console.error(error.message)
    return MENDABLE
  }
  console.error(error)
  console.error('This is a bug of pybundle. Please report it with the lines above.')
  return BUG
}

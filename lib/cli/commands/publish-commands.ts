import type { Command } from 'commander'
import type { PromoteOptions } from '../promote.ts'
import type { PublishOptions } from '../publish.ts'
import { appCommand, ENVIRONMENT, FROM, requiring, runs, UPGRADE } from './app-command.ts'

const DIRTY = ['--dirty', 'take the files as they are, committed or not; the revision is marked'] as const

/** What brings a release to an environment. */
export function addPublishCommands(program: Command): void {
  runs<PublishOptions>(
    publishCommand(
      program,
      'publish-release',
      'Make, upload and roll out a release: the bundle of all dependencies, and the code of the commit that is checked out. An unchanged bundle is neither made nor uploaded again.',
      [
        'pybundle publish-release --environment staging',
        'pybundle publish-release --environment staging --app services/web --dirty',
      ],
    )
      .option(...DIRTY)
      .option(...UPGRADE),
    async (options) => (await import('../publish-release.ts')).publishRelease(options),
  )

  runs<PublishOptions>(
    publishCommand(
      program,
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
    async (options) => (await import('../publish-bundle.ts')).publishBundle(options),
  )

  runs<PublishOptions>(
    publishCommand(
      program,
      'publish-code',
      'Upload the code of the commit that is checked out, and roll it out with the bundle that the environment has.',
      [
        'pybundle publish-code --environment staging',
        'pybundle publish-code --environment staging --revision v1.4.2',
        'pybundle publish-code --environment staging --from by-hand.tar.gz',
        'pybundle publish-code --environment staging --detach --json',
      ],
    )
      .option(...DIRTY)
      .option(
        '--revision <name>',
        'a commit, tag or branch of git or Mercurial, instead of what is checked out',
      )
      .option('--from <archive>', 'not from the repository, but a .tar.gz or .zip that is there, as it is'),
    async (options) => (await import('../publish-code.ts')).publishCode(options),
  )

  runs<PromoteOptions>(
    requiring(
      appCommand(program, 'promote', 'Roll out in one environment exactly the bytes that another one runs.', [
        'pybundle promote --from staging --to production',
      ]),
      {
        '--from <name>': 'the environment whose release is wanted',
        '--to <name>': 'the environment that gets it',
      },
    ).option('--detach', 'ask for the rollout and leave, instead of following it'),
    async (options) => (await import('../promote.ts')).promote(options),
  )
}

function publishCommand(
  program: Command,
  name: string,
  description: string,
  examples: readonly string[],
): Command {
  return requiring(appCommand(program, name, description, examples), ENVIRONMENT).option(
    '--detach',
    'ask for the rollout and leave, instead of following it',
  )
}

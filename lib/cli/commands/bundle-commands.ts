import type { Command } from 'commander'
import type { BundleOptions } from '../bundle.ts'
import type { DiffOptions } from '../diff.ts'
import type { InspectOptions } from '../inspect.ts'
import type { ProbeOptions } from '../probe.ts'
import { appCommand, FROM, runs, UPGRADE } from './app-command.ts'

/** What is about bundles as files. */
export function addBundleCommands(program: Command): void {
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
    async (options) => (await import('../bundle.ts')).bundle(options),
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
      process.exitCode = await (await import('../inspect.ts')).inspect(file, options)
    })

  program
    .command('probe')
    .argument(
      '[answer]',
      'what the command printed on the target: the line itself, a file, or - for standard input',
    )
    .description(
      'Find out what platform a target is: print a command to run there, and read what it answers.',
    )
    .option('--python <command>', "the target's interpreter (python3)")
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  pybundle probe --python python3.11\n  pybundle probe | ssh target sh | pybundle probe -',
    )
    .action(async (answer: string | undefined, options: ProbeOptions) => {
      process.exitCode = await (await import('../probe.ts')).probe(answer, options)
    })

  appCommand(
    program,
    'diff',
    'What changes between two bundles, or from what an environment runs to a bundle.',
    ['pybundle diff old.pybundle new.pybundle', 'pybundle diff new.pybundle --environment production'],
  )
    .argument('<bundles...>', 'two files, or one with --environment')
    .option('--environment <name>', 'compare with what runs there')
    .action(async (files: string[], options: DiffOptions) => {
      process.exitCode = await (await import('../diff.ts')).diff(files, options)
    })
}

import type { Command } from 'commander'
import type { LocalOptions } from '../local.ts'
import { runs } from './app-command.ts'

export function addLocalCommand(program: Command): void {
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
    async (options) => (await import('../local.ts')).localCommand(options),
  )
}

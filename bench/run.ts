import { Command } from 'commander'
import { benchDependencySets } from './dependency-sets.ts'
import { benchTarget } from './target.ts'

const program = new Command('bench').description('Measures the real thing. Needs a package index.')

program
  .command('dependency-sets')
  .description('bundles of real dependencies for platforms that this machine is not')
  .option('--output <file>', 'where the table and the raw figures are written')
  .option('--only <text>', 'only sets with this in their name')
  .action(benchDependencySets)

program
  .command('target')
  .description('how fast a target installs, beside pip and uv')
  .option('--rounds <count>', 'interleaved with the peers', Number, 5)
  .option('--output <file>', 'where the table is written')
  .action(benchTarget)

await program.parseAsync()

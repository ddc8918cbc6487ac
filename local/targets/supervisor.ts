import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Command, Option } from 'commander'
import { UserError } from '../../lib/user-error.ts'
import { askSupervisor, serveControl } from '../supervisor/control.ts'
import { readEnvFile } from '../supervisor/env-file.ts'
import { spawnWithSocket } from '../supervisor/listening-socket.ts'
import { Supervisor } from '../supervisor/supervisor.ts'

/**
 * What systemd is on a real target: keeps the app's listening socket and the app's process. `run` is two
 * processes: one opens the socket and guards, the other inherits it and supervises; it ends with the first,
 * however that ends.
 */

interface RunOptions {
  appDir: string
  envFile: string
  runDir: string
  withSocket?: boolean
}

const program = new Command('supervisor')
const runDir = () => new Option('--run-dir <folder>', 'where its control socket is').makeOptionMandatory()

program
  .command('run')
  .description('supervise the app of a target, in the foreground')
  .requiredOption('--app-dir <folder>', 'holds `current` and gets `log/web.log`')
  .requiredOption('--env-file <file>', 'environment of the app; LISTEN is its address')
  .addOption(runDir())
  .addOption(new Option('--with-socket').hideHelp())
  .action((options: RunOptions) => (options.withSocket ? supervise(options) : guard(options)))

program
  .command('restart')
  .description('start the current release in the place of what runs, and print its process id')
  .addOption(runDir())
  .action(async (options: { runDir: string }) => {
    const { pid } = await askSupervisor(options.runDir, 'restart')
    console.log(pid ?? 'no current release: nothing runs')
  })

program
  .command('status')
  .description('print what runs, as JSON')
  .addOption(runDir())
  .action(async (options: { runDir: string }) => {
    console.log(JSON.stringify(await askSupervisor(options.runDir, 'status')))
  })

program
  .command('stop')
  .description('end the app and the supervisor')
  .addOption(runDir())
  .action(async (options: { runDir: string }) => {
    await askSupervisor(options.runDir, 'stop')
  })

async function guard(options: RunOptions): Promise<void> {
  const address = readEnvFile(options.envFile).LISTEN
  if (!address) throw new UserError(`"${options.envFile}" has no LISTEN=ADDRESS:PORT`)
  const args = [fileURLToPath(import.meta.url), ...process.argv.slice(2), '--with-socket']
  const half = await spawnWithSocket(address, process.execPath, args)
  const end = () => half.stdin?.end()
  process.on('SIGTERM', end).on('SIGINT', end)
  const [code] = await once(half, 'exit')
  process.exitCode = code ?? 1
}

async function supervise({ appDir, envFile, runDir }: RunOptions): Promise<void> {
  const supervisor = new Supervisor({ appFolder: appDir, envFile, log: (line) => console.error(line) })
  const control = await serveControl(runDir, async (word) => {
    if (word === 'restart') return supervisor.restart()
    if (word === 'stop') return supervisor.stop().then(end)
    return supervisor.status()
  })
  const end = () => {
    control.close()
    process.stdin.destroy()
    return {}
  }
  process.on('SIGINT', () => {}).on('SIGTERM', () => {})
  process.stdin.resume().on('end', () => supervisor.stop().then(end))
  await supervisor.restart().catch((error: Error) => console.error(error.message))
}

program.parseAsync().catch((error: unknown) => {
  console.error(error instanceof UserError ? `supervisor: ${error.message}` : error)
  process.exitCode = error instanceof UserError ? 1 : 70
})

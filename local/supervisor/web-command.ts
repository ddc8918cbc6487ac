import { readFileSync, realpathSync } from 'node:fs'
import { basename, join } from 'node:path'
import { UserError } from '../../lib/user-error.ts'
import { readEnvFile } from './env-file.ts'

/** How to start the app of a release: everything is read again at each start. */
export interface WebCommand {
  release: string
  /** The resolved folder: an app that runs in `current` would import the next release's files. */
  folder: string
  script: string
  environment: Record<string, string>
  logFile: string
}

/** Undefined when the target has no release yet. */
export function currentWebCommand(appFolder: string, envFile: string): WebCommand | undefined {
  const folder = resolveCurrent(appFolder)
  if (!folder) return undefined
  return {
    release: basename(folder),
    folder,
    script: socketActivated(webLine(folder)),
    environment: webEnvironment(folder, envFile),
    logFile: join(appFolder, 'log', 'web.log'),
  }
}

function resolveCurrent(appFolder: string): string | undefined {
  try {
    return realpathSync(join(appFolder, 'current'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

function webLine(folder: string): string {
  const file = join(folder, 'Procfile')
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    throw new UserError(`cannot start the app: "${file}" cannot be read`, { cause })
  }
  const line = /^web:[ \t]*(\S.*)$/m.exec(text)?.[1]
  if (!line) throw new UserError(`cannot start the app: "${file}" has no line "web: COMMAND"`)
  return line
}

/** LISTEN_PID must name the process that takes the socket: the shell becomes that process. */
function socketActivated(line: string): string {
  return `export LISTEN_PID=$$; exec env ${line}`
}

function webEnvironment(folder: string, envFile: string): Record<string, string> {
  const path = `${join(folder, '.venv', 'bin')}:${process.env.PATH ?? '/usr/bin:/bin'}`
  return { ...readEnvFile(envFile), PATH: path, LISTEN_FDS: '1' }
}

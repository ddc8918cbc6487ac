import { mkdirSync, writeFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { writeFileAtomically } from '../atomic-file.ts'
import type { Python } from './python.ts'
import type { TargetOptions } from './target.ts'

/** Where a target's files are. */
export interface TargetPlace {
  /** For the local cloud: the folder that holds what the target sees at `/opt`, `/var`, ... */
  root: string
  /** For the target itself: that folder again in plain directories, nothing in a sandbox. */
  inside: string
}

/** Holds the `supervisor` command; first on the PATH of all that the target runs. */
export const PROGRAMS = '/var/lib/pybundle/bin'
const RUN = '/run/pybundle'

const program = (name: string) =>
  fileURLToPath(new URL(`./${name}${extname(import.meta.url)}`, import.meta.url))

export function layOut(
  { root, inside }: TargetPlace,
  { app, base, env, envFile, listen }: TargetOptions,
): void {
  mkdirSync(join(root, base, app), { recursive: true })
  mkdirSync(join(root, RUN), { recursive: true })
  const variables = { ...env, LISTEN: `${listen.host}:${listen.port}` }
  const lines = Object.entries(variables).map(([name, value]) => `${name}=${value}\n`)
  writeFileAtomically(join(root, envFile), lines.join(''))
  mkdirSync(join(root, PROGRAMS), { recursive: true })
  const words = [process.execPath, program('supervisor')].map(quote).join(' ')
  const wrapper = `#!/bin/sh\nexec ${words} "$@" --run-dir ${quote(inside + RUN)}\n`
  writeFileSync(join(root, PROGRAMS, 'supervisor'), wrapper, { mode: 0o755 })
}

/** All that the target's programs get: of whoever starts the local cloud, nothing. */
export function targetEnvironment(
  options: TargetOptions,
  python: Python,
  { inside }: TargetPlace,
): Record<string, string> {
  const { instanceId, region, endpointUrl, listen } = options
  const system = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
  return {
    PATH: `${inside}${PROGRAMS}:${python.folder}:${system}`,
    LANG: 'C.UTF-8',
    AWS_SSM_INSTANCE_ID: instanceId,
    AWS_SSM_REGION_NAME: region,
    AWS_ENDPOINT_URL: endpointUrl,
    PYBUNDLE_ADDRESS: listen.host,
    ...(inside ? { PYBUNDLE_ROOT: inside } : {}),
  }
}

/**
 * The first process of a target. Both programs are started again whenever they end; all end with the local
 * cloud, which holds the other end of standard input. 1 is the agent's log, 2 the supervisor's.
 */
const INIT = `
keep() { while :; do "$@"; sleep 1; done; }
keep "$1" "$2" run --app-dir "$4" --env-file "$5" --run-dir "$6" 1>&2 &
keep "$1" "$3" 2>&1 &
cat >/dev/null
[ -z "$PYBUNDLE_ROOT" ] || kill -KILL 0
`

export function initCommand({ app, base, envFile }: TargetOptions, { inside }: TargetPlace): string[] {
  const folders = [join(inside, base, app), join(inside, envFile), inside + RUN]
  return [
    '/bin/sh',
    '-c',
    INIT,
    'init',
    process.execPath,
    program('supervisor'),
    program('agent'),
    ...folders,
  ]
}

const quote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`

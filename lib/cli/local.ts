import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Cloud } from '../../local/cloud.ts'
import { parseFleets } from '../config/fleets.ts'
import { UserError } from '../user-error.ts'
import { synthesize } from './synthesis.ts'

export interface LocalOptions {
  port?: string | undefined
  /** Of each fleet. */
  targets?: string | undefined
  /** Forget everything of before. */
  reset?: boolean | undefined
  /** Of all state; `.local` of the checkout otherwise. */
  directory?: string | undefined
}

export const DEFAULT_PORT = 4580
export const DEFAULT_TARGETS = 2

/** The stack, `fleets.toml` and `.local` belong to the checkout of the tool. */
const CHECKOUT = resolve(import.meta.dirname, '../..')

/** `pybundle local`: the local cloud in the foreground, with the fleets of `fleets.toml`, until Ctrl-C. */
export async function localCommand(options: LocalOptions): Promise<number> {
  const port = wholeNumber('--port', options.port, DEFAULT_PORT, 65_535)
  const count = wholeNumber('--targets', options.targets, DEFAULT_TARGETS, 50)
  const directory = resolve(options.directory ?? join(CHECKOUT, '.local'))
  const stopped = stopSignal()
  const assembly = await synthesize(checkout(), say)
  // What it stands on is not part of the packed tool.
  const { startCloud } = await import('../../local/cloud.ts')
  const cloud = await startCloud({ assembly, directory, port, reset: options.reset ?? false, say })
  try {
    await startFleets(cloud, count)
    console.log(nextSteps(cloud, directory))
    await stopped
  } finally {
    await cloud.stop()
  }
  say('Everything that was started is stopped; npm run local goes on from here.')
  return 0
}

async function startFleets(cloud: Cloud, count: number): Promise<void> {
  const file = join(CHECKOUT, 'fleets.toml')
  for (const { environment, app } of parseFleets(readFileSync(file, 'utf8'), file)) {
    const targets = await cloud.startFleet({ environment, app, count })
    for (const { instanceId, url } of targets) say(`${environment}/${app}: ${instanceId} at ${url}`)
  }
}

/** The compiled package has no stack to synthesize. */
function checkout(): string {
  if (existsSync(join(CHECKOUT, 'cdk.json'))) return CHECKOUT
  throw new UserError(
    'The local cloud runs in a checkout of pybundle-deploy, where the stack is. Clone it first.',
  )
}

function stopSignal(): Promise<void> {
  return new Promise((end) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => end())
  })
}

function wholeNumber(option: string, text: string | undefined, otherwise: number, most: number): number {
  const number = text === undefined ? otherwise : Number(text)
  if (Number.isInteger(number) && number >= 0 && number <= most) return number
  throw new UserError(`${option} "${text}" is not a whole number from 0 to ${most}.`)
}

function nextSteps({ url, bucket }: Cloud, directory: string): string {
  const publish = 'npm run publish-release -- --app examples/guestbook --environment staging'
  return `
The local cloud answers at ${url}; its bucket is ${bucket}. Ctrl-C stops everything.
In another terminal, try:
  . ${directory}/env            # points any AWS client at it
  ${publish}
  npm run status -- --app examples/guestbook --environment staging
  aws s3 ls --recursive s3://$PYBUNDLE_BUCKET            # with any S3 client
`
}

function say(line: string): void {
  console.error(line)
}

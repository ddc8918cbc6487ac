import { UserError } from '../user-error.ts'
import { type AppOptions, openApp } from './open-app.ts'
import { ask } from './request.ts'

export interface FreezeOptions extends AppOptions {
  reason: string
  until?: string | undefined
}

/** Lets no new release in, until a time or until it is lifted. */
export async function freeze(options: FreezeOptions): Promise<number> {
  const app = openApp(options)
  const until = options.until && readTime(options.until)
  const wish = { action: 'freeze', reason: options.reason, ...(until && { until }) } as const
  return ask(app, { what: 'to let no new release in', wish }, options)
}

export async function unfreeze(options: AppOptions): Promise<number> {
  return ask(openApp(options), { what: 'to let releases in again', wish: { action: 'unfreeze' } }, options)
}

function readTime(text: string): string {
  const time = new Date(text)
  if (Number.isNaN(time.getTime())) {
    throw new UserError(
      `--until "${text}" is not a time: write it like 2026-01-02T08:00, or 2026-01-02T08:00Z.`,
    )
  }
  if (time.getTime() <= Date.now()) throw new UserError(`--until "${text}" is in the past.`)
  return time.toISOString()
}

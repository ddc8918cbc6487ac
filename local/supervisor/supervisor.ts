import { setTimeout as delay } from 'node:timers/promises'
import { currentWebCommand } from './web-command.ts'
import { WebProcess } from './web-process.ts'

export interface SupervisorOptions {
  /** `<base>/<app>` of the target: holds `current`, gets `log/`. */
  appFolder: string
  envFile: string
  log: (line: string) => void
}

/** What runs now; nulls when the target has no release yet, or the app is between two starts. */
export interface WebStatus {
  pid: number | null
  release: string | null
}

const FIRST_PAUSE_MS = 250
const LONGEST_PAUSE_MS = 10_000
/** An app that ran this long starts again at once. */
const STEADY_MS = 10_000

/** Keeps the app of the current release running, and never two of them. */
export class Supervisor {
  readonly #options: SupervisorOptions
  #web: WebProcess | undefined
  #pauseMs = 0
  /** One change at a time: each waits for the one asked for before it. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: SupervisorOptions) {
    this.#options = options
  }

  status(): WebStatus {
    const web = this.#web?.isRunning ? this.#web : undefined
    return { pid: web?.pid ?? null, release: web?.release ?? null }
  }

  /** Ends the running app and starts that of the current release; a release that cannot start touches nothing. */
  restart(): Promise<WebStatus> {
    return this.#inTurn(async () => {
      this.#pauseMs = 0
      await this.#replace()
      return this.status()
    })
  }

  stop(): Promise<void> {
    return this.#inTurn(() => this.#end())
  }

  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const result = this.#last.then(change)
    this.#last = result.catch(() => undefined)
    return result
  }

  async #replace(): Promise<void> {
    const command = currentWebCommand(this.#options.appFolder, this.#options.envFile)
    await this.#end()
    if (!command) return this.#options.log('no current release: waiting')
    const web = await WebProcess.start(command)
    this.#web = web
    this.#options.log(`started release ${web.release}, pid ${web.pid}`)
    web.ended.then((how) => this.#startAgain(web, how))
  }

  async #end(): Promise<void> {
    const web = this.#web
    this.#web = undefined
    await web?.stop()
  }

  /** After an end that nobody asked for. */
  async #startAgain(web: WebProcess, how: string): Promise<void> {
    if (this.#web !== web) return
    const ranMs = Date.now() - web.startedAt
    this.#pauseMs =
      ranMs > STEADY_MS ? 0 : Math.min(Math.max(this.#pauseMs * 2, FIRST_PAUSE_MS), LONGEST_PAUSE_MS)
    this.#options.log(`pid ${web.pid} ended ${how}: starting again in ${this.#pauseMs} ms`)
    await delay(this.#pauseMs, undefined, { ref: false })
    const restarted = this.#inTurn(async () => {
      if (this.#web === web) await this.#replace()
    })
    await restarted.catch((error: Error) => this.#options.log(error.message))
  }
}

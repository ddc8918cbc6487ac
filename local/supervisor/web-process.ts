import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { SOCKET_DESCRIPTOR } from './listening-socket.ts'
import type { WebCommand } from './web-command.ts'

const GRACE_SECONDS = 3
const POLL_MS = 20

/** One running app: a process group of its own, which ends as a whole. */
export class WebProcess {
  readonly pid: number
  readonly release: string
  readonly startedAt = Date.now()
  /** Settles when the app's first process has ended, by itself or not. */
  readonly ended: Promise<string>

  static async start(command: WebCommand): Promise<WebProcess> {
    mkdirSync(dirname(command.logFile), { recursive: true })
    const log = openSync(command.logFile, 'a')
    try {
      const child = spawn('/bin/sh', ['-c', command.script], {
        cwd: command.folder,
        env: command.environment,
        detached: true,
        stdio: ['ignore', log, log, SOCKET_DESCRIPTOR],
      })
      await once(child, 'spawn')
      return new WebProcess(child, command.release)
    } finally {
      closeSync(log)
    }
  }

  #isRunning = true

  private constructor(child: ChildProcess, release: string) {
    if (!child.pid) throw new Error('a process that was started has no id')
    this.pid = child.pid
    this.release = release
    this.ended = once(child, 'exit').then(([code, signal]) => {
      this.#isRunning = false
      return signal ? `by ${signal}` : `with exit code ${code}`
    })
  }

  get isRunning(): boolean {
    return this.#isRunning
  }

  /** Returns when no process of the group is left. */
  async stop(): Promise<void> {
    this.signal('SIGTERM')
    if (await this.isGoneWithin(GRACE_SECONDS)) return
    this.signal('SIGKILL')
    await this.isGoneWithin(GRACE_SECONDS)
  }

  private async isGoneWithin(seconds: number): Promise<boolean> {
    const deadline = Date.now() + seconds * 1000
    while (this.signal(0)) {
      if (Date.now() > deadline) return false
      await delay(POLL_MS)
    }
    return true
  }

  /** False when the group has no process any more. */
  private signal(signal: NodeJS.Signals | 0): boolean {
    try {
      return process.kill(-this.pid, signal)
    } catch {
      return false
    }
  }
}

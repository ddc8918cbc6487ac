import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { execa } from 'execa'
import { describe, expect, it } from 'vitest'
import { processesOf } from './processes.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const DIRECTORY = resolve(ROOT, '.local/demo')

const demo = (...args: string[]) =>
  execa(process.execPath, ['bin/demo.ts', ...args], { cwd: ROOT, reject: false, all: true, stdin: 'ignore' })

describe('npm run demo', () => {
  it("does a team's first hour, and leaves nothing running", async () => {
    const { exitCode, all } = await demo()
    expect(all).toContain('Everything held')
    expect(exitCode).toBe(0)
    expect(processesOf(DIRECTORY)).toEqual([])
  }, 180_000)

  it('stops everything that it started on Ctrl-C, in the middle of a rollout', async () => {
    const running = demo()
    for await (const line of createInterface({ input: running.all })) {
      if (line.includes('prepare first')) running.kill('SIGINT')
    }
    expect((await running).exitCode).toBe(130)
    expect(processesOf(DIRECTORY)).toEqual([])
  }, 120_000)
})

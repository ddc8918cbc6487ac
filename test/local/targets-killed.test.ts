import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { bubblewrapWorks, until } from './target-cloud.ts'

const VICTIM = fileURLToPath(new URL('./target-victim.ts', import.meta.url))

for (const sandbox of ['none', 'bwrap']) {
  test.skipIf(sandbox === 'bwrap' && !bubblewrapWorks())(
    `ends a target whose local cloud is killed (sandbox: ${sandbox})`,
    async () => {
      const victim = spawn(process.execPath, [VICTIM, sandbox], { stdio: ['ignore', 'pipe', 'inherit'] })
      const [line] = await once(victim.stdout, 'data')
      const { url, root } = JSON.parse(String(line))
      expect(await isListening(url)).toBe(true)
      victim.kill('SIGKILL')
      await until(async () => !(await isListening(url)))
      rmSync(join(root, '../..'), { recursive: true })
    },
  )
}

function isListening(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname, () => resolve(true)).on('error', () => resolve(false))
    socket.on('connect', () => socket.destroy())
  })
}

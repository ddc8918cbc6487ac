import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Cloud, CloudOptions, CloudTarget, FleetScope } from '../../local/cloud.ts'
import type { CloudWord } from './cloud-victim.ts'

const VICTIM = fileURLToPath(new URL('./cloud-victim.ts', import.meta.url))

/** A local cloud in a process of its own: SIGKILL ends all of the control plane at once. */
export async function startCloudProcess(options: CloudOptions) {
  let child = fork(VICTIM, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const ask = async <Answer>(word: CloudWord): Promise<Answer> => {
    child.send(word)
    const [answer] = await once(child, 'message')
    return answer as Answer
  }
  const started = await ask<Pick<Cloud, 'url' | 'env' | 'outputs' | 'bucket'>>({ start: options })
  return {
    ...started,
    /** Without their functions: they are the other process's. */
    startFleet: (fleet: FleetScope & { count: number }) => ask<CloudTarget[]>({ startFleet: fleet }),
    addTarget: (fleet: FleetScope) => ask<CloudTarget>({ addTarget: fleet }),
    /** Its functions are the other process's. */
    stopTarget: (instanceId: string) => ask<void>({ stopTarget: instanceId }),
    targets: () => [],
    async kill() {
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
    /** At the same address, on what it has on disk. */
    async startAgain() {
      child = fork(VICTIM, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
      await ask({ start: { ...options, port: Number(new URL(started.url).port) } })
    },
    async stop() {
      child.disconnect()
      await once(child, 'exit')
    },
  }
}

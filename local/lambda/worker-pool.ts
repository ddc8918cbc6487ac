import type { Invocation, InvocationResult } from './runtime-api.ts'
import type { Worker } from './worker.ts'

/** Processes of one function: as many as invocations overlap, up to a limit; further ones wait. */
export interface WorkerPool {
  invoke(invocation: Invocation): Promise<InvocationResult>
  stop(): Promise<void>
}

export function createWorkerPool(start: () => Promise<Worker>, limit: number): WorkerPool {
  const workers = new Set<Worker>()
  const idle: Worker[] = []
  const queue: (() => void)[] = []
  let running = 0
  let stopped = false

  const take = async (): Promise<Worker> => {
    const warm = idle.pop()
    if (warm?.isAlive()) return warm
    if (warm) workers.delete(warm)
    const worker = await start()
    workers.add(worker)
    if (stopped) await worker.stop()
    return worker
  }

  return {
    async invoke(invocation) {
      while (running >= limit) await new Promise<void>((resolve) => queue.push(resolve))
      running++
      try {
        const worker = await take()
        const result = await worker.invoke(invocation)
        if (worker.isAlive()) idle.push(worker)
        else workers.delete(worker)
        return result
      } finally {
        running--
        queue.shift()?.()
      }
    },
    async stop() {
      stopped = true
      await Promise.all([...workers].map((worker) => worker.stop()))
    },
  }
}

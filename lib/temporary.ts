import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onExit } from 'signal-exit'

/** Gives the work a folder that is gone when it has ended, in whatever way. */
export async function withTemporaryFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'pybundle-'))
  return removeAfter(folder, () => work(folder))
}

/** Removes what is at the path when the work has ended, by Ctrl-C too. */
export async function removeAfter<T>(path: string, work: () => Promise<T>): Promise<T> {
  // Programs that were started, and that end at the same time, may still write there.
  const remove = () => rmSync(path, { recursive: true, force: true, maxRetries: 3 })
  const forget = onExit(remove, { alwaysLast: true })
  try {
    return await work()
  } finally {
    forget()
    remove()
  }
}

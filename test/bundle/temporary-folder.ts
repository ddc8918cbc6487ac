import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

/** Gone when the test that asked for it has ended. */
export function temporaryFolder(within = tmpdir()): string {
  const folder = mkdtempSync(join(within, 'pybundle-test-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

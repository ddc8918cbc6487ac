import { expect, it } from 'vitest'
import { readMigration } from '../../lib/release/migration.ts'
import type { Verdict } from '../../lib/release/verdict.ts'

const said = (words: Partial<Verdict>): Verdict => ({
  action: 'migrate',
  outcome: 'failed',
  current: null,
  phases: {},
  ...words,
})

it.each([
  [{ outcome: 'done', migration: 'ended' }, 'migrated'],
  [{ outcome: 'done', migration: 'none' }, 'nothing to do'],
  [{ outcome: 'failed', migration: 'none' }, 'not begun'],
  [{ outcome: 'running', migration: 'running' }, 'not over'],
  [{ outcome: 'refused', migration: 'running' }, 'not over'],
  [{ migration: 'failed' }, 'failed'],
  [{ migration: 'interrupted' }, 'interrupted'],
  [{ migration: 'ended' }, 'migrated'],
  [{ silent: true }, 'unknown'],
  [{ reason: 'S3 refused it' }, 'unknown'],
] as const)('of a migration that had begun, the verdict %j says: %s', (words, end) => {
  expect(readMigration(said(words), true)).toBe(end)
})

it('what does not know how a migration stands has begun none', () => {
  expect(readMigration(said({ reason: 'S3 refused it' }), false)).toBe('not begun')
})
